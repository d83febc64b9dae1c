/** The rows of the table of metrics about the process itself. */

import type { Metric } from './metric.js';

/** The server and its process. */
export const processMetrics = {
  'stowage.job.runs': {
    instrument: 'counter',
    unit: '{run}',
    labels: ['stowage.job', 'stowage.outcome'],
    help: 'Runs of background jobs.',
    action: '`failed` again and again: the log has the cause.',
  },
  'stowage.job.duration': {
    instrument: 'histogram',
    unit: 's',
    labels: ['stowage.job'],
    help: 'How long these runs took.',
    action: 'Near its interval: the job cannot keep up; see the durations of its statements.',
  },
  'stowage.reloads': {
    instrument: 'counter',
    unit: '{reload}',
    labels: ['stowage.outcome'],
    help: 'Times that the settings were read again.',
    action: '`failed`: the file is wrong and nothing was changed; the log says what is wrong.',
  },
  'nodejs.eventloop.delay.p50': {
    instrument: 'observableGauge',
    unit: 's',
    labels: [],
    help: 'Median of how much later than due timers fired, since the last look.',
    action: 'See the 99th percentile.',
  },
  'nodejs.eventloop.delay.p99': {
    instrument: 'observableGauge',
    unit: 's',
    labels: [],
    help: '99th percentile of the same.',
    action: 'Above 100 ms probes and deadlines come late: the process is overloaded; add servers.',
  },
  'nodejs.eventloop.delay.max': {
    instrument: 'observableGauge',
    unit: 's',
    labels: [],
    help: 'Largest of the same.',
    action: 'Single peaks are garbage collection or a machine that pauses.',
  },
  'nodejs.eventloop.utilization': {
    instrument: 'observableGauge',
    unit: '1',
    labels: [],
    help: 'Share of the time that the event loop was busy, since the last look.',
    action: 'Near 1: one core is all that a process can use; add servers.',
  },
  'v8js.memory.heap.used': {
    instrument: 'observableGauge',
    unit: 'By',
    labels: ['v8js.heap.space.name'],
    help: 'Heap in use; its sum is what a leak would raise.',
    action: 'Rising for hours: restart the server, and report it with a heap snapshot.',
  },
  'process.memory.usage': {
    instrument: 'observableGauge',
    unit: 'By',
    labels: [],
    help: 'Resident memory of the process.',
    action: 'As for the heap; with the heap flat, buffers of many open streams.',
  },
  'process.cpu.time': {
    instrument: 'observableCounter',
    unit: 's',
    labels: ['cpu.mode'],
    help: 'Processor time that the process has used.',
    action: 'A rate near 1: see the utilization.',
  },
  'process.uptime': {
    instrument: 'observableGauge',
    unit: 's',
    labels: [],
    help: 'How long the process runs.',
    action: 'Falls at each restart: one that nobody asked for has its reason in the log.',
  },
  target_info: {
    instrument: 'info',
    unit: '',
    labels: [],
    help: 'Always 1; its labels name the service, its version, and this process of it.',
    action: 'Join it to see which version tells a figure.',
  },
} as const satisfies Readonly<Record<string, Metric>>;
