/**
 * How far standbys are behind, measured with one clock: a ring of the primary's flushed LSN and the
 * time at which it was asked for. A standby that has replayed the sample of a time has all that was
 * committed before it. Pure.
 */

/** The primary's flushed LSN at a moment. */
export interface Sample {
  readonly atMs: number;
  readonly lsn: bigint;
}

/** Samples of one reign of one primary. */
export interface LagSamples {
  /** Whose they are: another primary, timeline or start begins a fresh series. */
  readonly of: string;
  /** Ascending. */
  readonly samples: readonly Sample[];
}

/** Two minutes at the default interval; a standby further behind has an unknown lag. */
const SAMPLES_MAX = 256;

/** While somebody waits samples come far faster; thinned out they still reach back 25 s. */
const SPACING_MS = 100;

/** No primary was seen yet. */
export const NO_SAMPLES: LagSamples = { of: '', samples: [] };

/**
 * The series with one sample more, which takes the place of the last one where that is close to the
 * one before; the same series where the sample is in it already.
 */
export function withSample(series: LagSamples, of: string, sample: Sample): LagSamples {
  const samples = series.of === of ? series.samples : [];
  const [before, last] = samples.slice(-2);
  if (samples.at(-1)?.atMs === sample.atMs) return series;
  const isDense = before && last && last.atMs - before.atMs < SPACING_MS;
  return { of, samples: [...samples.slice(1 - SAMPLES_MAX, isDense ? -1 : undefined), sample] };
}

/** The time of the newest sample that was replayed; undefined where none was. */
export function freshAsOf({ samples }: LagSamples, replayed: bigint | undefined) {
  if (replayed === undefined) return undefined;
  return samples.findLast((sample) => sample.lsn <= replayed)?.atMs;
}

/** How many bytes the newest sample is ahead; undefined without samples. */
export function bytesBehind({ samples }: LagSamples, replayed: bigint | undefined) {
  const newest = samples.at(-1);
  if (newest === undefined || replayed === undefined) return undefined;
  return newest.lsn > replayed ? newest.lsn - replayed : 0n;
}

/**
 * Whether a standby has surely not replayed what was flushed `ms` ago. A series that is younger
 * tells nothing: a service that has just started must not take its standbys for late.
 */
export function trails(
  series: LagSamples,
  replayed: bigint | undefined,
  nowMs: number,
  ms: number,
): boolean {
  const limit = series.samples.findLast((sample) => nowMs - sample.atMs > ms);
  return limit !== undefined && (replayed === undefined || replayed < limit.lsn);
}
