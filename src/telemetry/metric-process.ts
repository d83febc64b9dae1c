/** What the process tells of itself: its event loop, its memory, its time. */

import { performance } from 'node:perf_hooks';
import { getHeapSpaceStatistics } from 'node:v8';
import { type Delay, EventLoopDelay } from './event-loop-delay.js';
import type { Observers } from './metric-instruments.js';

/** The process at one moment, in seconds and bytes but for the delay. */
export interface ProcessLook {
  /** Since the last look; where no sample was taken since, of the time before. */
  readonly delay: Delay;
  /** Since the last look, 0 to 1. */
  readonly utilization: number;
  readonly heap: ReadonlyMap<string, number>;
  readonly resident: number;
  readonly cpu: { readonly user: number; readonly system: number };
  readonly uptime: number;
}

/** Watches the process until it is stopped. */
export class ProcessWatch {
  readonly #delays = new EventLoopDelay();
  #delay: Delay = { p50: 0, p99: 0, max: 0 };
  #utilization = performance.eventLoopUtilization();

  /** Looks, and begins anew what is told since the last look. */
  look(): ProcessLook {
    const before = this.#utilization;
    this.#utilization = performance.eventLoopUtilization();
    const { user, system } = process.cpuUsage();
    this.#delay = this.#delays.read() ?? this.#delay;
    this.#delays.reset();
    return {
      delay: this.#delay,
      utilization: performance.eventLoopUtilization(this.#utilization, before).utilization,
      heap: new Map(
        getHeapSpaceStatistics().map((space) => [space.space_name, space.space_used_size]),
      ),
      resident: process.memoryUsage.rss(),
      cpu: { user: user / 1e6, system: system / 1e6 },
      uptime: process.uptime(),
    };
  }

  /** Ends the sampling. */
  stop(): void {
    this.#delays.stop();
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
  'nodejs.eventloop.delay.p50': ({ process: { delay } }, tell) => tell(delay.p50 / 1000, {}),
  'nodejs.eventloop.delay.p99': ({ process: { delay } }, tell) => tell(delay.p99 / 1000, {}),
  'nodejs.eventloop.delay.max': ({ process: { delay } }, tell) => tell(delay.max / 1000, {}),
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
