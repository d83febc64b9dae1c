/**
 * Says when a collector stops taking what it is sent, and when it takes it again: once each, for
 * the libraries would say it never, or at every attempt.
 */

import type { ExportResult } from '@opentelemetry/core';
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace-base';
import type { Logger } from './log.js';

/** An exporter beside a log. */
export class WatchedExporter implements SpanExporter {
  readonly #exporter: SpanExporter;
  readonly #logger: Logger | undefined;
  #isFailing = false;

  constructor(exporter: SpanExporter, logger: Logger | undefined) {
    this.#exporter = exporter;
    this.#logger = logger;
  }

  export(spans: ReadableSpan[], done: (result: ExportResult) => void): void {
    this.#exporter.export(spans, (result) => {
      this.#note(result.error);
      done(result);
    });
  }

  shutdown(): Promise<void> {
    return this.#exporter.shutdown();
  }

  #note(error: Error | undefined): void {
    const isFailing = error !== undefined;
    if (isFailing === this.#isFailing) return;
    this.#isFailing = isFailing;
    if (isFailing) {
      // Its body is the collector's, which may repeat what it was sent, credentials too.
      this.#logger?.warn({ err: error }, 'traces are lost: the collector does not take them');
    } else {
      this.#logger?.info('the collector takes traces again');
    }
  }
}
