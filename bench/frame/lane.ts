/**
 * What a lane is: a few subjects that do the same work (ours, its physical limit, its naive peer),
 * measured in turns, and the rows that compare them. A lane is one file of `bench/lanes`.
 */

import type { Rig } from '../rig/rig.js';

/** What one repetition of a subject came to: numbers by name, such as `wallMs`. */
export type Measures = Readonly<Record<string, number>>;

/** Does the work once. */
export type Subject = () => Promise<Measures>;

/** One line of the table. */
export interface RowSpec {
  /** Behind the lane's name: `wall` of the lane `export` is `export.wall`. */
  readonly name: string;
  readonly unit: string;
  /** Whose measure the row shows; default `ours`. */
  readonly subject?: string;
  readonly measure: string;
  /**
   * The subject that it is divided by, by the same measure; `echo+pool` is the sum of two. Left
   * out: nothing is divided.
   */
  readonly against?: string;
  /** Where the other's measure is another one. */
  readonly againstMeasure?: string;
  readonly better: 'lower' | 'higher';
  /** Bounds of the ratio, or of the value where nothing is divided. None: only reported. */
  readonly must?: number;
  readonly aim?: number;
  /**
   * `median` (the default) judges the middle repetition, where the spread is small; `quartiles`
   * the middle half of them, for what differs by its nature, such as how long after a probe a node
   * dies; `worst` every repetition, for bounds that must never be passed.
   */
  readonly judgedBy?: 'median' | 'quartiles' | 'worst';
}

/** A lane as its file exports it. */
export interface Lane {
  readonly name: string;
  /** One sentence. */
  readonly summary: string;
  /** How much work a repetition is, where `--rows` does not say. */
  readonly rowsDefault: number;
  /** How often each subject is measured, where `--repetitions` does not say; default 5. */
  readonly repetitionsDefault?: number;
  readonly rows: readonly RowSpec[];
  /** Prepares and gives the subjects, in the order of the first repetition. */
  setup(rig: Rig): Promise<Readonly<Record<string, Subject>>>;
}

/** Every repetition's measures, by subject. */
export type Samples = ReadonlyMap<string, readonly Measures[]>;
