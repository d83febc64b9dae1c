// The owner's session of retention and the function that deletes rows, on PostgreSQL itself: what
// is refused, what is noted when, and what a detach that gave up leaves.

import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { NEVER } from '../../src/lib/interruption.js';
import { until } from '../../src/lib/wait.js';
import { type LeavingPartition, RetentionSession } from '../../src/postgres/retention-session.js';
import {
  type LeaseRow,
  type OpenedRow,
  openLease,
  readLease,
} from '../../src/store/export-leases.sql.js';
import { sharedCluster } from '../support/cluster.js';
import { createTestDatabase, type TestConnection, type TestDatabase } from '../support/database.js';
import { dayOf, fillMonth, forgetMonths, type Month } from '../support/months.js';

let database: TestDatabase;
let owner: TestConnection;
let service: TestConnection;
let holder: TestConnection;
const sessions: RetentionSession[] = [];

beforeAll(async () => {
  database = await createTestDatabase(sharedCluster().nodes[0]?.url ?? '');
  owner = await database.connect();
  service = await database.connect(database.serviceUrl);
  holder = await database.connect();
});

let month: Month;

beforeEach(async () => {
  month = await fillMonth(filled(), 15, 100);
});

afterEach(async () => {
  await Promise.all(sessions.splice(0).map((session) => session.close()));
  await holder.query('rollback');
  await forgetMonths(filled());
});

afterAll(() => database?.drop());

const filled = () => ({ sql: owner.query });

async function open(detachWaitMs = 20_000, signal = NEVER): Promise<RetentionSession> {
  const { hostname, port, username, password } = new URL(database.url);
  const login = {
    ...{ nodes: [{ host: hostname, port: Number(port) }], database: database.name },
    ...({ user: username, password, tls: false, connectTimeoutMs: 3_000 } as const),
  };
  const order = { id: 'tested', source: 'storage_audit', signal, detachWaitMs };
  const session = await RetentionSession.open(login, order);
  sessions.push(session);
  return session;
}

async function leaving(state: LeavingPartition['state'] = 'attached'): Promise<LeavingPartition> {
  const [row] = await owner.query<{ oid: string }>('select $1::regclass::oid::text as oid', [
    month.partition,
  ]);
  const [starts, ends] = [month.starts, month.ends].map((time) => time.toISOString());
  return {
    oid: row?.oid ?? '',
    name: month.partition,
    starts: starts ?? '',
    ends: ends ?? '',
    state,
  };
}

async function noted() {
  const [row] = await owner.query(
    `select dropped_at is not null as dropped, dropped_at > clock_timestamp() as ahead,
       deleted_before
     from storage_partitions where partition = $1`,
    [month.partition],
  );
  return row;
}

const pending = async () => {
  const [row] = await owner.query(
    'select inhdetachpending as pending from pg_inherits where inhrelid = $1::regclass',
    [month.partition],
  );
  return row?.['pending'];
};

const lease = (connection: TestConnection) =>
  connection.query(
    `insert into export_leases (project_id, lease_id, source, range_start, range_end, principal,
       expires_at)
     values ('default', gen_random_uuid(), 'storage_audit', $1, $2, 'somebody',
             now() + interval '1 hour')`,
    [month.starts, month.ends],
  );

describe('a detach', () => {
  it('gives up on an old transaction with a sentence, and the next one goes on', async () => {
    await holder.query('begin');
    await holder.query('select from storage_audit limit 1');
    const session = await open(1_000);
    await session.noteDrop(await leaving(), false);
    await expect(session.drop(await leaving())).rejects.toMatchObject({
      reason: 'OVERLOADED',
      message: expect.stringContaining('`stowage admin activity` tells whose'),
      metadata: { partition: month.partition },
    });
    expect(await pending()).toBe(true);
    expect(await noted()).toMatchObject({ dropped: true });
    // It waits for old transactions too, whether or not they use the table.
    await holder.query('rollback');
    await session.close();
    await (await open()).drop(await leaving('pending'));
    const [gone] = await owner.query('select to_regclass($1) is null as gone', [month.partition]);
    expect(gone).toEqual({ gone: true });
    expect(await noted()).toMatchObject({ dropped: true, ahead: false });
  });

  it('that did not begin leaves no note', async () => {
    await holder.query('begin; lock table storage_audit in share update exclusive mode');
    const session = await open(300);
    await session.noteDrop(await leaving(), false);
    expect(await noted()).toMatchObject({ dropped: true, ahead: true });
    await expect(session.drop(await leaving())).rejects.toMatchObject({ reason: 'OVERLOADED' });
    expect(await pending()).toBe(false);
    expect(await noted()).toMatchObject({ dropped: false });
  });

  it('takes what was made by hand, which is noted then', async () => {
    await owner.query('delete from storage_partitions where partition = $1', [month.partition]);
    const session = await open();
    await session.noteDrop(await leaving(), false);
    await session.drop(await leaving());
    expect(await noted()).toMatchObject({ dropped: true, ahead: false });
  });
});

