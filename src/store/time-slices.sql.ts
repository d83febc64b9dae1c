/** Statements of slices in the order of time and id, of tables that are partitioned by time. */

import type { TimestampValue } from '../lib/timestamp.js';
import { type Statement, statement } from '../postgres/statement.js';

/** What is streamed. */
interface TimedRows {
  /** Ends the statements' names. */
  readonly name: string;
  readonly table: string;
  readonly columns: string;
  /** The filter over its parameters; the project is $1. */
  readonly matches: string;
  /** How many parameters project, filter and the range's two ends are; those are the last two. */
  readonly params: number;
}

/** Where a row stands. */
export interface Place {
  readonly timestamp: TimestampValue;
  readonly id: string;
}

/** The statements of one stream. */
export interface TimeSlices {
  /**
   * Behind them: time and id that it begins behind, time and id that it ends with, how many rows at
   * most, and the snapshot.
   */
  readonly slice: Statement;
  /** Behind them: the first two of those, and how many rows further on the boundary is. */
  readonly boundary: Statement<Place>;
}

/**
 * The position's time stands there once more, alone: partitions are pruned by it, and not by a
 * comparison of rows. Planned for each slice, which takes a thousandth of its time: conditions that
 * are not asked for are gone then, and an index is chosen for those that are.
 */
export function timeSlices({ name, table, columns, matches, params }: TimedRows): TimeSlices {
  const $ = (behind: number) => `$${params + behind}`;
  const range = `
    from ${table}
    where project_id = $1 and timestamp >= ${$(-1)} and timestamp < ${$(0)}
      and timestamp >= ${$(1)}::timestamptz and (timestamp, id) > (${$(1)}, ${$(2)}::uuid)
      and ${matches}`;
  return {
    slice: statement({
      name: `export-${name}`,
      intent: 'read',
      plan: 'custom',
      text: `
    select ${columns}${range}
      and timestamp <= ${$(3)}::timestamptz and (timestamp, id) <= (${$(3)}, ${$(4)}::uuid)
      and pg_visible_in_snapshot(xid, ${$(6)}::pg_snapshot)
    order by timestamp, id
    limit ${$(5)}`,
    }),
    boundary: statement<Place>({
      name: `find-boundary-of-${name}`,
      intent: 'read',
      plan: 'custom',
      text: `
    select timestamp, id${range}
    order by timestamp, id
    offset ${$(3)} limit 1`,
    }),
  };
}
