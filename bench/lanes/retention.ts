/**
 * A month leaves while one caller reads it and another one reads the next month: through the built
 * server, with the product's client. Work: events of the month.
 */

import type pg from 'pg';
import { PartitionSource } from '../../gen/stowage/v1/audit_retention_pb.js';
import { createStowage, type Stowage, toStowageError } from '../../src/client/index.js';
import type { Lane, RowSpec, Subject } from '../frame/lane.js';
import { nowMs } from '../rig/clock.js';
import type { BenchDatabase } from '../rig/database.js';
import { PROJECT } from '../rig/objects.js';
import type { Rig } from '../rig/rig.js';

/** How long readers read before and after the removal. */
const QUIET_MS = 2_000;
const PAGE_SIZE = 100;
const DAY_MS = 86_400_000;
/** Days of the month that are deleted, half of its rows. */
const DELETED_DAYS = 15;
/** How old the month is that leaves; the next one stays. */
const MONTHS_AGO = 15;

const time = { unit: 'ms', better: 'lower', judgedBy: 'worst' } as const;
const calls = { unit: 'calls', better: 'lower', judgedBy: 'worst' } as const;

/** Who reads the month that leaves, and who the next one. */
const readers = ['same', 'other'] as const;

export const retention: Lane = {
  name: 'retention',
  summary: 'days of a month are deleted and the rest of it dropped, while it and another are read',
  rowsDefault: 1_000_000,
  repetitionsDefault: 1,
  rows: [
    { ...time, name: 'delete', measure: 'deleteMs' },
    { ...time, name: 'drop', measure: 'dropMs' },
    ...readers.flatMap((reader): RowSpec[] => [
      { ...time, name: `${reader}.quiet`, measure: `${reader}QuietMs` },
      { ...time, name: `${reader}.while-deleting`, measure: `${reader}DeleteMs` },
      { ...time, name: `${reader}.while-dropping`, measure: `${reader}DropMs`, must: 100 },
      { ...calls, name: `${reader}.failed`, measure: `${reader}Failed`, must: 0 },
      { ...calls, name: `${reader}.reads`, measure: `${reader}Reads`, better: 'higher' },
    ]),
  ],
  setup,
};

/** A month (UTC) by its first moments, its own and the next one's. */
interface Month {
  readonly starts: number;
  readonly ends: number;
}

function monthsAgo(count: number): Month {
  const now = new Date();
  const first = (back: number) => Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - back);
  return { starts: first(count), ends: first(count - 1) };
}

async function setup(rig: Rig): Promise<Readonly<Record<string, Subject>>> {
  const database = await rig.startDatabase();
  const admin = await rig.connect(database.adminUrl);
  await admin.query(`insert into projects (project_id, name) values ($1, 'Bench')`, [PROJECT]);
  const settings = { STOWAGE_ADMIN_URL: database.adminUrl };
  const server = await rig.startServer(database, { settings });
  const stowage = createStowage({ endpoints: server.grpc });
  rig.defer(async () => stowage.close());
  const doomed = monthsAgo(MONTHS_AGO);
  const kept = monthsAgo(MONTHS_AGO - 1);
  await fillMonth(admin, kept, Math.ceil(rig.rows / 10));
  return {
    ours: async () => {
      await fillMonth(admin, doomed, rig.rows);
      await settle(admin, database);
      return removeAndRead(stowage, doomed, kept);
    },
  };
}

async function settle(admin: pg.Client, database: BenchDatabase): Promise<void> {
  await admin.query('checkpoint');
  await database.whenReplicated();
}

