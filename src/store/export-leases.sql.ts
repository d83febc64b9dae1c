/** Statements over the leases of exports: see snapshot-stream.ts. */

import { statement } from '../postgres/statement.js';

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
 * have none. No time is compared, for a promoted node may have another clock.
 */
const standing = (source: string, start: string, end: string) => `array(
      select concat_ws(' ', p.partition, p.made_at,
                       case when p.deleted_before > ${start} then p.deleted_at end)
      from storage_partitions as p
      join pg_inherits as i on i.inhrelid = to_regclass(format('public.%I', p.partition))
      where p.source = ${source} and p.range_start < ${end} and p.range_end > ${start}
        and p.dropped_at is null and not i.inhdetachpending
    )`;

/**
 * Makes a lease; no row where there is no project. The snapshot is that of the transaction, and so
 * is what is found of the range. Parameters: project, lease, table, start and end of the range,
 * principal.
 */
export const openLease = statement<LeaseRow>({
  name: 'open-lease',
  intent: 'write',
  text: `
    insert into export_leases (project_id, lease_id, source, range_start, range_end, principal,
                               expires_at, partitions)
    select $1, $2::uuid, $3, starts, ends, $6, now() + ${LASTS}, ${standing('$3', 'starts', 'ends')}
    from (
      select greatest($4::timestamptz, '0001-01-01 00:00:00Z') as starts,
             greatest(least($5::timestamptz, '9999-12-31 00:00:00Z'),
                      $4::timestamptz + interval '1 microsecond') as ends
    ) as range
    where exists (select from projects where project_id = $1 and deleted_at is null)
    returning snapshot::text, true as is_whole`,
});

/** A lease, whether it has expired or not; no row where it is forgotten. */
export const readLease = statement<LeaseRow>({
  name: 'read-lease',
  intent: 'read',
  text: `
    select snapshot::text,
      partitions <@ ${standing('l.source', 'l.range_start', 'l.range_end')} as is_whole
    from export_leases as l
    where project_id = $1 and lease_id = $2::uuid`,
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
