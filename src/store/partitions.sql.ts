/** Statements on partitions: what there is, what is to leave, and its leaving. */

import type { TimestampValue } from '../lib/timestamp.js';
import { statement } from '../postgres/statement.js';

/** Tables that retention takes rows from. */
export type PartitionedSource = 'storage_audit' | 'storage_hooks';

/** A partition as it is listed. */
export interface PartitionRow {
  readonly partition: string;
  readonly source: string;
  readonly range_start: TimestampValue | null;
  readonly range_end: TimestampValue | null;
  readonly size_bytes: bigint;
  readonly rows_estimated: bigint | null;
  readonly seals: number;
  readonly sealed_at: TimestampValue | null;
  readonly sealed_rows: bigint | null;
  readonly sealed_sha256: string | null;
  readonly deleted_before: TimestampValue | null;
}

/** One end of a partition's range, in the catalogue's words; null where it is none. */
export const boundIn = (bound: string, which: 'FROM' | 'TO') =>
  `substring(${bound} from '${which} \\(''([^'']+)''\\)')::timestamptz`;

/**
 * By their bounds in the catalogue, which also knows what was made by hand. A detach that goes on
 * has taken its partition out for readers already, and to look at its size might wait for it.
 */
const attached = `
      select i.inhrelid as oid, p.relname::text as source, c.relname::text as partition,
        i.inhdetachpending as is_pending, c.reltuples, c.relpages,
        ${boundIn('b.bound', 'FROM')} as range_start, ${boundIn('b.bound', 'TO')} as range_end
      from pg_class p
      join pg_inherits i on i.inhparent = p.oid
      join pg_class c on c.oid = i.inhrelid
      cross join lateral (select pg_get_expr(c.relpartbound, c.oid) as bound) as b
      where p.relnamespace = 'public'::regnamespace
        and p.relname in ('storage_audit', 'storage_hooks', 'storage_changes')`;

/**
 * What is attached, with what the registry and the seals tell of it; seals of a month that was
 * dropped and made again are not the new one's. Parameters: the table, or null; how many at most.
 */
export const listPartitions = statement<PartitionRow>({
  name: 'list-partitions',
  intent: 'read',
  text: `
    with attached as (${attached}
        and ($1::text is null or p.relname = $1)
        and not i.inhdetachpending
    )
    select a.partition, a.source, a.range_start, a.range_end,
      coalesce(pg_total_relation_size(a.oid), 0) as size_bytes,
      case when a.reltuples >= 0 then a.reltuples::bigint end as rows_estimated,
      coalesce(s.seals, 0) as seals, s.sealed_at, s.rows as sealed_rows,
      encode(s.sha256, 'hex') as sealed_sha256, known.deleted_before
    from attached a
    left join lateral (
      select made_at, deleted_before from storage_partitions r
      where r.source = a.source and r.range_start = a.range_start and r.partition = a.partition
      order by made_at desc limit 1
    ) as known on true
    left join lateral (
      select (count(*) over ())::int4 as seals, sealed_at, rows, sha256 from audit_seals e
      where a.source = 'storage_audit' and e.range_start = a.range_start
        and e.sealed_at >= coalesce(known.made_at, '-infinity')
      order by seal_number desc limit 1
    ) as s on true
    order by a.source, a.range_start, a.partition
    limit $2`,
});

/** A partition that retention looks at. */
export interface RetainedRow {
  readonly oid: string;
  readonly partition: string;
  readonly range_start: TimestampValue;
  readonly range_end: TimestampValue;
  readonly state: 'attached' | 'pending' | 'detached';
  /** True: as a whole. */
  readonly leaves: boolean;
  readonly size_bytes: bigint;
  readonly rows_estimated: bigint;
}

/**
 * What has to do with what is before a time: first what an earlier retention did not end (only one
 * partition of a table can be amid its detach), then in the order of time. Detached is what the
 * registry takes for dropped and is there. Rows are estimated as the planner does it, by the size
 * now; where nothing was ever analyzed, at 200 bytes each. Parameters: the table; the time.
 */
export const planRetention = statement<RetainedRow>({
  name: 'plan-retention',
  intent: 'readPrimary',
  text: `
    with attached as (${attached}
        and p.relname = $1
    ), found as (
      select oid, partition, range_start, range_end, reltuples, relpages,
        case when is_pending then 'pending' else 'attached' end as state
      from attached
      where is_pending or range_start < $2::timestamptz
      union all
      select c.oid, r.partition, r.range_start, r.range_end, c.reltuples, c.relpages, 'detached'
      from (select distinct on (range_start) * from storage_partitions
            where source = $1
            order by range_start, made_at desc) as r
      join pg_class c on c.relname = r.partition and c.relnamespace = 'public'::regnamespace
      where r.dropped_at is not null and c.relkind = 'r' and not c.relispartition
    )
    select oid::text as oid, partition, range_start, range_end, state,
      state <> 'attached' or range_end <= $2::timestamptz as leaves,
      case state when 'pending' then relpages * current_setting('block_size')::bigint
        else coalesce(pg_total_relation_size(oid), 0) end as size_bytes,
      case
        when heap is null then greatest(reltuples, 0)
        when reltuples >= 0 and relpages > 0 then
          reltuples / relpages * (heap / current_setting('block_size')::bigint)
        else heap / 200
      end::bigint as rows_estimated
    from found
    cross join lateral (
      select case when state <> 'pending' then coalesce(pg_relation_size(oid), 0) end as heap
    ) as size
    where range_start is not null and range_end is not null
    order by state = 'attached', range_start`,
});

/** Today's midnight less so many days. Parameter: the days. */
export const retentionBoundary = statement<{ before: TimestampValue }>({
  name: 'retention-boundary',
  intent: 'readPrimary',
  text: `select date_trunc('day', now(), 'UTC') - make_interval(days => $1) as before`,
});

/**
 * What running exports need of the table before a time, the longest first. Enough to refuse by:
 * each removal asks again.
 */
export const neededByExports = statement<{
  range_start: TimestampValue;
  range_end: TimestampValue;
  expires_at: TimestampValue;
}>({
  name: 'needed-by-exports',
  intent: 'readPrimary',
  text: `
    select greatest(range_start, '0001-01-01 00:00:00+00') as range_start,
      least(range_end, '9999-12-31 00:00:00+00') as range_end, expires_at
    from export_leases
    where source = $1 and expires_at > now() and range_start < $2::timestamptz
    order by expires_at desc
    limit 1000`,
});

/** Counts what is to be deleted. Parameters: from; to. */
function countRows(source: PartitionedSource, name: string) {
  return statement<{ rows: bigint }>({
    name,
    intent: 'readPrimary',
    text: `
    select count(*) as rows from ${source}
    where timestamp >= $1::timestamptz and timestamp < $2::timestamptz`,
  });
}

/** By the table. */
export const countBefore = {
  storage_audit: countRows('storage_audit', 'count-events-before'),
  storage_hooks: countRows('storage_hooks', 'count-executions-before'),
} as const;

/** What a batch came to. */
export interface DeletedRow {
  readonly deleted: bigint;
  /** Where the next one goes on; null: nothing is behind it. */
  readonly next_place: string | null;
  /** Set where a running export needs what was to go: nothing was deleted. */
  readonly needed_until: TimestampValue | null;
}

/** One batch of what the owner's note says must go; see the function. */
export const deleteRows = statement<DeletedRow>({
  name: 'delete-rows',
  intent: 'write',
  text: 'select deleted, next_place, needed_until from stowage_delete_rows($1, $2, $3)',
});
