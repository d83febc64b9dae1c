/** What the process tells of itself: its event loop, its memory, its time. */

import { type IntervalHistogram, monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { getHeapSpaceStatistics } from 'node:v8';
import type { Observers } from './metric-instruments.js';

/** How often the delay is sampled; a timer of Node's own, which costs no JavaScript. */
const resolutionMs = 20;

/** The process at one moment, in seconds and bytes. */
export interface ProcessLook {
  /** Since the last look; where no sample was taken since, of the time before. */
  readonly delay: { readonly p50: number; readonly p99: number; readonly max: number };
  /** Since the last look, 0 to 1. */
  readonly utilization: number;
  readonly heap: ReadonlyMap<string, number>;
  readonly resident: number;
  readonly cpu: { readonly user: number; readonly system: number };
  readonly uptime: number;
}

/** Watches the process until it is stopped. */
export class ProcessWatch {
  readonly #delays: IntervalHistogram = monitorEventLoopDelay({ resolution: resolutionMs });
  #delay: ProcessLook['delay'] = { p50: 0, p99: 0, max: 0 };
  #utilization = performance.eventLoopUtilization();

  constructor() {
    this.#delays.enable();
  }

  /** Looks, and begins anew what is told since the last look. */
  look(): ProcessLook {
    const before = this.#utilization;
    this.#utilization = performance.eventLoopUtilization();
    const { user, system } = process.cpuUsage();
    return {
      delay: this.#lookAtDelay(),
      utilization: performance.eventLoopUtilization(this.#utilization, before).utilization,
      heap: new Map(
        getHeapSpaceStatistics().map((space) => [space.space_name, space.space_used_size]),
      ),
      resident: process.memoryUsage.rss(),
      cpu: { user: user / 1e6, system: system / 1e6 },
      uptime: process.uptime(),
    };
  }

  #lookAtDelay(): ProcessLook['delay'] {
    const delays = this.#delays;
    if (delays.count === 0) return this.#delay;
    // Samples are times between two timers, of which the first part is the timer's own.
    const late = (ns: number) => Math.max(0, ns / 1e9 - resolutionMs / 1000);
    this.#delay = {
      p50: late(delays.percentile(50)),
      p99: late(delays.percentile(99)),
      max: late(delays.max),
    };
    delays.reset();
    return this.#delay;
  }

  /** Ends the sampling. */
  stop(): void {
    this.#delays.disable();
  }
}

type ProcessObservers = Pick<
  Observers<{ readonly process: ProcessLook }>,
  | 'nodejs.eventloop.delay.p50'
  | 'nodejs.eventloop.delay.p99'
  | 'nodejs.eventloop.delay.max'
  | 'nodejs.eventloop.utilization'
  | 'v8js.memory.heap.used'
  | 'process.memory.usage'
  | 'process.cpu.time'
  | 'process.uptime'
>;

/** How a look at the process is told. */
export const processObservers: ProcessObservers = {
  'nodejs.eventloop.delay.p50': ({ process: { delay } }, tell) => tell(delay.p50, {}),
  'nodejs.eventloop.delay.p99': ({ process: { delay } }, tell) => tell(delay.p99, {}),
  'nodejs.eventloop.delay.max': ({ process: { delay } }, tell) => tell(delay.max, {}),
  'nodejs.eventloop.utilization': ({ process: { utilization } }, tell) => tell(utilization, {}),
  'v8js.memory.heap.used': ({ process: { heap } }, tell) => {
    for (const [name, bytes] of heap) tell(bytes, { 'v8js.heap.space.name': name });
  },
  'process.memory.usage': ({ process: { resident } }, tell) => tell(resident, {}),
  'process.cpu.time': ({ process: { cpu } }, tell) => {
    tell(cpu.user, { 'cpu.mode': 'user' });
    tell(cpu.system, { 'cpu.mode': 'system' });
  },
  'process.uptime': ({ process: { uptime } }, tell) => tell(uptime, {}),
};
