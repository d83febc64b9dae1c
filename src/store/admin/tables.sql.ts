/** The statement on tables. Takes no lock that could wait, and changes nothing. */

import type { TimestampValue } from '../../lib/timestamp.js';
import { statement } from '../../postgres/statement.js';
import { columnBytes, fillfactorOf, isOwn, LOCKED, nameOf, PAGE, padded } from './relations.sql.js';

/** One table, or all partitions of one. */
export interface TableRow {
  readonly name: string;
  readonly partitions: number;
  readonly total_bytes: bigint;
  readonly table_bytes: bigint;
  readonly index_bytes: bigint;
  readonly live_rows: bigint;
  readonly dead_rows: bigint;
  readonly bloat_bytes: bigint | null;
  readonly sequential_scans: bigint;
  readonly index_scans: bigint;
  readonly vacuumed_at: TimestampValue | null;
  readonly analyzed_at: TimestampValue | null;
  readonly all_tables: number;
}

/**
 * Pages that the rows of the table `l` would take if they were written anew; null where the widths
 * of its columns are not known, or not to be seen. A row is a pointer of 4 bytes, a header of 23
 * and one bit a column where any is null, and its data.
 */
const EXPECTED = `
      select case
          when l.reltuples = 0 then 0
          when l.reltuples > 0 and bool_and(c.bytes is not null)
            then ceil(l.reltuples / greatest(1, floor(
              (${PAGE} - 24) * ${fillfactorOf('l', 100)}
              / (4 + ceil((23 + case when bool_or(c.has_nulls) then ceil(l.relnatts / 8.0) else 0
                  end) / 8.0) * 8 + ${padded('sum(c.bytes)', 'bool_and(c.is_fixed)')}))))
        end::int8 as pages
      from (
        select a.attlen > 0 as is_fixed, s.null_frac > 0 or a.attisdropped as has_nulls,
          case when a.attisdropped then 0
            else ${columnBytes('lag(a.attlen) over (order by a.attnum)')} end as bytes
        from pg_attribute a
        left join pg_stats s on s.schemaname = l.nspname and s.tablename = l.relname
          and s.attname = a.attname and not s.inherited
        where a.attrelid = l.oid and a.attnum > 0
      ) as c`;

/**
 * Tables, the largest first. A standby counts no rows: there they are as VACUUM or ANALYZE last
 * found them. Parameters: how many at most; whether each partition stands for itself.
 */
export const readTables = statement<TableRow>({
  name: 'admin-tables',
  intent: 'read',
  text: `
    with ${LOCKED}, leaves as materialized (
      select c.oid, c.relname, n.nspname, c.reltuples, c.relnatts, c.reloptions, c.relpages,
        c.reltoastrelid,
        case when $2::boolean then c.oid else coalesce(pg_partition_root(c.oid), c.oid) end as root,
        c.oid in (select relation from locked) or c.reltoastrelid in (select relation from locked)
          or exists (
            select from pg_index i
            where i.indrelid = c.oid and i.indexrelid in (select relation from locked)
          ) as is_locked
      from pg_class c
      join pg_namespace n on n.oid = c.relnamespace
      where c.relkind in ('r', 'm') and ${isOwn('n', 'c')}
    ), sized as materialized (
      select l.*,
        case when is_locked then relpages * ${PAGE} else pg_relation_size(oid) end as table_bytes,
        case when is_locked then (
            select coalesce(sum(x.relpages), 0)::int8 * ${PAGE}
            from pg_index i
            join pg_class x on x.oid = i.indexrelid
            where i.indrelid = l.oid
          ) else pg_indexes_size(oid) end as index_bytes,
        case when is_locked then coalesce((
            select t.relpages * ${PAGE} from pg_class t where t.oid = l.reltoastrelid
          ), 0) end as toast_bytes,
        case when not is_locked then pg_total_relation_size(oid) end as whole_bytes
      from leaves l
    ), ranked as (
      select root, count(*) as leaves, sum(table_bytes)::int8 as table_bytes,
        sum(index_bytes)::int8 as index_bytes,
        sum(coalesce(whole_bytes, table_bytes + index_bytes + toast_bytes))::int8 as total_bytes,
        (count(*) over ())::int4 as all_tables
      from sized
      where table_bytes is not null
      group by root
      order by total_bytes desc, root
      limit $1
    ), known as (
      select l.root,
        sum(case when pg_is_in_recovery() then greatest(l.reltuples, 0)::int8
          else pg_stat_get_live_tuples(l.oid) end)::int8 as live_rows,
        sum(pg_stat_get_dead_tuples(l.oid))::int8 as dead_rows,
        sum(case when l.table_bytes = 0 then 0
          when e.pages is not null then greatest(0, l.table_bytes - e.pages * ${PAGE})
          end)::int8 as bloat_bytes,
        sum(pg_stat_get_numscans(l.oid))::int8 as sequential_scans,
        sum(i.scans)::int8 as index_scans,
        max(greatest(pg_stat_get_last_vacuum_time(l.oid),
          pg_stat_get_last_autovacuum_time(l.oid))) as vacuumed_at,
        max(greatest(pg_stat_get_last_analyze_time(l.oid),
          pg_stat_get_last_autoanalyze_time(l.oid))) as analyzed_at
      from ranked r
      join sized l using (root)
      cross join lateral (
        select coalesce(sum(pg_stat_get_numscans(i.indexrelid)), 0) as scans
        from pg_index i
        where i.indrelid = l.oid
      ) as i
      cross join lateral (${EXPECTED}
      ) as e
      group by l.root
    )
    select ${nameOf('n', 'c')} as name,
      case when c.relkind = 'p' then r.leaves else 0 end::int4 as partitions,
      r.total_bytes, r.table_bytes, r.index_bytes, k.live_rows, k.dead_rows, k.bloat_bytes,
      k.sequential_scans, k.index_scans, k.vacuumed_at, k.analyzed_at, r.all_tables
    from ranked r
    join known k using (root)
    join pg_class c on c.oid = r.root
    join pg_namespace n on n.oid = c.relnamespace
    order by r.total_bytes desc, r.root`,
});
