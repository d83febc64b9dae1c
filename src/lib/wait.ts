/**
 * Waiting for a condition that nothing announces (a file that another process writes, a row that
 * replication brings). Refuses to wait without a bound.
 */

/** How long, how often and for what `until` waits. */
export interface UntilOptions {
  /** Milliseconds after which the wait fails. */
  readonly timeoutMs: number;
  /** Milliseconds between two tries; default 10. */
  readonly pollMs?: number;
  /** What is waited for, completing the sentence "timed out waiting until ...". */
  readonly what: string;
}

/** Resolves after `ms` milliseconds. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

/**
 * Resolves with the first truthy answer of `condition`, which is asked at least once.
 *
 * @throws {Error} after `timeoutMs`, naming what was waited for; whatever `condition` throws
 */
export async function until<T>(
  condition: () => T | Promise<T>,
  options: UntilOptions,
): Promise<NonNullable<T>> {
  const end = performance.now() + options.timeoutMs;
  for (;;) {
    const answer = await condition();
    if (answer) {
      return answer;
    }
    if (performance.now() >= end) {
      throw new Error(`timed out after ${options.timeoutMs} ms waiting until ${options.what}`);
    }
    await pause(options.pollMs ?? 10);
  }
}
