/** How the process itself is: its event loop and its memory. */

import { EventLoopDelay } from '../telemetry/event-loop-delay.js';

/** What a health report tells of the process. */
export interface ProcessVitals {
  /** On the clock of `Date.now()`. */
  readonly startedAtMs: number;
  /** How late timers were: the 99th percentile of the last whole window, at first of its part. */
  readonly eventLoopDelayMs: number;
  readonly heapUsedBytes: number;
  readonly rssBytes: number;
}

/** Long enough for a percentile, short enough to tell of now. */
const WINDOW_MS = 5_000;

/** Measures until it is closed. Keeps no process alive. */
export class Vitals {
  /** Apart from the metrics', which begin anew whenever somebody looks at them. */
  readonly #delays = new EventLoopDelay();
  readonly #timer: NodeJS.Timeout;
  #lastDelayMs: number | undefined;

  constructor() {
    this.#timer = setInterval(() => {
      this.#lastDelayMs = this.#delayMs();
      this.#delays.reset();
    }, WINDOW_MS).unref();
  }

  /** Now; reads memory that the process counts anyway. */
  now(): ProcessVitals {
    const { heapUsed, rss } = process.memoryUsage();
    return {
      startedAtMs: performance.timeOrigin,
      eventLoopDelayMs: this.#lastDelayMs ?? this.#delayMs(),
      heapUsedBytes: heapUsed,
      rssBytes: rss,
    };
  }

  #delayMs(): number {
    return this.#delays.read()?.p99 ?? 0;
  }

  close(): void {
    clearInterval(this.#timer);
    this.#delays.stop();
  }
}
