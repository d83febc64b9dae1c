/** How long a scan goes on trying when its server does not answer. */

import { setTimeout as pause } from 'node:timers/promises';
import { type CallError, toStowageError } from '../../client/index.js';
import { backoffMs } from '../../lib/backoff.js';

/** The bounds of a patience. */
export interface PatienceOptions {
  /** Milliseconds without any progress after which the failure is final; default 60,000. */
  readonly stalledMsMax?: number;
  /** The same before the first progress: who named a wrong server waits for nothing. */
  readonly firstMsMax?: number;
  /** Ends the waiting at once. */
  readonly signal: AbortSignal;
  /** Told of every failure that is waited out. */
  readonly onRetry?: (error: CallError, delayMs: number) => void;
}

const firstDelayMs = 100;
const delayMsMax = 1_000;

/**
 * Waits out failures that pass, with growing pauses, as long as there is progress in between.
 * A call that may be repeated is one whose retry class is not `never` or `begin_again`.
 */
export class Patience {
  readonly #options: PatienceOptions;
  #failures = 0;
  #stalledSince = 0;
  #hadProgress = false;

  constructor(options: PatienceOptions) {
    this.#options = options;
  }

  /** To be called whenever something got through. */
  progress(): void {
    this.#hadProgress = true;
    this.#failures = 0;
  }

  /**
   * Waits before the next attempt.
   *
   * @throws {CallError} the failure, where it will not pass or the patience is at its end
   */
  async waitOut(thrown: unknown): Promise<void> {
    const error = toStowageError(thrown);
    const { signal, stalledMsMax = 60_000, firstMsMax = stalledMsMax, onRetry } = this.#options;
    if (signal.aborted || error.retry === 'never' || error.retry === 'begin_again') throw error;
    const timeMs = performance.now();
    if (this.#failures === 0) this.#stalledSince = timeMs;
    const waitMsMax = this.#hadProgress ? stalledMsMax : firstMsMax;
    if (timeMs - this.#stalledSince > waitMsMax) throw error;
    this.#failures += 1;
    const growing = backoffMs(this.#failures, firstDelayMs, delayMsMax);
    const delayMs = Math.max(error.retryDelayMs ?? 0, growing);
    onRetry?.(error, delayMs);
    await pause(Math.min(delayMs, waitMsMax), undefined, { signal }).catch(() => {
      throw error;
    });
  }
}
