/**
 * The table's instruments over OpenTelemetry's API: what is counted as it happens, and what is
 * looked at. Both are typed by the table, so that a metric that nothing fills does not compile.
 */

import type {
  Attributes,
  Counter,
  Histogram,
  Meter,
  MetricOptions,
  Observable,
} from '@opentelemetry/api';
import type { InstrumentKind, Metric } from './metric.js';
import type { LabelName, LabelValue } from './metric-labels.js';
import { type MetricName, metricTable } from './metric-table.js';

type NamesOf<Kind extends InstrumentKind> = {
  [Name in MetricName]: (typeof metricTable)[Name]['instrument'] extends Kind ? Name : never;
}[MetricName];

export type CounterName = NamesOf<'counter'>;
export type HistogramName = NamesOf<'histogram'>;
export type ObservableName = NamesOf<'observableCounter' | 'observableGauge'>;

/** Left out where nothing failed. */
type OptionalLabel = 'stowage.reason' | 'error.type';

type LabelSet<Labels extends LabelName> = {
  readonly [Label in Exclude<Labels, OptionalLabel>]: LabelValue<Label>;
} & { readonly [Label in Extract<Labels, OptionalLabel>]?: LabelValue<Label> };

/** The labels of a metric, each with a value. */
export type LabelsOf<Name extends MetricName> = LabelSet<
  (typeof metricTable)[Name]['labels'][number]
>;

/** From half a millisecond, the fastest read, to the standard deadline of a unary call. */
const bucketsS = [
  ...[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05],
  ...[0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
];

/** Takes what happens. */
export interface Recorder {
  add<Name extends CounterName>(name: Name, value: number, labels: LabelsOf<Name>): void;
  /** `durationMs` is told in seconds. */
  time<Name extends HistogramName>(name: Name, durationMs: number, labels: LabelsOf<Name>): void;
}

/** Makes every counter and histogram of the table. */
export function createRecorder(meter: Meter): Recorder {
  const counters = new Map<string, Counter>();
  const histograms = new Map<string, Histogram>();
  for (const [name, metric] of Object.entries<Metric>(metricTable)) {
    const options = optionsOf(metric);
    if (metric.instrument === 'counter') counters.set(name, meter.createCounter(name, options));
    if (metric.instrument === 'histogram') {
      const advice = { explicitBucketBoundaries: bucketsS };
      histograms.set(name, meter.createHistogram(name, { ...options, advice }));
    }
  }
  return {
    add: (name, value, labels) => counters.get(name)?.add(value, labels),
    time: (name, durationMs, labels) => histograms.get(name)?.record(durationMs / 1000, labels),
  };
}

/** How each observable metric is told of a look at the server. */
export type Observers<Look> = {
  readonly [Name in ObservableName]: (
    look: Look,
    tell: (value: number, labels: LabelsOf<Name>) => void,
  ) => void;
};

type Tell = (value: number, labels: Attributes) => void;

/** Makes every observable metric; one look is taken for all of them, whenever they are asked. */
export function observe<Look>(meter: Meter, look: () => Look, observers: Observers<Look>): void {
  const told = new Map<Observable, (seen: Look, tell: Tell) => void>();
  for (const [name, observer] of Object.entries(observers)) {
    const metric: Metric = metricTable[name as ObservableName];
    const options = optionsOf(metric);
    const instrument =
      metric.instrument === 'observableCounter'
        ? meter.createObservableCounter(name, options)
        : meter.createObservableGauge(name, options);
    told.set(instrument, observer);
  }
  meter.addBatchObservableCallback(
    (result) => {
      const seen = look();
      for (const [instrument, observer] of told) {
        observer(seen, (value, labels) => result.observe(instrument, value, labels));
      }
    },
    [...told.keys()],
  );
}

function optionsOf({ help, unit }: Metric): MetricOptions {
  return { description: help, unit };
}
