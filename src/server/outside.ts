/**
 * What of a server can be seen from outside: its metrics, its traces, and how its process is. One
 * owner for all, opened before the first call and closed behind the last.
 */

import type { TelemetrySettings } from '../config-telemetry.js';
import type { RouterHandle } from '../postgres/router-handle.js';
import type { Log } from '../telemetry/log.js';
import type { Metrics } from '../telemetry/metrics.js';
import type { Traces } from '../telemetry/traces.js';
import type { Pipeline } from './pipeline.js';
import { Vitals } from './vitals.js';

/** What is looked at. */
export interface Inside {
  readonly router: RouterHandle;
  readonly pipeline: Pipeline;
  /** Told where a collector fails. */
  readonly log: Log | undefined;
}

/** A server as it is seen. */
export interface Outside {
  /** Undefined where nothing is counted. */
  readonly metrics: Metrics | undefined;
  readonly vitals: Vitals;
  /** Sends what has not been sent yet, bounded. Never rejects. */
  close(): Promise<void>;
}

/** Begins to look. */
export async function openOutside(settings: TelemetrySettings, inside: Inside): Promise<Outside> {
  const [metrics, traces] = await Promise.all([
    metricsOf(settings, inside),
    tracesOf(settings, inside.log),
  ]);
  const vitals = new Vitals();
  return {
    metrics,
    vitals,
    close: async () => {
      vitals.close();
      await Promise.all([metrics?.close(), traces?.stop()]);
    },
  };
}

/** Loaded only where they are wanted: that takes a moment, which is much for a command. */
async function metricsOf(
  settings: TelemetrySettings,
  { router, pipeline, log }: Inside,
): Promise<Metrics | undefined> {
  if (!settings.metrics) return undefined;
  const { startMetrics } = await import('../telemetry/metrics.js');
  const sources = {
    topology: () => router.topology(),
    inFlight: () => pipeline.inFlightByKind(),
  };
  return startMetrics(settings, sources, log?.logger);
}

/** Loaded only where they are wanted, likewise: 80 ms. */
async function tracesOf(
  { traceRatio: ratio, otlp, serviceName }: TelemetrySettings,
  log: Log | undefined,
): Promise<Traces | undefined> {
  if (ratio === undefined || otlp === undefined) return undefined;
  const { startTraces } = await import('../telemetry/traces.js');
  return startTraces({ serviceName, ratio, otlp }, log?.logger);
}
