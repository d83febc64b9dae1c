/**
 * Traces: a span a call and a span a statement, sent to a collector by OTLP over HTTP. Made of the
 * rooms' events, with the call's span handed along in the call itself: an AsyncLocalStorage would
 * cost every call, traced or not.
 */

import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import {
  AlwaysOnSampler,
  BasicTracerProvider,
  BatchSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import type { OtlpSettings } from '../config-telemetry.js';
import { settlesWithin } from '../lib/interruption.js';
import { onCallStarted } from './events.js';
import { listen } from './listen.js';
import type { Logger } from './log.js';
import { Outage } from './outage.js';
import { resourceNamed } from './resource.js';
import { CallSpans, type StatementEnded } from './spans.js';
import { WatchedExporter } from './watched-exporter.js';

/** Ended spans that wait to be sent; what comes beyond is dropped. */
const queueMax = 2048;
const batchMax = 512;
const batchDelayMs = 500;
/** How long a batch may take with all its repeats, and so how long a stop may wait for one. */
const exportTimeoutMs = 3000;

/** Traces that are recorded until they are stopped. */
export interface Traces {
  /** Sends what is recorded, for a few seconds at most. Another call waits for the first. */
  stop(): Promise<void>;
}

/** What traces need of the settings. */
export interface TraceSettings {
  readonly serviceName: string;
  /** The share of traces that begin here and are recorded, 0 to 1. */
  readonly ratio: number;
  readonly otlp: OtlpSettings;
}

/** Begins to record. @param logger is told when the collector fails. */
export function startTraces(settings: TraceSettings, logger: Logger | undefined): Traces {
  const { serviceName, ratio, otlp } = settings;
  const exporter = new OTLPTraceExporter({
    url: `${otlp.endpoint.replace(/\/$/, '')}/v1/traces`,
    headers: { ...otlp.headers },
    timeoutMillis: exportTimeoutMs,
  });
  const outage = new Outage('traces', otlp.endpoint, logger);
  const provider = new BasicTracerProvider({
    resource: resourceNamed(serviceName),
    sampler: new AlwaysOnSampler(),
    spanProcessors: [
      new BatchSpanProcessor(new WatchedExporter(exporter, outage), {
        maxQueueSize: queueMax,
        maxExportBatchSize: batchMax,
        scheduledDelayMillis: batchDelayMs,
        exportTimeoutMillis: exportTimeoutMs + 1000,
      }),
    ],
  });
  const spans = new CallSpans(provider.getTracer('stowage'), ratio);
  const stops = [
    onCallStarted((event) => spans.begin(event)),
    listen<StatementEnded>('stowage:postgres:query', (event) => spans.statement(event)),
  ];
  let stopped: Promise<unknown> | undefined;
  return {
    stop: async () => {
      for (const stop of stops) stop();
      stopped ??= settlesWithin(provider.shutdown(), exportTimeoutMs + 1000);
      await stopped;
    },
  };
}
