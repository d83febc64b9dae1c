/**
 * The one reader of a server's figures, for scrapes and for what is pushed. A second reader would
 * keep what the first has read until it is asked itself: for ever, where nobody scrapes.
 */

import {
  AggregationTemporality,
  type CollectionResult,
  InstrumentType,
  MetricReader,
} from '@opentelemetry/sdk-metrics';

/** Series of one metric at most; what comes beyond is told as one, with `otel_metric_overflow`. */
const seriesMax = 2000;

/** Reads all figures, once for all who ask at a time. */
export class FigureReader extends MetricReader {
  #reading: Promise<CollectionResult> | undefined;

  constructor() {
    super({
      // A gauge of what is gone, such as a node that the settings do not name any more, is not told
      // any more; of cumulative ones the last value would stay.
      aggregationTemporalitySelector: (type) =>
        type === InstrumentType.OBSERVABLE_GAUGE
          ? AggregationTemporality.DELTA
          : AggregationTemporality.CUMULATIVE,
      cardinalitySelector: () => seriesMax,
    });
  }

  /** The figures, and why some could not be taken. Who comes meanwhile is given the same. */
  read(): Promise<CollectionResult> {
    this.#reading ??= this.collect().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  protected override onForceFlush(): Promise<void> {
    return Promise.resolve();
  }

  protected override onShutdown(): Promise<void> {
    return Promise.resolve();
  }
}
