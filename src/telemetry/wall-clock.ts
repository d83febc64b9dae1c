/** The time of day of moments that were measured on the clock of `performance.now()`. */

/** A machine's clock is corrected by steps; by less than this the spans of a call would jump. */
const driftMaxMs = 20;

/** Steady within milliseconds, so that spans of one call lie as they were measured. */
export class WallClock {
  #offsetMs = Date.now() - performance.now();

  /** Looks whether the machine's clock was set since. */
  sync(): this {
    const offsetMs = Date.now() - performance.now();
    if (Math.abs(offsetMs - this.#offsetMs) > driftMaxMs) this.#offsetMs = offsetMs;
    return this;
  }

  /** Milliseconds since 1970. */
  at(ms: number): number {
    return this.#offsetMs + ms;
  }
}
