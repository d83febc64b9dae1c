/** An exporter of spans whose outages are told. */

import type { ExportResult } from '@opentelemetry/core';
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace-base';
import type { Outage } from './outage.js';

/** An exporter beside what tells of its outages. */
export class WatchedExporter implements SpanExporter {
  readonly #exporter: SpanExporter;
  readonly #outage: Outage;

  constructor(exporter: SpanExporter, outage: Outage) {
    this.#exporter = exporter;
    this.#outage = outage;
  }

  export(spans: ReadableSpan[], done: (result: ExportResult) => void): void {
    this.#exporter.export(spans, (result) => {
      this.#outage.note(result.error);
      done(result);
    });
  }

  shutdown(): Promise<void> {
    return this.#exporter.shutdown();
  }
}
