/**
 * Pushes figures to a collector at an interval. One push at a time: while one runs the next is left
 * out, for figures are cumulative and the one after it carries all. So nothing is ever kept for a
 * collector that is down.
 */

import { type ExportResult, ExportResultCode } from '@opentelemetry/core';
import { OTLPMetricExporter } from '@opentelemetry/exporter-metrics-otlp-http';
import type { ResourceMetrics } from '@opentelemetry/sdk-metrics';
import type { OtlpSettings } from '../config-telemetry.js';
import { settlesWithin } from '../lib/interruption.js';
import type { Logger } from './log.js';

/** How long a push may take, with its repeats; and so how long a stop may wait for one. */
const pushTimeoutMs = 2000;
const detailLengthMax = 200;

/** Pushes until it is stopped. */
export class MetricPush {
  readonly #exporter: OTLPMetricExporter;
  readonly #read: () => Promise<ResourceMetrics>;
  readonly #collector: string;
  readonly #logger: Logger | undefined;
  readonly #timer: NodeJS.Timeout;
  #running: Promise<void> | undefined;
  #isDown = false;

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
    // Without what else a URL may have: a password.
    this.#collector = new URL(base).origin;
    this.#logger = logger;
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
      this.#isDown ? undefined : this.#push(),
    );
    await settlesWithin(ending, pushTimeoutMs);
    void this.#exporter.shutdown();
  }

  /** Never rejects. */
  async #push(): Promise<void> {
    try {
      const figures = await this.#read();
      const result = await new Promise<ExportResult>((resolve) => {
        this.#exporter.export(figures, resolve);
      });
      if (result.code === ExportResultCode.SUCCESS) this.#succeeded();
      else this.#failed(result.error);
    } catch (error) {
      this.#failed(error);
    }
  }

  #succeeded(): void {
    if (!this.#isDown) return;
    this.#isDown = false;
    this.#logger?.info({ collector: this.#collector }, 'metrics reach their collector again');
  }

  #failed(error: unknown): void {
    if (this.#isDown) return;
    this.#isDown = true;
    const facts = { collector: this.#collector, detail: detailOf(error) };
    this.#logger?.warn(facts, 'metrics do not reach their collector');
  }
}

/** Not the error itself, which has all that the collector answered. */
function detailOf(error: unknown): string {
  const { message = '', code = '' } = (error ?? {}) as { message?: string; code?: unknown };
  return `${message || 'no answer'} ${String(code)}`.trim().slice(0, detailLengthMax);
}
