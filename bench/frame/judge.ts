/** From repetitions to rows: value, baseline, ratio, spread, and whether the goal is met. */

import type { RowSpec, Samples } from './lane.js';
import { median, quantile, SAMPLES_MIN, spread } from './statistics.js';

/** A row that is judged by its median is unsure where the spread is larger. */
export const SPREAD_MAX = 0.2;

/** What became of a row's goal; `reported` where it has none. */
export type Verdict = 'aim' | 'must' | 'missed' | 'unsure' | 'reported';

/** One row of the result, as the JSON has it. */
export interface RowResult {
  /** Lane and row: `export.wall`. */
  readonly name: string;
  /** Whose value it is. */
  readonly subject: string;
  /** Median of the repetitions. */
  readonly value: number;
  /** Least and greatest of the repetitions. */
  readonly min: number;
  readonly max: number;
  readonly unit: string;
  /** The subject that `baseline` is of; null where the row stands alone. */
  readonly against: string | null;
  /** Median of that subject. */
  readonly baseline: number | null;
  /** Value over baseline. */
  readonly ratio: number | null;
  readonly better: 'lower' | 'higher';
  readonly must: number | null;
  readonly aim: number | null;
  /** Whether `must` is met for sure; null where the row has no goal. */
  readonly met: boolean | null;
  readonly verdict: Verdict;
  /** Distance of the quartiles over the median, of what is judged; null for too few repetitions. */
  readonly spread: number | null;
  /** What is judged, repetition by repetition. */
  readonly samples: readonly number[];
}

/**
 * Judges one row. A ratio's spread is that of the ratios within the repetitions: what slows the
 * whole machine slows both sides.
 * @throws {Error} where a subject or a measure is not there
 */
export function judge(lane: string, spec: RowSpec, samples: Samples): RowResult {
  const { subject = 'ours', against, better, must, aim } = spec;
  const values = measuresOf(samples, subject, spec.measure);
  const { againstMeasure = spec.measure } = spec;
  const baselines = against === undefined ? [] : measuresOf(samples, against, againstMeasure);
  const value = median(values);
  const baseline = baselines.length === 0 ? null : median(baselines);
  const ratio = baseline === null ? null : value / baseline;
  const judged =
    baseline === null ? values : values.map((each, i) => each / (baselines[i] ?? Number.NaN));
  const verdict = verdictOf(spec, evidenceOf(spec, judged, ratio ?? value));
  return {
    name: `${lane}.${spec.name}`,
    subject,
    value,
    min: Math.min(...values),
    max: Math.max(...values),
    unit: spec.unit,
    against: against ?? null,
    baseline,
    ratio,
    better,
    must: must ?? null,
    aim: aim ?? null,
    met: verdict === 'reported' ? null : verdict === 'must' || verdict === 'aim',
    verdict,
    spread: spread(judged) ?? null,
    samples: judged,
  };
}

/** The values that must agree on a bound; undefined where nothing can be said. */
function evidenceOf(
  { judgedBy, better }: RowSpec,
  judged: readonly number[],
  middle: number,
): readonly number[] | undefined {
  if (judgedBy === 'worst') return [Math[better === 'lower' ? 'max' : 'min'](...judged)];
  if (judgedBy === 'quartiles') {
    if (judged.length < SAMPLES_MIN) return undefined;
    return [quantile(judged, 0.25), quantile(judged, 0.75)];
  }
  return (spread(judged) ?? Infinity) > SPREAD_MAX ? undefined : [middle];
}

function verdictOf(
  { better, must, aim }: RowSpec,
  evidence: readonly number[] | undefined,
): Verdict {
  if (must === undefined) return 'reported';
  if (evidence === undefined) return 'unsure';
  const within = (bound: number) =>
    evidence.filter((value) => (better === 'lower' ? value <= bound : value >= bound)).length;
  if (within(must) === 0) return 'missed';
  if (within(must) < evidence.length) return 'unsure';
  return aim !== undefined && within(aim) === evidence.length ? 'aim' : 'must';
}

/** Of one subject, or added up of several, repetition by repetition. */
function measuresOf(samples: Samples, subjects: string, measure: string): number[] {
  const parts = subjects.split('+').map((subject) => measuresOfOne(samples, subject, measure));
  return (parts[0] ?? []).map((_, i) => parts.reduce((sum, part) => sum + (part[i] ?? 0), 0));
}

function measuresOfOne(samples: Samples, subject: string, measure: string): number[] {
  const repetitions = samples.get(subject);
  if (repetitions === undefined) throw new Error(`there is no subject ${subject}`);
  return repetitions.map((measures) => {
    const value = measures[measure];
    if (value === undefined) throw new Error(`${subject} does not measure ${measure}`);
    return value;
  });
}