/** Filled apart and attached, which makes the indexes. */
async function fillMonth(admin: pg.Client, { starts, ends }: Month, rows: number): Promise<void> {
  const [from, to] = [new Date(starts), new Date(ends)];
  const name = `storage_audit_${from.toISOString().slice(0, 7).replace('-', '_')}`;
  await admin.query(`create table ${name} (like storage_audit including defaults)`);
  await admin.query(
    `insert into ${name} (project_id, timestamp, id, user_id, username, action, object_key,
       ip_address, user_agent, correlation_id, metadata)
     select $1, $2::timestamptz + ($3::timestamptz - $2) * (n::float8 / $4::integer),
       gen_random_uuid(), 'user-' || n % 1009, 'Person ' || n % 1009, 'ACTION_' || n % 11,
       format('documents/%s/invoice-%s.pdf', n % 1000, n), '10.0.0.1'::inet + n % 65536, 'bench',
       gen_random_uuid()::text, jsonb_build_object('bytes', n % 100000)
     from generate_series(0, $4::integer - 1) as n`,
    [PROJECT, from, to, rows],
  );
  await admin.query(
    `alter table storage_audit attach partition ${name}
     for values from ('${from.toISOString()}') to ('${to.toISOString()}')`,
  );
  await admin.query(
    `insert into storage_partitions (source, range_start, range_end, partition)
     values ('storage_audit', $1, $2, $3)`,
    [from, to, name],
  );
  await admin.query(`vacuum (analyze) ${name}`);
}

async function removeAndRead(
  stowage: Stowage,
  doomed: Month,
  kept: Month,
): Promise<Record<string, number>> {
  const over = new AbortController();
  const months = { same: doomed, other: kept };
  const reading = Promise.all(
    readers.map((reader) => readThrough(stowage, months[reader], over.signal)),
  );
  const quietMs = nowMs();
  await passes(QUIET_MS);
  const deleteMs = nowMs();
  await remove(stowage, doomed.starts + DELETED_DAYS * DAY_MS);
  const dropMs = nowMs();
  await remove(stowage, doomed.ends);
  const endMs = nowMs();
  await passes(QUIET_MS);
  over.abort();
  const measures = (await reading).flatMap((reads, at) => {
    const name = readers[at] ?? '';
    return [
      [`${name}QuietMs`, worst(reads, quietMs, deleteMs)],
      [`${name}DeleteMs`, worst(reads, deleteMs, dropMs)],
      [`${name}DropMs`, worst(reads, dropMs, endMs)],
      [`${name}Failed`, reads.filter(({ hasFailed }) => hasFailed).length],
      [`${name}Reads`, reads.length],
    ];
  });
  const removed = { deleteMs: dropMs - deleteMs, dropMs: endMs - dropMs };
  return { ...removed, ...Object.fromEntries(measures) };
}

/** One read that has ended. */
interface Read {
  /** Both on the clock of `nowMs`. */
  readonly startedMs: number;
  readonly endedMs: number;
  readonly hasFailed: boolean;
}

/** A reader: one page after the other, until it is told to stop. */
async function readThrough(stowage: Stowage, month: Month, signal: AbortSignal): Promise<Read[]> {
  const reads: Read[] = [];
  while (!signal.aborted) {
    const startedMs = nowMs();
    const failure = await readDay(stowage, month, reads.length).catch(toStowageError);
    reads.push({ startedMs, endedMs: nowMs(), hasFailed: 'reason' in failure });
  }
  return reads;
}

const passes = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** A page of one of the month's days, in turn. */
function readDay({ audit }: Stowage, { starts }: Month, n: number): Promise<object> {
  const day = starts + (n % 28) * DAY_MS;
  const at = (ms: number) => ({ seconds: BigInt(ms / 1000), nanos: 0 });
  return audit.listEvents({
    ...{ project: PROJECT, pageSize: PAGE_SIZE },
    ...{ startTime: at(day), endTime: at(day + DAY_MS) },
  });
}

async function remove({ audit }: Stowage, boundary: number): Promise<void> {
  const today = Math.floor(Date.now() / DAY_MS) * DAY_MS;
  const retentionDays = (today - boundary) / DAY_MS;
  const request = { source: PartitionSource.STORAGE_AUDIT, retentionDays };
  let isWhole = false;
  for await (const { summary } of audit.applyRetention(request)) isWhole ||= summary !== undefined;
  if (!isWhole) throw new Error('the retention told no summary');
}

/** The longest of the reads that were under way within a time. */
function worst(reads: readonly Read[], fromMs: number, toMs: number): number {
  const within = reads.filter(({ startedMs, endedMs }) => endedMs >= fromMs && startedMs < toMs);
  return Math.max(0, ...within.map(({ startedMs, endedMs }) => endedMs - startedMs));
}
