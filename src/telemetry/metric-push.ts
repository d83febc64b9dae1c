/**
 * Pushes figures to a collector at an interval. One push at a time: while one runs the next is left
 * out, for figures are cumulative and the one after it carries all. So nothing is ever kept for a
 * collector that is down.
 */

import type { ExportResult } from '@opentelemetry/core';
import { OTLPMetricExporter } from '@opentelemetry/exporter-metrics-otlp-http';
import type { ResourceMetrics } from '@opentelemetry/sdk-metrics';
import type { OtlpSettings } from '../config-telemetry.js';
import { settlesWithin } from '../lib/interruption.js';
import type { Logger } from './log.js';
import { Outage } from './outage.js';

/** How long a push may take, with its repeats; and so how long a stop may wait for one. */
const pushTimeoutMs = 2000;

/** Pushes until it is stopped. */
export class MetricPush {
  readonly #exporter: OTLPMetricExporter;
  readonly #read: () => Promise<ResourceMetrics>;
  readonly #outage: Outage;
  readonly #timer: NodeJS.Timeout;
  #running: Promise<void> | undefined;

  /** @param logger is told once when the collector fails, and once when it is back. */
  constructor(
    { endpoint, headers, intervalMs }: OtlpSettings,
    read: () => Promise<ResourceMetrics>,
    logger: Logger | undefined,
  ) {
    const base = endpoint.replace(/\/$/, '');
    this.#exporter = new OTLPMetricExporter({
      url: `${base}/v1/metrics`,
      headers: { ...headers },
      timeoutMillis: pushTimeoutMs,
    });
    this.#read = read;
    this.#outage = new Outage('metrics', endpoint, logger);
    this.#timer = setInterval(() => {
      this.#running ??= this.#push().finally(() => {
        this.#running = undefined;
      });
    }, intervalMs).unref();
  }

  /**
   * Pushes what has come since the last time, unless the collector was down then; within
   * {@link pushTimeoutMs}, whatever the collector does.
   */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    const ending = (this.#running ?? Promise.resolve()).then(() =>
      this.#outage.isOn ? undefined : this.#push(),
    );
    await settlesWithin(ending, pushTimeoutMs);
    // It waits for what is still on its way, which has a bound of its own.
    this.#exporter.shutdown().catch(() => undefined);
  }

  /** Never rejects. */
  async #push(): Promise<void> {
    try {
      const figures = await this.#read();
      const result = await new Promise<ExportResult>((resolve) => {
        this.#exporter.export(figures, resolve);
      });
      this.#outage.note(result.error);
    } catch (error) {
      this.#outage.note(error);
    }
  }
}
