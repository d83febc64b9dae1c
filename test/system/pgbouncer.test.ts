// The whole service behind PgBouncer in transaction mode, one before each node, with so few
// sessions that callers share them. Needs pgbouncer.
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { promisify } from 'node:util';
import { Code } from '@connectrpc/connect';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../../src/lib/wait.js';
import { describeCluster, startTestCluster, type TestCluster } from '../support/cluster.js';
import { runDoctor } from '../support/doctor.js';
import { type PgBouncer, pgBouncerVersion, startPgBouncer } from '../support/pgbouncer.js';
import { fromSources } from '../support/program.js';
import { failure, startService, strong, type TestService } from '../support/service.js';

const POOL_SIZE = 4;
const OBJECTS = 20_000;

let test: TestCluster;
let poolers: PgBouncer[];
let service: TestService;

beforeAll(async () => {
  await pgBouncerVersion();
  test = await startTestCluster({ standbys: 1 });
  const { username, password } = new URL(test.cluster.superuserUrl());
  const lookup = { user: username, password };
  poolers = await Promise.all(
    test.cluster.nodes.map(({ port }) => startPgBouncer({ port, lookup, poolSize: POOL_SIZE })),
  );
  const nodes = poolers.map(({ port }) => `127.0.0.1:${port}`).join(',');
  const environment = {
    POSTGRES_HOST: nodes,
    POSTGRES_POOLER: 'transaction',
    // A probe waits in the pooler's line like any other.
    STOWAGE_PROBE_TIMEOUT_MS: '2000',
    STOWAGE_QUEUE_TIMEOUT_MS: '30000',
    STOWAGE_LOCK_TIMEOUT_MS: '4000',
  };
  service = await startService(environment, describeCluster(test.cluster));
  await service.sql(
    `insert into storage_objects (project_id, object_key, id, size, etag, storage_backend)
     select 'default', 'many/' || lpad(n::text, 6, '0'), gen_random_uuid(), 1000 + n / 2,
       'e' || n / 2, 's3'
     from generate_series(0, $1::int4 - 1) n`,
    [OBJECTS],
  );
  await service.sql('vacuum analyze storage_objects');
  await service.waitUntilCaughtUp();
}, 120_000);

afterAll(async () => {
  // The last thing it does is to drop its database, whose primary is gone by then.
  await Promise.allSettled([service?.[Symbol.asyncDispose]()]);
  for (const pooler of poolers ?? []) await pooler[Symbol.asyncDispose]();
  await test?.stop();
});

const storage = () => service.doors.gRPC.storage;
const object = (objectKey: string, size = 1n) => ({
  objectKey,
  size,
  storageBackend: 'local',
  etag: objectKey,
});

/** The environment of a command that shares the service's database. */
function environment(): Record<string, string> {
  const { username, password } = new URL(service.database.serviceUrl ?? '');
  const hosts = poolers.map(({ port }) => `127.0.0.1:${port}`).join(',');
  const { name } = service.database;
  return {
    DATABASE_URL: `postgres://${username}:${password}@${hosts}/${name}?pooler=transaction`,
    STOWAGE_ADMIN_URL: service.database.url,
  };
}

/** Holds every session of the pooler before the primary at once, as the service's login. */
async function withEverySession<T>(act: (session: pg.Client) => Promise<T>): Promise<T[]> {
  const url = new URL(service.database.serviceUrl ?? '');
  url.port = String(poolers[0]?.port);
  const clients = Array.from({ length: POOL_SIZE }, () => new pg.Client(url.href));
  try {
    // One after another: each takes a session that the others do not have.
    for (const client of clients) {
      await client.connect();
      await client.query('begin');
    }
    const pids = new Set<unknown>();
    const done: T[] = [];
    for (const client of clients) {
      const { rows } = await client.query('select pg_backend_pid() as pid');
      pids.add(rows[0].pid);
      done.push(await act(client));
      await client.query('commit');
    }
    expect(pids.size).toBe(POOL_SIZE);
    return done;
  } finally {
    await Promise.all(clients.map((client) => client.end()));
  }
}

/** How many statements of the service wait for a lock, and how many sessions it has there. */
async function sessions(): Promise<{ waiting: number; all: number }> {
  const rows = await service.sql<{ waiting: number; all: number }>(
    `select count(*)::int4 as all,
       count(*) filter (where wait_event_type = 'Lock')::int4 as waiting
     from pg_stat_activity
     where datname = current_database() and usename like '%_service'`,
  );
  return rows[0] ?? { waiting: 0, all: 0 };
}

/** Left behind in a session that others are lent. PgBouncer sees to TimeZone and DateStyle. */
const leftBehind = [
  `set bytea_output = 'escape'`,
  `set search_path = 'pg_catalog'`,
  `set extra_float_digits = -10`,
  `set IntervalStyle = 'iso_8601'`,
  `set lock_timeout = 1`,
  `set idle_in_transaction_session_timeout = 777000`,
  `set default_transaction_isolation = 'serializable'`,
  `set default_transaction_read_only = on`,
  `prepare left_behind as select 1`,
];

