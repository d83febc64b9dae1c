/**
 * Statements that give a page of events. Each reads one index in the list's order, from a position
 * on and only in the partitions of the time range, looks at a bounded number of rows, and drops
 * those that the rest of the filter does not let through.
 */

import { type Statement, statement } from '../postgres/statement.js';
import { EVENT, type EventRow } from './audit-columns.js';
import { FILTER_MATCHES } from './audit-filter.sql.js';
import { IN_PROJECT } from './object-reads.sql.js';
import { type CutRow, cutPage } from './page-cut.sql.js';

/** The texts of an event that a caller may fill. */
export const EVENT_TEXTS = [
  ...['user_id', 'username', 'action', 'object_key', 'version_id', 'user_agent'],
  ...['error_message', 'correlation_id'],
] as const;

/** A row of a page. */
export interface ListedEventRow extends EventRow, CutRow {
  /** Which row of the scan it is, from 1. */
  readonly scan_place: bigint;
  /** False for the last row of a scan that the filter does not let through: it says how far. */
  readonly matches: boolean;
}

/** The time range of the filter. */
const RANGE = 'timestamp >= $12 and timestamp < $13';

/** What one way to list is made of. */
interface Way {
  readonly name: string;
  /** Which rows an index gives, from the position on. */
  readonly range: string;
  readonly orderBy: string;
  readonly matches: string;
}

/**
 * A page: $1 to $13 project and filter, $14 how many rows at most, $15 how many rows it looks at,
 * from the position on, $16 and $17. That bound is a parameter and the plan generic, for then the
 * planner takes it that a tenth of the rows is read, and sorts nothing: with the values in sight it
 * would rather sort all of a range that it takes for small, such as that of the first value in
 * order, however many events have it. The outer order is that of the scan in the same words.
 */
function page({ name, range, orderBy, matches }: Way): Statement<ListedEventRow> {
  return statement({
    name: `list-events-${name}`,
    intent: 'read',
    plan: 'generic',
    text: `
    with page as materialized (
      select *
      from (
        select ${EVENT}, ${matches} as matches,
          row_number() over (order by ${orderBy}) as scan_place
        from storage_audit
        where project_id = $1 and ${range}${IN_PROJECT}
        order by ${orderBy}
        limit $15
      ) as scanned
      where matches or scan_place = $15
      order by ${orderBy}
      limit $14
    )${cutPage(`${EVENT_NAMES}, scan_place, matches`, 'scan_place', EVENT_TEXTS)}`,
  });
}

/** The columns of an event that a page has already. */
const EVENT_NAMES = EVENT.replace('host(ip_address) as ', '');

/** Both directions of a list. */
interface Directions {
  readonly ascending: Statement<ListedEventRow>;
  readonly descending: Statement<ListedEventRow>;
}

/** What no id is below: as the end of a range it stands before all events of its time. */
export const NO_ID = `'00000000-0000-0000-0000-000000000000'::uuid`;

/**
 * In the order of time, behind $16 and $17, of one value of a column or of all. That value is part
 * of the order, as an end of the range rather than by `=`: only the column's own index is of this
 * order, and the planner would take the primary key's, and read a month to find nothing, wherever
 * it expects few rows. What bounds the time stands there once more, alone: partitions are pruned by
 * it, and not by a comparison of rows.
 */
function byTime(name: string, column = '', value = ''): Directions {
  const row = (...columns: string[]) => columns.filter((each) => each !== '').join(', ');
  const key = `(${row(column, 'timestamp', 'id')})`;
  const position = `(${row(value, '$16', '$17')})`;
  const end = (bound: string) => `(${row(value, bound, NO_ID)})`;
  return {
    ascending: page({
      name,
      range: `${key} > ${position} and ${key} < ${end('$13')} and timestamp >= $16 and ${RANGE}`,
      orderBy: row(column, 'timestamp', 'id'),
      matches: FILTER_MATCHES,
    }),
    descending: page({
      name: `${name}-descending`,
      range: `${key} < ${position} and ${key} >= ${end('$12')} and timestamp <= $16 and ${RANGE}`,
      orderBy: row(column && `${column} desc`, 'timestamp desc', 'id desc'),
      matches: FILTER_MATCHES,
    }),
  };
}

/**
 * In the order of keys below a prefix, behind key $18, of one key in the order of time. Months, $19
 * to $20, are what partitions are of: so they are pruned, and within them what is not of the time
 * range is counted as looked at.
 */
function byKey(): Directions {
  const months = 'timestamp >= $19 and timestamp < $20';
  const matches = `(${RANGE} and ${FILTER_MATCHES})`;
  return {
    ascending: page({
      name: 'by-key',
      range: `(object_key, timestamp, id) > ($18, $16, $17) and object_key < $7 and ${months}`,
      orderBy: 'object_key, timestamp, id',
      matches,
    }),
    descending: page({
      name: 'by-key-descending',
      range: `(object_key, timestamp, id) < ($18, $16, $17) and object_key >= $6 and ${months}`,
      orderBy: 'object_key desc, timestamp desc, id desc',
      matches,
    }),
  };
}

/** The pages of each way. */
export const eventPages = {
  time: byTime('by-time'),
  user: byTime('of-user', 'user_id', '$2'),
  action: byTime('of-action', 'action', '$4'),
  object: byTime('of-object', 'object_key', '$5'),
  correlation: byTime('of-correlation', 'correlation_id', '$10'),
  key: byKey(),
} as const;
