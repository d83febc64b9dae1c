/** From repetitions to rows: value, baseline, ratio, spread, and whether the goal is met. */

import type { RowSpec, Samples } from './lane.js';
import { median, spread } from './statistics.js';

/** A row whose spread is larger is unsure. */
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
  const spreadOfJudged = spread(judged) ?? null;
  const decisive =
    spec.judgedBy === 'worst'
      ? Math[better === 'lower' ? 'max' : 'min'](...judged)
      : (ratio ?? value);
  const isUnsure =
    spec.judgedBy !== 'worst' && (spreadOfJudged === null || spreadOfJudged > SPREAD_MAX);
  const verdict = verdictOf(spec, decisive, isUnsure);
  return {
    name: `${lane}.${spec.name}`,
    subject,
    value,
    unit: spec.unit,
    against: against ?? null,
    baseline,
    ratio,
    better,
    must: must ?? null,
    aim: aim ?? null,
    met: verdict === 'reported' ? null : verdict === 'must' || verdict === 'aim',
    verdict,
    spread: spreadOfJudged,
    samples: judged,
  };
}

function verdictOf({ better, must, aim }: RowSpec, decisive: number, isUnsure: boolean): Verdict {
  if (must === undefined) return 'reported';
  if (isUnsure) return 'unsure';
  const holds = (bound: number) => (better === 'lower' ? decisive <= bound : decisive >= bound);
  if (!holds(must)) return 'missed';
  return aim !== undefined && holds(aim) ? 'aim' : 'must';
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
