/** Months of the past with rows in them, made as the service makes them. */

import type { ApplyRetentionResponse } from '../../gen/stowage/v1/audit_retention_pb.js';
import type { TestService } from './service.js';

const DAY_MS = 86_400_000;

/** A month with its partition. */
export interface Month {
  readonly partition: string;
  readonly starts: Date;
  readonly ends: Date;
}

/** The month so many before the present one. */
export function monthsAgo(count: number, source = 'storage_audit'): Month {
  const now = new Date();
  const first = (back: number) =>
    new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - back));
  const starts = first(count);
  const named = starts.toISOString().slice(0, 7).replace('-', '_');
  return { partition: `${source}_${named}`, starts, ends: first(count - 1) };
}

/** A day of the month, counted from 1, at midnight. */
export function dayOf({ starts }: Month, day: number): Date {
  return new Date(starts.getTime() + (day - 1) * DAY_MS);
}

/** How many days are to be kept so that all before a midnight goes. */
export function daysSince(midnight: Date): number {
  const today = Math.floor(Date.now() / DAY_MS) * DAY_MS;
  return (today - midnight.getTime()) / DAY_MS;
}

/** Makes a month and fills it with events spread evenly over it, of two projects in turn. */
export async function fillMonth(
  { sql }: Pick<TestService, 'sql'>,
  count: number,
  rows: number,
): Promise<Month> {
  const month = monthsAgo(count);
  await sql(`select stowage_ensure_months('storage_audit', array[$1::timestamptz])`, [
    month.starts,
  ]);
  await sql(
    `insert into storage_audit (project_id, timestamp, id, user_id, action, ip_address, metadata)
     select case n % 2 when 0 then 'default' else 'größer' end,
       $1::timestamptz + n * (($2::timestamptz - $1::timestamptz) / $3::int), gen_random_uuid(),
       'user-' || n % 7, 'ACTION', case when n % 3 = 0 then '192.0.2.1'::inet end,
       case when n % 5 = 0 then jsonb_build_object('n', n) end
     from generate_series(0, $3::int - 1) as n`,
    [month.starts, month.ends, rows],
  );
  await sql(`analyze ${month.partition}`);
  return month;
}

/** Takes away every month of the past, with what is known of it but its seals. */
export async function forgetMonths({ sql }: Pick<TestService, 'sql'>): Promise<void> {
  const months = await sql<{ partition: string }>(
    `select relname as partition from pg_class
     where relkind = 'r' and relname ~ '^storage_audit_' and relname < $1 order by 1`,
    [monthsAgo(0).partition],
  );
  for (const { partition } of months) await sql(`drop table ${partition}`);
  await sql(`delete from storage_partitions where range_end <= now()`);
  await sql('delete from audit_late_months');
  await sql('delete from export_leases');
}

/** What a retention told, without its signs of life. */
export async function told(messages: AsyncIterable<ApplyRetentionResponse>) {
  const steps: NonNullable<ApplyRetentionResponse['step']>[] = [];
  let summary: ApplyRetentionResponse['summary'];
  for await (const message of messages) {
    if (message.step) steps.push(message.step);
    summary = message.summary ?? summary;
  }
  return { steps, summary };
}
