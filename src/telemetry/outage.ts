/**
 * Says when a collector stops taking what it is sent, and when it takes it again: once each, for
 * the libraries would say it never, or at every attempt.
 */

import type { Logger } from './log.js';

/** What is lost meanwhile, as the log names it. */
type Signal = 'metrics' | 'traces';

/** One a collector and signal. */
export class Outage {
  readonly #signal: Signal;
  readonly #facts: { readonly collector: string };
  readonly #logger: Logger | undefined;
  #isOn = false;

  /** @param url of the collector; of which the log has the origin, for the rest may be secret. */
  constructor(signal: Signal, url: string, logger: Logger | undefined) {
    this.#signal = signal;
    this.#facts = { collector: new URL(url).origin };
    this.#logger = logger;
  }

  /** Whether the last attempt failed. */
  get isOn(): boolean {
    return this.#isOn;
  }

  /** Told of each attempt: why it failed, or undefined. */
  note(error: unknown): void {
    const isOn = error !== undefined;
    if (isOn === this.#isOn) return;
    this.#isOn = isOn;
    // The log leaves out what the collector answered, which may repeat what it was sent.
    if (isOn) this.#logger?.warn({ ...this.#facts, err: error }, `${this.#signal} are lost`);
    else this.#logger?.info(this.#facts, `${this.#signal} reach their collector again`);
  }
}
