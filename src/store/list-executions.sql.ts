/**
 * Statements that give a page of executions. Each reads one index in the order of time and drops
 * what the rest of the filter does not let through, from a bounded number of rows: a page may come
 * out short, or empty, and still say where the next one begins.
 */

import { type Statement, statement } from '../postgres/statement.js';
import { NO_ID } from './audit-pages.sql.js';
import { EXECUTION, type ExecutionRow } from './execution-columns.js';
import { IN_PROJECT } from './object-reads.sql.js';
import { type CutRow, cutPage } from './page-cut.sql.js';

/** A row of a page. */
export interface ListedExecution extends ExecutionRow, CutRow {
  /** Which row of the scan it is, from 1. */
  readonly scan_place: bigint;
  /** False for the last row of a scan that the filter does not let through: it says how far. */
  readonly matches: boolean;
}

/** What no index knows: $5 hook, $6 kind of event, $7 object, $8 success, $9 correlation. */
const MATCHES = `(($5 = '' or hook_name = $5) and ($6 = '' or event_type = $6)
        and ($7 = '' or object_key = $7) and ($8::boolean is null or success = $8)
        and ($9 = '' or correlation_id = $9))`;

/** The texts that callers fill and that a page is cut by. */
const TEXTS = ['hook_name', 'event_type', 'object_key', 'error_message', 'correlation_id'] as const;

/** Both directions of time. */
interface Directions {
  readonly ascending: Statement<ListedExecution>;
  readonly descending: Statement<ListedExecution>;
}

/**
 * $1 project, from $2 to before $3, $4 how many at most, then the filter; behind the execution $11
 * at $10, from no more than $12 rows.
 *
 * The value of an indexed column is part of the order, as an end of the range rather than by `=`:
 * only that column's index is of this order, and the planner would take another one, and read a
 * month to find nothing, wherever it expects few rows. What bounds the time stands once more alone,
 * because partitions are pruned by it and not by a comparison of rows.
 *
 * The bound of the scan is a parameter, and the plan generic: with the values in sight the planner
 * takes the range of the first hook in order for empty, whatever it holds, and would sort all of it
 * for each page.
 */
function directions(name: string, column = '', value = ''): Directions {
  const row = (...parts: string[]) => `(${parts.filter((part) => part !== '').join(', ')})`;
  const key = row(column, 'timestamp', 'id');
  const position = row(value, '$10::timestamptz', '$11::uuid');
  const end = (bound: string) => row(value, `${bound}::timestamptz`, NO_ID);
  const page = (suffix: string, direction: '' | ' desc', range: string) => {
    const columns = [column, 'timestamp', 'id'].filter((part) => part !== '');
    const order = columns.map((part) => `${part}${direction}`).join(', ');
    return statement<ListedExecution>({
      name: `list-${name}${suffix}`,
      intent: 'read',
      plan: 'generic',
      text: `
    with page as materialized (
      select *
      from (
        select ${EXECUTION}, ${MATCHES} as matches,
          row_number() over (order by ${order}) as scan_place
        from storage_hooks
        where project_id = $1 and ${range}
          and timestamp >= $2::timestamptz and timestamp < $3::timestamptz${IN_PROJECT}
        order by ${order}
        limit $12::int8
      ) as scanned
      where matches or scan_place = $12::int8
      order by ${order}
      limit $4
    )${cutPage(`${EXECUTION}, scan_place, matches`, 'scan_place', TEXTS, ['response', 'payload'])}`,
    });
  };
  const [above, below] = [`${key} > ${position}`, `${key} < ${position}`];
  // An index may leave nulls out, and no comparison of rows tells the planner that there are none.
  const isThere = column === '' ? '' : ` and ${column} is not null`;
  const forth = `${above} and ${key} < ${end('$3')} and timestamp >= $10::timestamptz${isThere}`;
  const back = `${below} and ${key} >= ${end('$2')} and timestamp <= $10::timestamptz${isThere}`;
  return { ascending: page('-ascending', '', forth), descending: page('', ' desc', back) };
}

/** The pages by the index that they are read from. */
export const executionPages = {
  correlation: directions('executions-by-correlation', 'correlation_id', '$9'),
  hook: directions('executions-by-hook', 'hook_name', '$5'),
  time: directions('executions'),
} as const;
