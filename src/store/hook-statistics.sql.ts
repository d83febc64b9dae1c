/**
 * Statements that add up executions by hook and kind of event. They look at a bounded number of the
 * newest of a window, whatever the window has.
 */

import type { TimestampValue } from '../lib/timestamp.js';
import { type Statement, statement } from '../postgres/statement.js';
import { NO_ID } from './audit-pages.sql.js';
import { IN_PROJECT } from './object-reads.sql.js';

/** How many rows are given. */
const GROUPS = 1_000;

/** Where the window begins. */
const START = 'now() - make_interval(hours => $2::int)';

/** How one hook fared with one kind of event. */
export interface HookFigures {
  readonly hook_name: string;
  readonly event_type: string;
  readonly total: bigint;
  readonly successful: bigint;
  readonly avg_time: number | null;
  readonly p50_time: number | null;
  readonly p95_time: number | null;
  readonly p99_time: number | null;
  readonly last_run_at: TimestampValue;
  readonly last_error_at: TimestampValue | null;
  readonly last_error: string | null;
}

/** What was found; one row without figures for nothing. */
export type HookStatisticsRow = (HookFigures | { readonly hook_name: null }) & {
  /** The same in each row: the window had more than was looked at. */
  readonly limited: boolean;
};

/**
 * $1 project, $2 hours to now, $3 the kind of event or empty, $4 how many executions are looked at,
 * $5 the hook. The kind is asked for behind the limit: before it, a rare one would have the whole
 * window read. What the last error said is fetched by its time: to carry the texts of a million
 * rows along would take gigabytes. All three percentiles come of one sort.
 */
function statisticsOf(name: string, ofHook: string, order: string): Statement<HookStatisticsRow> {
  const groupOf = 'project_id = $1 and hook_name = figures.hook_name';
  return statement({
    name,
    intent: 'read',
    plan: 'generic',
    text: `
    with recent as materialized (
      select hook_name, event_type, success, execution_time, timestamp,
        row_number() over (order by ${order}) as place
      from storage_hooks
      where project_id = $1 and timestamp >= ${START} and timestamp <= now()${ofHook}${IN_PROJECT}
      order by ${order}
      limit $4::int + 1
    ), figures as (
      select hook_name, event_type, count(*) as total,
        count(*) filter (where success) as successful,
        avg(execution_time) as avg_time,
        percentile_cont('{0.5,0.95,0.99}'::float8[]) within group (order by execution_time)
          as percentiles,
        max(timestamp) as last_run_at,
        max(timestamp) filter (where not success) as last_error_at
      from recent
      where place <= $4::int and ($3 = '' or event_type = $3)
      group by hook_name, event_type
      order by total desc, hook_name, event_type
      limit ${GROUPS}
    )
    select hook_name, event_type, total, successful, avg_time, percentiles[1] as p50_time,
      percentiles[2] as p95_time, percentiles[3] as p99_time, last_run_at, last_error_at,
      last_error, limited
    from (
      select exists (select from recent where place > $4::int) as limited
    ) as bound
    left join figures on true
    left join lateral (
      select left(error_message, 512) as last_error
      from storage_hooks
      where ${groupOf} and timestamp = last_error_at
        and event_type = figures.event_type and not success
      order by id desc
      limit 1
    ) as failed on true
    order by hook_name, event_type`,
  });
}

/** Of all hooks. */
export const hookStatistics = statisticsOf('hook-statistics', '', 'timestamp desc, id desc');

/** Of the hook $5, which is part of the order as in a page of its executions. */
export const oneHookStatistics = statisticsOf(
  'one-hook-statistics',
  `
        and (hook_name, timestamp, id) >= ($5, ${START}, ${NO_ID})
        and (hook_name, timestamp, id) < ($5, 'infinity', ${NO_ID})`,
  'hook_name desc, timestamp desc, id desc',
);
