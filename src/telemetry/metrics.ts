/**
 * Metrics: what is counted of the rooms' events, and what is looked at of the router, the pipeline
 * and the process, told as Prometheus text and pushed to a collector. Each server has a provider of
 * its own, not the process's global one, so that several can run in one process.
 */

import { MeterProvider } from '@opentelemetry/sdk-metrics';
import type { TelemetrySettings } from '../config-telemetry.js';
import type { Logger } from './log.js';
import { countEvents } from './metric-events.js';
import { createRecorder, type Observers, observe } from './metric-instruments.js';
import type { LabelValue } from './metric-labels.js';
import { type ProcessLook, ProcessWatch, processObservers } from './metric-process.js';
import { MetricPush } from './metric-push.js';
import { FigureReader } from './metric-reader.js';
import { prometheusText } from './metric-text.js';
import { nodeObservers, poolObservers, type TopologyLook } from './metric-topology.js';
import { resourceNamed } from './resource.js';

/** What a server's figures are taken of. Asks no node: it must answer while all are down. */
export interface MetricSources {
  topology(): TopologyLook;
  /** Calls that run now, by kind. */
  inFlight(): Readonly<Record<LabelValue<'stowage.kind'>, number>>;
}

/** Metrics that are counted until they are closed. */
export interface Metrics {
  /** All figures in Prometheus' text format. */
  text(): Promise<string>;
  /** Pushes the last of them where they are pushed, for 2 s at most, and listens no more. */
  close(): Promise<void>;
}

interface Look {
  readonly topology: TopologyLook;
  readonly inFlight: ReturnType<MetricSources['inFlight']>;
  readonly process: ProcessLook;
}

const observers: Observers<Look> = {
  ...nodeObservers,
  ...poolObservers,
  ...processObservers,
  'stowage.calls.in_flight': ({ inFlight }, tell) => {
    tell(inFlight.unary, { 'stowage.kind': 'unary' });
    tell(inFlight.stream, { 'stowage.kind': 'stream' });
    tell(inFlight.health, { 'stowage.kind': 'health' });
  },
};

/** Begins to count. @param logger is told when the collector fails. */
export function startMetrics(
  { serviceName, otlp }: Pick<TelemetrySettings, 'serviceName' | 'otlp'>,
  sources: MetricSources,
  logger: Logger | undefined,
): Metrics {
  const reader = new FigureReader();
  const provider = new MeterProvider({ resource: resourceNamed(serviceName), readers: [reader] });
  const meter = provider.getMeter('stowage');
  const watch = new ProcessWatch();
  const look = () => ({
    topology: sources.topology(),
    inFlight: sources.inFlight(),
    process: watch.look(),
  });
  observe(meter, look, observers);
  const stopCounting = countEvents(createRecorder(meter), () => sources.topology());
  const figures = async () => {
    const { resourceMetrics, errors } = await reader.read();
    for (const error of errors) logger?.error({ err: error }, 'figures could not be taken');
    return resourceMetrics;
  };
  const push = otlp && new MetricPush(otlp, figures, logger);
  return {
    text: async () => prometheusText(await figures()),
    close: async () => {
      await push?.stop();
      stopCounting();
      watch.stop();
      await provider.shutdown();
    },
  };
}