describe('an export', () => {
  const wide = () => [month.starts, dayOf(month, 40)];
  const begin = async (id: string) => {
    const params = ['default', id, 'storage_audit', ...wide(), 'somebody'];
    const [row] = await service.query<OpenedRow>(openLease.text, params);
    return row;
  };
  const isWhole = async (id: string) => {
    const [row] = await service.query<LeaseRow>(readLease.text, ['default', id]);
    return row?.is_whole;
  };

  it('is not begun between the note of a drop and its detach, and whole behind that', async () => {
    const [refused, begun] = [randomUUID(), randomUUID()];
    const session = await open();
    await session.noteDrop(await leaving(), false);
    expect(await begin(refused)).toEqual({ snapshot: null, is_leaving: true });
    expect(await isWhole(refused)).toBeUndefined();
    await session.takeBack(await leaving());
    expect(await begin(refused)).toMatchObject({ is_leaving: false });
    await session.noteDrop(await leaving(), true);
    expect(await isWhole(refused)).toBe(false);
    await holder.query('begin');
    await holder.query('select from storage_audit limit 1');
    const dropping = session.drop(await leaving());
    await until(pending, { timeoutMs: 20_000, what: 'the month is out' });
    const made = await begin(begun);
    expect(made).toMatchObject({ snapshot: expect.any(String), is_leaving: false });
    await holder.query('rollback');
    await dropping;
    expect(await isWhole(begun)).toBe(true);
    // Made again, the month is another one.
    await service.query(`select stowage_ensure_months('storage_audit', array[$1::timestamptz])`, [
      month.starts,
    ]);
    expect([await isWhole(refused), await isWhole(begun)]).toEqual([false, true]);
  });

  it('is not waited for where a drop was noted by a session that was lost long ago', async () => {
    const id = randomUUID();
    await owner.query(
      `update storage_partitions set dropped_at = now() - interval '1 hour' where partition = $1`,
      [month.partition],
    );
    expect(await begin(id)).toMatchObject({ is_leaving: false });
    expect(await isWhole(id)).toBe(true);
    const session = await open();
    await session.noteDeletion(await leaving(), dayOf(month, 11).toISOString(), true);
    expect(await noted()).toMatchObject({ dropped: false });
    expect(await isWhole(id)).toBe(false);
  });

  it.each([
    ['is dropped', (session, part) => session.noteDrop(part, true)],
    ['loses rows', (session, part) => session.noteDeletion(part, part.ends, true)],
  ] satisfies [string, (session: RetentionSession, part: LeavingPartition) => Promise<void>][])(
    'of a month that was made by hand is not whole once that %s',
    async (_, note) => {
      const id = randomUUID();
      await owner.query('delete from storage_partitions where partition = $1', [month.partition]);
      expect(await begin(id)).toMatchObject({ is_leaving: false });
      expect(await isWhole(id)).toBe(true);
      await note(await open(), await leaving());
      expect(await isWhole(id)).toBe(false);
    },
  );
});

