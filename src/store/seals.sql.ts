/** Statements on closed months of the audit trail: what is sealed, and the seals. */

import type { TimestampValue } from '../lib/timestamp.js';
import { statement } from '../postgres/statement.js';

/** A month that needs a seal. */
export interface DueMonthRow {
  readonly range_start: TimestampValue;
  readonly range_end: TimestampValue;
  readonly made_at: TimestampValue;
}

/**
 * Months that are old enough and have no seal since they were made, and sealed ones that late
 * events came for. What was made by hand may be no month. Parameters: the age in days; how many at
 * most.
 */
export const dueMonths = statement<DueMonthRow>({
  name: 'due-months',
  intent: 'readPrimary',
  text: `
    with months as (
      select distinct on (range_start) range_start, range_end, made_at, dropped_at
      from storage_partitions
      where source = 'storage_audit'
      order by range_start, made_at desc
    )
    select m.range_start, m.range_end, m.made_at
    from months m
    cross join lateral (
      select exists (select from audit_seals s
                     where s.range_start = m.range_start and s.sealed_at >= m.made_at) as is_sealed
    ) as known
    where m.dropped_at is null and m.range_end = m.range_start + interval '1 month' and case
      when is_sealed then exists (select from audit_late_months l
                                  where l.range_start = m.range_start)
      else greatest(m.range_end, m.made_at) + make_interval(days => $1) <= now() end
    order by m.range_start
    limit $2`,
});

/** Closes a month; null where it was dropped meanwhile. */
export const closeMonth = statement<{ partition: string | null }>({
  name: 'close-month',
  intent: 'write',
  text: 'select stowage_close_month($1) as partition',
});

/** The transactions of late events that a month has no seal of yet. */
export const lateNotes = statement<{ xid: string }>({
  name: 'late-notes',
  intent: 'readPrimary',
  text: 'select xid::text as xid from audit_late_months where range_start = $1',
});

/**
 * Rows of a month behind a key, in the order of keys: what a seal is of, column by column in this
 * order and for ever. Parameters: the month's range; the key; how many at most.
 */
export const sealedSlice = statement<Record<string, unknown>>({
  name: 'sealed-slice',
  intent: 'read',
  // Each plan opens the one partition: a generic one would hold all of them.
  plan: 'custom',
  text: `
    select project_id, timestamp, id, user_id, username, action, object_key, version_id,
      ip_address, user_agent, success, error_message, correlation_id, metadata
    from storage_audit
    where timestamp >= $1::timestamptz and timestamp < $2::timestamptz
      and (project_id, timestamp, id) > ($3, $4::timestamptz, $5::uuid)
    order by project_id, timestamp, id
    limit $6`,
});

/** How a month and its last seal stand. */
export interface MonthStateRow {
  /** 0: none. */
  readonly seal_number: number;
  /** Not dropped since, nor made again. */
  readonly is_there: boolean;
  /** Whether the last seal is of the same rows. */
  readonly is_same: boolean;
}

/** Parameters: the month; when it was made; rows; SHA-256. */
export const monthState = statement<MonthStateRow>({
  name: 'month-state',
  intent: 'readPrimary',
  text: `
    select coalesce(s.seal_number, 0) as seal_number,
      exists (select from storage_partitions r
              where r.source = 'storage_audit' and r.range_start = $1 and r.made_at = $2
                and r.dropped_at is null) as is_there,
      coalesce(s.sealed_at >= $2 and s.rows = $3 and s.sha256 = $4, false) as is_same
    from (select 1) as one
    left join lateral (
      select seal_number, sealed_at, rows, sha256 from audit_seals
      where range_start = $1 order by seal_number desc limit 1
    ) as s on true`,
});

/** Adds a seal. Parameters: the month; its number; the partition; rows; SHA-256. */
export const addSeal = statement<never>({
  name: 'add-seal',
  intent: 'write',
  text: `
    insert into audit_seals (range_start, seal_number, partition, rows, sha256)
    values ($1, $2, $3, $4, $5)`,
});

/** Adds parts of a seal; arrays, with one element a part. */
export const addSealParts = statement<never>({
  name: 'add-seal-parts',
  intent: 'write',
  text: `
    insert into audit_seal_parts (range_start, seal_number, project_id, day, rows, sha256)
    select $1, $2, project_id, day, rows, sha256
    from unnest($3::text[], $4::date[], $5::int8[], $6::bytea[])
      as part (project_id, day, rows, sha256)`,
});

/** Forgets notes whose events a seal has. */
export const forgetNotes = statement<never>({
  name: 'forget-late-notes',
  intent: 'write',
  text: 'delete from audit_late_months where range_start = $1 and xid = any ($2::xid8[])',
});

/** The last seal of a month, and what became of the month since. */
export interface SealRow {
  readonly range_start: TimestampValue;
  readonly range_end: TimestampValue;
  readonly seal_number: number;
  readonly partition: string;
  readonly rows: bigint;
  readonly sha256: Buffer;
  readonly is_dropped: boolean;
  readonly deleted_before: TimestampValue | null;
}

/** Of each month within a range, in order. Parameters: its beginning and its end, or nulls. */
export const latestSeals = statement<SealRow>({
  name: 'latest-seals',
  intent: 'read',
  text: `
    with latest as (
      select distinct on (range_start) range_start, range_start + interval '1 month' as range_end,
        seal_number, partition, rows, sha256, sealed_at
      from audit_seals
      order by range_start, seal_number desc
    )
    select l.range_start, l.range_end, l.seal_number, l.partition, l.rows, l.sha256,
      coalesce(r.dropped_at is not null or r.made_at > l.sealed_at, false) as is_dropped,
      case when r.deleted_before > l.range_start then r.deleted_before end as deleted_before
    from latest l
    left join lateral (
      select made_at, dropped_at, deleted_before from storage_partitions p
      where p.source = 'storage_audit' and p.range_start = l.range_start
      order by made_at desc limit 1
    ) as r on true
    where ($1::timestamptz is null or l.range_end > $1)
      and ($2::timestamptz is null or l.range_start < $2)
    order by l.range_start`,
});

/** A part of a seal. */
export interface SealPartRow {
  readonly project_id: string;
  /** `YYYY-MM-DD`. */
  readonly day: string;
  readonly rows: bigint;
  readonly sha256: Buffer;
}

/** Parts of a seal behind one of them, in order. */
export const sealParts = statement<SealPartRow>({
  name: 'seal-parts',
  intent: 'read',
  text: `
    select project_id, day::text as day, rows, sha256
    from audit_seal_parts
    where range_start = $1 and seal_number = $2 and (project_id, day) > ($3, $4::date)
    order by project_id, day
    limit $5`,
});
