/** How the process itself is: its event loop and its memory. */

import { monitorEventLoopDelay } from 'node:perf_hooks';

/** What a health report tells of the process. */
export interface ProcessVitals {
  /** On the clock of `Date.now()`. */
  readonly startedAtMs: number;
  /** How late timers were: the 99th percentile of the last whole window, at first of its part. */
  readonly eventLoopDelayMs: number;
  readonly heapUsedBytes: number;
  readonly rssBytes: number;
}

/** How often the delay is measured; the histogram has it in every value. */
const RESOLUTION_MS = 20;

/** Long enough for a percentile, short enough to tell of now. */
const WINDOW_MS = 5_000;

const NANOSECONDS = 1e6;

/** Measures until it is closed. Keeps no process alive. */
export class Vitals {
  readonly #histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  readonly #timer: NodeJS.Timeout;
  #lastDelayMs: number | undefined;

  constructor() {
    this.#histogram.enable();
    this.#timer = setInterval(() => {
      this.#lastDelayMs = this.#delayMs();
      this.#histogram.reset();
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
    const { count } = this.#histogram;
    const delayMs = this.#histogram.percentile(99) / NANOSECONDS - RESOLUTION_MS;
    return count === 0 ? 0 : Math.max(0, delayMs);
  }

  close(): void {
    clearInterval(this.#timer);
    this.#histogram.disable();
  }
}
