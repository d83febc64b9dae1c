/** What a metric is, and the name that Prometheus knows it by. */

import type { LabelName } from './metric-labels.js';

/**
 * How a figure is taken: counted or measured as it happens, or looked at when it is asked for.
 * `info` is no instrument: it is what the process is, always 1.
 */
export type InstrumentKind =
  | 'counter'
  | 'histogram'
  | 'observableCounter'
  | 'observableGauge'
  | 'info';

/** A unit as OpenTelemetry writes it; in braces: what is counted. */
export type Unit = 's' | 'By' | '1' | '' | `{${string}}`;

/** One metric. */
export interface Metric {
  readonly instrument: InstrumentKind;
  readonly unit: Unit;
  readonly labels: readonly LabelName[];
  /** What it says. */
  readonly help: string;
  /** What an operator does when it is off. */
  readonly action: string;
}

const suffixes: Readonly<Record<string, string>> = { s: 'seconds', By: 'bytes' };

/**
 * The name in Prometheus, as OpenTelemetry's own rules make it: with the unit, and `_total` of a
 * counter. So a figure has one name, whether it is scraped or comes through a collector.
 */
export function prometheusName(name: string, { instrument, unit }: Metric): string {
  const isCounter = instrument === 'counter' || instrument === 'observableCounter';
  const suffix = unit === '1' && !isCounter ? 'ratio' : suffixes[unit];
  const base = name.replaceAll('.', '_');
  const withUnit = suffix === undefined || base.endsWith(suffix) ? base : `${base}_${suffix}`;
  return isCounter ? `${withUnit}_total` : withUnit;
}

/** The name of a label in Prometheus. */
export function prometheusLabel(label: LabelName): string {
  return label.replaceAll('.', '_');
}