describe('a retention session', () => {
  it('is one in the whole cluster, and none beside a job on its table', async () => {
    const running = { reason: 'MAINTENANCE_RUNNING', metadata: { job_id: 'tested' } };
    const session = await open();
    await expect(open()).rejects.toMatchObject(running);
    await session.close();
    await holder.query(
      `begin;
       select pg_advisory_xact_lock(hashtextextended('stowage_maintenance_storage_audit', 0))`,
    );
    await expect(open()).rejects.toMatchObject({ reason: 'MAINTENANCE_RUNNING' });
  });

  it('keeps leases from being made while it looks at them', async () => {
    await holder.query('begin');
    await lease(holder);
    const session = await open();
    const noting = session.noteDrop(await leaving(), false);
    noting.catch(() => undefined);
    await until(() => isWaiting('lock table export_leases%'), {
      timeoutMs: 20_000,
      what: 'the note waits for the lease',
    });
    await holder.query('commit');
    await expect(noting).rejects.toMatchObject({
      reason: 'EXPORT_IN_PROGRESS',
      metadata: { partition: month.partition },
    });
    expect(await noted()).toMatchObject({ dropped: false });
  });
});

const isWaiting = async (pattern: string) =>
  (
    await owner.query(
      `select from pg_stat_activity where datname = current_database()
       and wait_event_type = 'Lock' and query like $1`,
      [pattern],
    )
  ).length > 0;

describe('the function that deletes rows', () => {
  const batch = async (place: string | null = null, force = false) => {
    const [row] = await service.query<{
      deleted: string;
      next_place: string | null;
      needed_until: Date | null;
    }>('select * from stowage_delete_rows($1, $2, $3)', [month.partition, place, force]);
    return row;
  };

  it('deletes nothing that the owner has not noted, for no role', async () => {
    for (const connection of [service, owner]) {
      const call = connection.query('select * from stowage_delete_rows($1, null, true)', [
        month.partition,
      ]);
      await expect(call).rejects.toMatchObject({ code: '55000' });
    }
    const note = 'update storage_partitions set deleted_before = now()';
    await expect(service.query(note)).rejects.toMatchObject({ code: '42501' });
    await expect(service.query('delete from storage_audit')).rejects.toMatchObject({
      code: '42501',
    });
    const session = await open();
    await session.noteDeletion(await leaving(), dayOf(month, 11).toISOString(), false);
    const done = await batch();
    expect(done).toMatchObject({ next_place: null, needed_until: null });
    const [left] = await owner.query<{ before: string; after: string }>(
      `select count(*) filter (where timestamp < $1) as before,
         count(*) filter (where timestamp >= $1) as after
       from storage_audit where timestamp >= $2 and timestamp < $3`,
      [dayOf(month, 11), month.starts, month.ends],
    );
    expect(left).toEqual({ before: '0', after: String(100 - Number(done?.deleted)) });
  });

  it('does nothing once an export has begun, unless it is forced', async () => {
    const session = await open();
    await session.noteDeletion(await leaving(), month.ends.toISOString(), false);
    await lease(service);
    expect(await batch()).toMatchObject({ deleted: '0', needed_until: expect.any(Date) });
    expect(await batch(null, true)).toMatchObject({ deleted: '100', needed_until: null });
  });

  it('reads no row of an earlier batch again', async () => {
    month = await fillMonth(filled(), 16, 12_000);
    const session = await open();
    await session.noteDeletion(await leaving(), month.ends.toISOString(), false);
    const scans = async () => {
      await service.query('select pg_stat_force_next_flush()');
      const [row] = await owner.query<{ scans: string }>(
        'select seq_scan + idx_scan as scans from pg_stat_user_tables where relname = $1',
        [month.partition],
      );
      return Number(row?.scans);
    };
    const before = await scans();
    const done: string[] = [];
    let place: string | null = null;
    do {
      const batched = await batch(place);
      done.push(batched?.deleted ?? '');
      place = batched?.next_place ?? null;
    } while (place !== null);
    expect(done).toEqual(['5000', '5000', '2000']);
    // Neither of the table nor by an index: by the places of rows alone.
    expect(await scans()).toBe(before);
  });

  it('begins behind the place that it is given', async () => {
    const session = await open();
    await session.noteDeletion(await leaving(), month.ends.toISOString(), false);
    await batch('(0,50)');
    const [left] = await owner.query<{ left: number }>(
      `select count(*)::int as left from ${month.partition} where ctid <= '(0,50)'`,
    );
    expect(left).toEqual({ left: 50 });
  });
});
