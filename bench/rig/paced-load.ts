/**
 * Calls at an even pace, however long each takes, as callers that know nothing of one another make
 * them: a loop that awaits each call would make none while the service hangs, and so measure
 * nothing of it.
 */

import { Code, toStowageError } from '../../src/client/index.js';
import { nowMs } from './clock.js';

/** One call that has ended. */
export interface PacedCall {
  /** Both on the clock of `nowMs`. */
  readonly startedMs: number;
  readonly endedMs: number;
  /** The reason, or gRPC's code, of a call that failed. */
  readonly failure: string | undefined;
}

/** Between two looks at what is due. */
const BEAT_MS = 2;

/** A load that runs until it is stopped. */
export class PacedLoad implements AsyncDisposable {
  readonly #perSecond: number;
  readonly #call: (n: number) => Promise<unknown>;
  readonly #begunMs = nowMs();
  readonly #ended: PacedCall[] = [];
  readonly #running = new Set<Promise<void>>();
  readonly #timer: NodeJS.Timeout;
  #made = 0;

  /**
   * Begins at once.
   * @param call given the number of the call, from 0; it must end by itself within a deadline,
   *   which bounds how many are under way.
   */
  constructor(perSecond: number, call: (n: number) => Promise<unknown>) {
    this.#perSecond = perSecond;
    this.#call = call;
    this.#timer = setInterval(() => this.#makeDue(), BEAT_MS);
  }

  /** Calls that have ended so far, in the order of their ends. */
  get ended(): readonly PacedCall[] {
    return this.#ended;
  }

  /** Makes no more calls, and waits for those under way. */
  async stop(): Promise<readonly PacedCall[]> {
    clearInterval(this.#timer);
    await Promise.all(this.#running);
    return this.#ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #makeDue(): void {
    const due = ((nowMs() - this.#begunMs) / 1000) * this.#perSecond;
    while (this.#made < due) {
      const running = this.#make(this.#made);
      this.#made += 1;
      this.#running.add(running);
      void running.then(() => this.#running.delete(running));
    }
  }

  async #make(n: number): Promise<void> {
    const startedMs = nowMs();
    let failure: string | undefined;
    try {
      await this.#call(n);
    } catch (error) {
      const { reason, code } = toStowageError(error);
      failure = reason ?? Code[code] ?? 'unknown';
    }
    this.#ended.push({ startedMs, endedMs: nowMs(), failure });
  }
}
