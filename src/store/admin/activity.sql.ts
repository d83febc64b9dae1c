/** The statement on sessions. */

import { statement } from '../../postgres/statement.js';

/** One session; what the login may not see is null. */
export interface SessionRow {
  readonly pid: number;
  readonly user_name: string | null;
  readonly application: string | null;
  readonly address: string | null;
  readonly state: string | null;
  readonly wait: string | null;
  readonly statement_ms: number | null;
  readonly transaction_ms: number | null;
  readonly blocked_by: number[] | null;
  readonly blocks: number;
  readonly statement: string | null;
  readonly all_sessions: number;
}

/** To ask who is in the way stops the lock manager for a moment: for so many and no more. */
const WAITING_MAX = 200;

/**
 * Sessions of the database but the one that asks: those that block others first, then the longest.
 * Who waits is known from the locks, which all may see. Parameters: how many at most; how long
 * their statement or transaction must have taken, in ms.
 */
export const readActivity = statement<SessionRow>({
  name: 'admin-activity',
  intent: 'read',
  text: `
    with waiting as materialized (
      select l.pid
      from pg_locks l
      where not l.granted
      group by l.pid
      order by min(l.waitstart), l.pid
      limit ${WAITING_MAX}
    ), blocked as materialized (
      select w.pid, (
          select array_agg(b.pid order by b.pid)
          from (select distinct b.pid from unnest(pg_blocking_pids(w.pid)) as b (pid)) as b
        ) as by
      from waiting w
    ), blocking as (
      select b.pid, count(*)::int4 as blocks
      from blocked
      cross join lateral unnest(by) as b (pid)
      group by b.pid
    ), sessions as (
      select a.pid, a.usename::text as user_name, a.application_name as application,
        host(a.client_addr) as address, a.state,
        a.wait_event_type || ': ' || a.wait_event as wait,
        extract(epoch from clock_timestamp() - case when a.state = 'active' then a.query_start
          else a.state_change end)::float8 * 1000 as statement_ms,
        extract(epoch from clock_timestamp() - a.xact_start)::float8 * 1000 as transaction_ms,
        w.by, coalesce(b.blocks, 0) as blocks, a.state is distinct from 'idle' as is_busy,
        case when a.query <> '<insufficient privilege>' then left(a.query, 1000) end as statement
      from pg_stat_activity a
      left join blocked w on w.pid = a.pid
      left join blocking b on b.pid = a.pid
      where a.datname = current_database() and a.pid <> pg_backend_pid()
    )
    select pid, user_name, application, address, state, wait, statement_ms, transaction_ms,
      by[:16] as blocked_by, blocks, statement, (count(*) over ())::int4 as all_sessions
    from sessions
    where coalesce($2::float8, 0) = 0 or blocks > 0 or by is not null
      or (state = 'active' and statement_ms >= $2::float8) or transaction_ms >= $2::float8
    order by blocks > 0 desc, is_busy desc,
      greatest(transaction_ms, case when state = 'active' then statement_ms end) desc nulls last,
      pid
    limit $1`,
});