/** Keys and bytes of a stream of objects. */
async function streamed(): Promise<string[]> {
  const keys: string[] = [];
  for await (const part of storage().streamObjects({ prefix: 'many/' })) {
    keys.push(...part.objects.map(({ objectKey }) => objectKey));
  }
  return keys;
}

/** Calls that wait for a lock: some reach their deadline, the caller of another goes away. */
async function abandonCalls(): Promise<void> {
  const late = Array.from({ length: 3 }, async (_, index) => {
    const call = storage().recordObject({ object: object(`late/${index}`) }, { timeoutMs: 500 });
    expect(await failure(call)).toMatchObject({ code: Code.DeadlineExceeded });
  });
  const controller = new AbortController();
  const left = storage().recordObject({ object: object('left') }, { signal: controller.signal });
  const outcome = expect(left).rejects.toThrow();
  const waits = async () => (await sessions()).waiting > 0;
  await until(waits, { timeoutMs: 5_000, what: 'a call waits' });
  controller.abort();
  await Promise.all([...late, outcome]);
}

const run = promisify(execFile);

describe('Behind PgBouncer in transaction mode', () => {
  it('records, reads with tokens, lists, searches, changes and repeats', async () => {
    const requestId = randomUUID();
    const first = await storage().recordObject({ object: object('a/one'), requestId });
    const again = await storage().recordObject({ object: object('a/one'), requestId });
    expect(again.object).toEqual(first.object);
    const other = storage().recordObject({ object: object('a/two'), requestId });
    expect(await failure(other)).toMatchObject({ reason: 'REQUEST_ID_REUSED' });
    const requests = Array.from({ length: 100 }, (_, index) => ({
      object: object(`a/batch ${index}`, BigInt(index)),
    }));
    expect((await storage().batchRecordObjects({ requests })).results).toHaveLength(100);
    // The client sends the token of its write.
    const read = await storage().getObject({ objectKey: 'a/batch 99' });
    expect(read.object).toMatchObject({ size: 99n });
    const listed = await storage().listObjects({ prefix: 'a/', pageSize: 1000 });
    expect(listed.objects).toHaveLength(101);
    expect((await storage().searchObjects({ query: 'batch' })).hits.length).toBeGreaterThan(0);
    await storage().deleteObject({ objectKey: 'a/one' });
    const gone = storage().getObject({ objectKey: 'a/one' });
    expect(await failure(gone)).toMatchObject({ reason: 'OBJECT_NOT_FOUND' });
  });

  it('streams objects and duplicates whole', async () => {
    const keys = await streamed();
    expect(new Set(keys).size).toBe(OBJECTS);
    expect(keys).toEqual(keys.toSorted());
    let groups = 0;
    for await (const part of storage().findDuplicates({ prefix: 'many/' })) {
      groups += part.groups.length;
    }
    expect(groups).toBe(OBJECTS / 2);
  });

  it('serves many callers over few sessions, each its own writes', async () => {
    const callers = Array.from({ length: 48 }, async (_, caller) => {
      for (let round = 0; round < 6; round += 1) {
        const objectKey = `callers/${caller}`;
        const size = BigInt(caller * 100 + round);
        const request = { object: object(objectKey, size) };
        await storage().recordObject(request);
        const { object: found } = await storage().getObject({ objectKey });
        expect(found).toMatchObject({ objectKey, size });
      }
    });
    await Promise.all(callers);
    expect((await sessions()).all).toBeLessThanOrEqual(POOL_SIZE);
  });

  it('depends on nothing that is left in a session, and leaves nothing there', async () => {
    const before = await storage().getObject({ objectKey: 'a/batch 7', freshness: strong });
    const keys = await streamed();
    await withEverySession(async (session) => {
      for (const text of leftBehind) await session.query(text);
    });
    for (let round = 0; round < 3; round += 1) {
      await storage().recordObject({ object: object(`left/${round}`) });
      const read = await storage().getObject({ objectKey: 'a/batch 7', freshness: strong });
      expect(read.object).toEqual(before.object);
      expect((await storage().searchObjects({ query: 'batch' })).hits.length).toBeGreaterThan(0);
      expect(await streamed()).toEqual(keys);
    }
    const seen = await withEverySession(async (session) => {
      const { rows } = await session.query(
        `select (select array_agg(name order by name) from pg_prepared_statements) as named,
           current_setting('stowage.project', true) as project,
           current_setting('statement_timeout') as timeout,
           current_setting('client_connection_check_interval') as checks,
           current_setting('bytea_output') as output,
           current_setting('lock_timeout') as wait`,
      );
      await session.query('reset all');
      await session.query('deallocate all');
      return rows[0];
    });
    const left = { named: ['left_behind'], output: 'escape', wait: '1ms' };
    for (const session of seen) {
      expect(session).toEqual({ ...left, project: '', timeout: '0', checks: '0' });
    }
  });

  it('ends what nobody waits for, and hits nobody else', async () => {
    const { projects } = service.doors.gRPC;
    const locker = await service.database.connect();
    let isOver = false;
    let calls = 0;
    const load = async () => {
      while (!isOver) {
        await projects.getProject({ project: 'default', freshness: strong });
        calls += 1;
      }
    };
    const strangers = Promise.all(Array.from({ length: 8 }, load));
    try {
      await locker.query('begin');
      await locker.query('lock table storage_versions in access exclusive mode');
      await abandonCalls();
      // Before lock_timeout would end them, and long before the deadline of the one that was left.
      const isGone = async () => (await sessions()).waiting === 0;
      await until(isGone, { timeoutMs: 2_500, what: 'nobody waits' });
      // Of who waits longer than that, the lock's own bound holds in a lent session too.
      const patient = storage().recordObject({ object: object('patient') });
      expect(await failure(patient)).toMatchObject({ reason: 'OVERLOADED' });
    } finally {
      isOver = true;
      await locker.query('rollback');
    }
    await strangers;
    expect(calls).toBeGreaterThan(100);
    await storage().recordObject({ object: object('patient') });
    const none = storage().getObject({ objectKey: 'late/0', freshness: strong });
    expect(await failure(none)).toMatchObject({ reason: 'OBJECT_NOT_FOUND' });
  });

  it('is examined by the doctor, who knows a pooler that nobody told of', async () => {
    const well = await runDoctor(environment());
    expect(well.text).toContain('  ok    pooler       a pooler answers, as the settings say');
    expect(well.text).toContain('owns the schema');
    // Nothing but that the nodes of tests run without fsync.
    expect(well.text.match(/FAIL +\w+/g)).toEqual(Array(2).fill('FAIL  durability'));
    const { DATABASE_URL = '', ...rest } = environment();
    const untold = await runDoctor({ ...rest, DATABASE_URL: DATABASE_URL.replace(/\?.*/, '') });
    expect(untold.text).toContain('a pooler answers, and refuses: unsupported startup parameter');
    expect(untold.exitCode).toBe(1);
  });

  it('migrates past the pooler, and refuses to go through it', async () => {
    const program = async (settings: Record<string, string>) => {
      const { PATH = '', HOME = '' } = process.env;
      const options = { env: { PATH, HOME, ...settings } };
      return run(process.execPath, [...fromSources, 'migrate', 'up'], options).then(
        ({ stdout }) => stdout,
        (error: { stderr: string }) => error.stderr,
      );
    };
    const { DATABASE_URL = '', STOWAGE_ADMIN_URL = '' } = environment();
    const through = new URL(STOWAGE_ADMIN_URL);
    through.port = String(poolers[0]?.port);
    const [past, none, pooled] = await Promise.all([
      program({ DATABASE_URL, STOWAGE_ADMIN_URL }),
      program({ DATABASE_URL }),
      program({ DATABASE_URL, STOWAGE_ADMIN_URL: through.href }),
    ]);
    expect(past).toContain('nothing to do');
    expect(none).toContain('STOWAGE_ADMIN_URL: must be set for this');
    expect(pooled).toContain('is a pooler, which keeps no session for the locks');
  });

  it('reads on without the pooler of the primary, and writes once it is back', async () => {
    const { storage: caller } = service.doors.HTTP;
    await service.waitUntilCaughtUp();
    await poolers[0]?.kill();
    const write = () => caller.recordObject({ object: object('back') }, { timeoutMs: 1_000 });
    await failure(write());
    const eventual = { demand: { case: 'eventual', value: true } } as const;
    const read = await caller.getObject({ objectKey: 'a/batch 7', freshness: eventual });
    expect(read.object).toMatchObject({ size: 7n });
    await poolers[0]?.start();
    await until(
      async () =>
        write().then(
          () => true,
          () => false,
        ),
      {
        timeoutMs: 20_000,
        what: 'a write is taken again',
      },
    );
  });

  it('follows a failover, and loses nothing that was acknowledged', async () => {
    const { storage: caller } = service.doors.HTTP;
    await caller.recordObject({ object: object('before') });
    await service.waitUntilCaughtUp();
    const [standby] = test.cluster.standbys;
    await test.cluster.primary.kill();
    await test.cluster.promote(standby?.name ?? '');
    const write = () => caller.recordObject({ object: object('after') }, { timeoutMs: 2_000 });
    await until(
      async () =>
        write().then(
          () => true,
          () => false,
        ),
      {
        timeoutMs: 40_000,
        what: 'the new primary takes a write',
      },
    );
    for (const objectKey of ['before', 'after', 'a/batch 7']) {
      const { object: found } = await caller.getObject({ objectKey, freshness: strong });
      expect(found?.objectKey).toBe(objectKey);
    }
  });
});
