/** Statements over the leases of exports: see snapshot-stream.ts. */

import { statement } from '../postgres/statement.js';
import { boundIn } from './partitions.sql.js';

/** What a stream reads at. */
export interface LeaseRow {
  /** As PostgreSQL writes a `pg_snapshot`. */
  readonly snapshot: string;
  /** Nothing of its range has gone since the lease was made. */
  readonly is_whole: boolean;
}

/** How long a lease lasts from its making or its last renewal. */
const LASTS = `interval '15 minutes'`;

/**
 * What there is of a range, an entry a partition: one that was dropped, is being dropped, was made
 * anew or has had rows of the range deleted has another entry, or none. Tables without partitions
 * have none. What was made by hand is asked for its range, for which PostgreSQL 18 locks it: the
 * registry tells that of all others, so that no export waits for who has one of them. Whether it is
 * whole is told by no time, for a promoted node may have another clock. Leaving is what retention
 * has noted and will have detached before the noted time: who begins now would see a part of it.
 */
const standing = (source: string, start: string, end: string) => `
      select coalesce(bool_or(known.dropped_at > clock_timestamp()), false) as is_leaving,
        coalesce(array_agg(concat_ws(' ', i.inhrelid, known.made_at, known.dropped_at,
                           case when known.deleted_before > ${start} then known.deleted_at end)),
                 '{}') as partitions
      from pg_inherits as i
      join pg_class as c on c.oid = i.inhrelid
      left join lateral (
        select range_start, range_end, made_at, dropped_at, deleted_before, deleted_at
        from storage_partitions as r
        where r.source = ${source} and r.partition = c.relname
        order by made_at desc limit 1
      ) as known on true
      cross join lateral (
        select case when known.made_at is null then pg_get_expr(c.relpartbound, c.oid) end as bound
      ) as asked
      where i.inhparent = to_regclass('public.' || ${source}) and not i.inhdetachpending
        and coalesce(known.range_start, ${boundIn('bound', 'FROM')}, '-infinity') < ${end}
        and coalesce(known.range_end, ${boundIn('bound', 'TO')}, 'infinity') > ${start}`;

/** What came of a lease that was to be made. */
export interface OpenedRow {
  /** Null: it was not made. */
  readonly snapshot: string | null;
  /** A partition of the range is on its way out; else there is no project. */
  readonly is_leaving: boolean;
}

/**
 * Makes a lease, unless something is leaving or there is no project. The snapshot is that of the
 * transaction, and so is what is found of the range. Parameters: project, lease, table, start and
 * end of the range, principal.
 */
export const openLease = statement<OpenedRow>({
  name: 'open-lease',
  intent: 'write',
  text: `
    with here as materialized (
      select starts, ends, is_leaving, partitions
      from (
        select greatest($4::timestamptz, '0001-01-01 00:00:00Z') as starts,
               greatest(least($5::timestamptz, '9999-12-31 00:00:00Z'),
                        $4::timestamptz + interval '1 microsecond') as ends
      ) as range
      cross join lateral (${standing('$3', 'starts', 'ends')}) as found
    ), made as (
      insert into export_leases (project_id, lease_id, source, range_start, range_end, principal,
                                 expires_at, partitions)
      select $1, $2::uuid, $3, starts, ends, $6, now() + ${LASTS}, partitions
      from here
      where not is_leaving
        and exists (select from projects where project_id = $1 and deleted_at is null)
      returning snapshot
    )
    select snapshot::text, is_leaving from here left join made on true`,
});

/** A lease, whether it has expired or not; no row where it is forgotten. */
export const readLease = statement<LeaseRow>({
  name: 'read-lease',
  intent: 'read',
  text: `
    select l.snapshot::text, l.partitions <@ found.partitions as is_whole
    from export_leases as l
    cross join lateral (${standing('l.source', 'l.range_start', 'l.range_end')}) as found
    where l.project_id = $1 and l.lease_id = $2::uuid`,
});

/** Renews a lease, an expired one too. */
export const renewLease = statement<never>({
  name: 'renew-lease',
  intent: 'write',
  text: `
    update export_leases set expires_at = now() + ${LASTS}
    where project_id = $1 and lease_id = $2::uuid`,
});

/** Ends a lease: its row stays for who missed the stream's end and resumes it. */
export const endLease = statement<never>({
  name: 'end-lease',
  intent: 'write',
  text: `
    update export_leases set expires_at = now()
    where project_id = $1 and lease_id = $2::uuid`,
});
