// What operators ask is answered while every connection for calls is taken, on every node, and the
// table that they are held up by is locked.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../../src/lib/wait.js';
import { sharedCluster } from '../support/cluster.js';
import { atDatabase, type TestConnection } from '../support/database.js';
import { startService, strong, type TestService } from '../support/service.js';

const WAIT_MS = 20_000;
const eventual = { demand: { case: 'eventual', value: true } } as const;
const names = sharedCluster().nodes.map(({ host, port }) => `${host}:${port}`);

let service: TestService;
/** One connection to each node. */
let watchers: readonly TestConnection[];
let holder: TestConnection;
const ending = new AbortController();
let ended: Promise<unknown> = Promise.resolve();

beforeAll(async () => {
  service = await startService({
    // One for unary calls, one for streams, a node.
    POSTGRES_MAX_CONN: '4',
    POSTGRES_MIN_CONN: '0',
    STOWAGE_LOCK_TIMEOUT_MS: '60000',
  });
  const { database } = service;
  watchers = await Promise.all(
    sharedCluster().nodes.map(({ url }) => database.connect(atDatabase(url, database.name))),
  );
  holder = await database.connect();
  await holder.query('begin');
  await holder.query('lock table storage_objects in access exclusive mode');
  // What is committed behind it takes it to the standbys.
  await service.sql('create table reports_behind ()');
  await untilEachGives(
    1,
    `select distinct relation from pg_locks
     where relation = 'storage_objects'::regclass and mode = 'AccessExclusiveLock'`,
  );
  await takeEveryConnection();
});

afterAll(async () => {
  await holder?.query('rollback');
  ending.abort();
  await ended;
  await service?.[Symbol.asyncDispose]();
});

/** How many rows each node gives. */
const counts = (text: string) =>
  Promise.all(watchers.map(async (watcher) => (await watcher.query(text)).length));

function untilEachGives(rows: number, text: string) {
  const isSo = async () => (await counts(text)).every((count) => count === rows);
  return until(isSo, { timeoutMs: WAIT_MS, what: `each node gives ${rows} rows` });
}

/** Sessions of calls that wait for the lock. */
const WAITING = `select from pg_stat_activity
  where datname = current_database() and wait_event_type = 'Lock'
    and application_name like 'stowage StorageService/%'`;

async function takeEveryConnection(): Promise<void> {
  const { storage } = service.doors.gRPC;
  const options = { signal: ending.signal, timeoutMs: 60_000 };
  const calls: Promise<unknown>[] = [];
  // What becomes of them is no matter, now or at their end.
  const begin = (call: Promise<unknown>) => calls.push(call.catch(() => undefined));
  const stream = (freshness: typeof strong | typeof eventual) =>
    storage.streamObjects({ freshness }, options)[Symbol.asyncIterator]().next();
  const get = (freshness: typeof strong | typeof eventual) =>
    storage.getObject({ objectKey: 'k', freshness }, options);
  // A stream looks for its project by a unary call, which must not find their pools taken.
  for (const [index, call] of [stream, get].entries()) {
    begin(call(strong));
    // A standby that is doubted for a moment is passed by: calls are made until each has one.
    const isTaken = async () => {
      if ((await counts(WAITING)).every((count) => count === index + 1)) return true;
      begin(call(eventual));
      return false;
    };
    await until(isTaken, { timeoutMs: WAIT_MS, pollMs: 50, what: `${index + 1} a node wait` });
  }
  ended = Promise.all(calls);
}

describe('while every pool is exhausted and a table is locked', () => {
  it.each([0, 1, 2])('each report of node %s answers', async (place) => {
    const node = names[place] ?? '';
    const { admin } = service.doors.gRPC;
    const { tables } = await admin.getTableStatistics({ node, limit: 1000 });
    expect(tables.map(({ table }) => table)).toContain('storage_objects');
    const { indexes } = await admin.getIndexStatistics({ node, limit: 1000 });
    const locked = indexes.find(({ index }) => index === 'storage_objects_pkey');
    expect(locked).toMatchObject({ table: 'storage_objects', definition: '' });
    const { sessions } = await admin.getActivity({ node });
    expect(sessions.filter(({ blockedBy }) => blockedBy.length > 0)).toHaveLength(2);
    expect((await admin.getDatabaseStatistics({ node })).node).toBe(node);
    expect((await admin.getStatementStatistics({ node })).node).toBe(node);
    expect((await admin.getRiskySettings({ node })).settings).not.toEqual([]);
    expect((await admin.getReplicationStatus({})).silentNodes).toEqual([]);
    expect(await counts(WAITING)).toEqual([2, 2, 2]);
  });
});
