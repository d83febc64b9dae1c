/** Waiting that ends early when a signal aborts or a deadline passes. */

/** A signal that never aborts. */
export const NEVER: AbortSignal = new AbortController().signal;

/** What bounds an operation. */
export interface Limits {
  readonly signal: AbortSignal;
  /** On the clock of `performance.now()`; Infinity: none. */
  readonly deadlineMs: number;
}

/** Why an operation was ended early. */
export type Interruption = 'aborted' | 'deadline';

/** The longest that a timer of Node can wait. */
const TIMER_MAX_MS = 2_147_483_647;

/**
 * Calls `interrupt` once, when the signal aborts or the deadline passes; at once if that is so
 * already.
 * @returns what ends the watch; harmless when it ended by itself.
 */
export function watchLimits(
  limits: Limits,
  interrupt: (interruption: Interruption) => void,
): () => void {
  const { signal, deadlineMs } = limits;
  let timer: NodeJS.Timeout | undefined;
  const stop = () => {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  };
  const onAbort = () => {
    stop();
    interrupt('aborted');
  };
  if (signal.aborted) {
    interrupt('aborted');
    return stop;
  }
  // A listener of each operation on the one signal of all would look like a leak.
  if (signal !== NEVER) signal.addEventListener('abort', onAbort, { once: true });
  const remainingMs = deadlineMs - performance.now();
  if (remainingMs <= TIMER_MAX_MS) {
    const onDeadline = () => {
      stop();
      interrupt('deadline');
    };
    timer = setTimeout(onDeadline, Math.max(0, Math.ceil(remainingMs)));
  }
  return stop;
}

/**
 * Waits for `promise` within the limits; the promise itself goes on.
 * @returns its value, or the interruption that came first.
 * @throws what the promise rejects with.
 */
export function within<T>(
  promise: Promise<T>,
  limits: Limits,
): Promise<{ readonly value: T } | { readonly interruption: Interruption }> {
  return new Promise((resolve, reject) => {
    const stop = watchLimits(limits, (interruption) => resolve({ interruption }));
    promise.then(
      (value) => {
        stop();
        resolve({ value });
      },
      (error: unknown) => {
        stop();
        reject(error);
      },
    );
  });
}

/** True once `promise` is settled, false if that takes longer than `timeoutMs`. Never throws. */
export async function settlesWithin(
  promise: Promise<unknown>,
  timeoutMs: number,
): Promise<boolean> {
  const limits = { signal: NEVER, deadlineMs: performance.now() + timeoutMs };
  const settled = promise.then(
    () => true,
    () => true,
  );
  return 'value' in (await within(settled, limits));
}
