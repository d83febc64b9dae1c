/** Slices in the order of time and id, each bounded by the rows that it passes. */

import { toIsoMicros } from '../lib/timestamp.js';
import type { Call } from '../postgres/call.js';
import { PASSED_ROWS } from './slice-size.js';
import type { Slice } from './slice-stream.js';
import type { Store } from './store.js';
import type { Place, TimeSlices } from './time-slices.sql.js';

/** Below every id, and above. */
const ID_FLOOR = '00000000-0000-0000-0000-000000000000';
const ID_CEILING = 'ffffffff-ffff-ffff-ffff-ffffffffffff';

/** What to give slices of. */
export interface TimedFilter {
  readonly statements: TimeSlices;
  /** Project, filter and range, as the statements take them. */
  readonly params: readonly unknown[];
  /** The same of the one condition whose index the slices go along. */
  readonly driver: readonly unknown[];
  /** The driver is all that is asked for. */
  readonly isWhole: boolean;
}

/** The key of a row: where a stream goes on behind it. */
export function keyOfPlace({ timestamp, id }: Place): string {
  return `${toIsoMicros(timestamp)} ${id}`;
}

/**
 * The slice behind a key. It ends behind so many rows of its index, for else rows that do not match
 * or came later than the snapshot would be passed without a bound.
 */
export async function timeSlice(
  store: Store,
  call: Call,
  { statements, params, driver, isWhole }: TimedFilter,
  after: string,
  rowsMax: number,
  snapshot: string,
): Promise<Slice> {
  const behind = after === '' ? ['-infinity', ID_FLOOR] : after.split(' ');
  const passed = isWhole ? rowsMax : PASSED_ROWS;
  const boundary = [...driver, ...behind, passed - 1];
  const [last] = await store.router.run(statements.boundary, boundary, call);
  const end = last && keyOfPlace(last);
  const until = end === undefined ? ['infinity', ID_CEILING] : end.split(' ');
  const sliced = [...params, ...behind, ...until, rowsMax, snapshot];
  return { statement: statements.slice, params: sliced, end };
}
