/** The statement on the database and on how its node is used. */

import type { TimestampValue } from '../../lib/timestamp.js';
import { statement } from '../../postgres/statement.js';

/** The database, by the counters of the node that is asked. */
export interface DatabaseRow {
  readonly name: string;
  readonly size_bytes: bigint;
  readonly heap_hit_ratio: number | null;
  readonly index_hit_ratio: number | null;
  readonly committed: bigint;
  readonly rolled_back: bigint;
  readonly deadlocks: bigint;
  readonly temporary_bytes: bigint;
  readonly states: string[] | null;
  readonly sessions: number[] | null;
  readonly sessions_max: number;
  readonly reset_at: TimestampValue | null;
}

/** Fetched blocks are those that were found and those that were not. */
const hitRatio = (kinds: string): string => `(
        select sum(pg_stat_get_blocks_hit(c.oid))
          / nullif(sum(pg_stat_get_blocks_fetched(c.oid)), 0)
        from pg_class c
        where c.relkind in (${kinds})
      )::float8`;

/** The database. Whose state is not to be seen counts as `unknown`. */
export const readDatabase = statement<DatabaseRow>({
  name: 'admin-database',
  intent: 'read',
  text: `
    with open as (
      select coalesce(a.state, 'unknown') as state, count(*)::int4 as sessions
      from pg_stat_activity a
      where a.datname = current_database() and a.usesysid is not null
        and coalesce(a.backend_type, 'client backend') = 'client backend'
      group by 1
    )
    select d.datname::text as name, pg_database_size(d.oid) as size_bytes,
      ${hitRatio("'r', 't', 'm'")} as heap_hit_ratio,
      ${hitRatio("'i'")} as index_hit_ratio,
      s.xact_commit as committed, s.xact_rollback as rolled_back, s.deadlocks,
      s.temp_bytes as temporary_bytes,
      (select array_agg(state order by state) from open) as states,
      (select array_agg(sessions order by state) from open) as sessions,
      current_setting('max_connections')::int4 as sessions_max, s.stats_reset as reset_at
    from pg_database d
    join pg_stat_database s on s.datid = d.oid
    where d.datname = current_database()`,
});
