/** How late the event loop is: the one way to measure it, for metrics and for the health report. */

import { monitorEventLoopDelay } from 'node:perf_hooks';

/** How often the delay is sampled; a timer of Node's own, which costs no JavaScript. */
const resolutionMs = 20;

/** How much later than due timers fired, in ms. */
export interface Delay {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** Samples until it is stopped. Keeps no process alive. */
export class EventLoopDelay {
  readonly #histogram = monitorEventLoopDelay({ resolution: resolutionMs });

  constructor() {
    this.#histogram.enable();
  }

  /** Since the last reset; undefined where no sample was taken since. */
  read(): Delay | undefined {
    const histogram = this.#histogram;
    if (histogram.count === 0) return undefined;
    // Samples are times between two timers, of which the first part is the timer's own.
    const late = (ns: number) => Math.max(0, ns / 1e6 - resolutionMs);
    return {
      p50: late(histogram.percentile(50)),
      p99: late(histogram.percentile(99)),
      max: late(histogram.max),
    };
  }

  reset(): void {
    this.#histogram.reset();
  }

  stop(): void {
    this.#histogram.disable();
  }
}
