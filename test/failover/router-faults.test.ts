import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { EmbeddedCluster } from '../../src/embedded/index.js';
import { until } from '../../src/lib/wait.js';
import { createRouter } from '../../src/postgres/router.js';
import type { TupleCollector } from '../../src/postgres/router-api.js';
import type { RouterHandle } from '../../src/postgres/router-handle.js';
import { statement } from '../../src/postgres/statement.js';
import { startTestCluster, type TestCluster } from '../support/cluster.js';
import { createTestDatabase, openConnection, type TestDatabase } from '../support/database.js';
import {
  type RouterTarget,
  settled,
  startTestRouter,
  testCall,
  testSettings,
} from '../support/router.js';

const insertNote = statement({
  name: 'test-insert-note',
  intent: 'write',
  text: 'insert into notes (body) values ($1)',
});

const countNotes = statement<{ count: bigint }>({
  name: 'test-count-notes',
  intent: 'readPrimary',
  text: 'select count(*) as count from notes where body = $1',
});

const sleep = statement({
  name: 'test-sleep',
  intent: 'readPrimary',
  text: 'select pg_sleep($1::float8)',
});

const manyRows = statement<{ filler: string }>({
  name: 'test-many-rows',
  intent: 'readPrimary',
  text: `select repeat('x', 1000) as filler from generate_series(1, 1000000)`,
});

const role = statement<{ in_recovery: boolean }>({
  name: 'test-role',
  intent: 'read',
  text: 'select pg_is_in_recovery() as in_recovery',
});

const WAIT = { timeoutMs: 20_000 };

describe('A router whose nodes fail', () => {
  let test: TestCluster;
  let cluster: EmbeddedCluster;
  let database: TestDatabase;
  let target: RouterTarget;
  let router: RouterHandle;

  const state = (name: string) => {
    const suffix = `:${cluster.node(name).port}`;
    return router.topology().nodes.find((node) => node.name.endsWith(suffix))?.state;
  };
  const untilState = (name: string, wanted: string) =>
    until(() => state(name) === wanted, { ...WAIT, what: `${name} is ${wanted}` });
  /** Backends of the database in this wait, on the primary. */
  const untilWaiting = async (event: string) => {
    const admin = await openConnection(cluster.superuserUrl());
    const isWaiting = async () => {
      const rows = await admin.query(
        `select from pg_stat_activity where datname = $1 and wait_event = $2`,
        [database.name, event],
      );
      return rows.length > 0;
    };
    await until(isWaiting, { ...WAIT, what: `a backend waits in ${event}` });
    await admin.end();
  };
  /** Every commit waits for a standby, and none is there. */
  const holdCommits = async () => {
    for (const { name } of cluster.standbys) await cluster.cutReplication(name);
    await alter("alter system set synchronous_standby_names = '*'");
    await until(isCommitHeld, { ...WAIT, what: 'the setting has reached every process' });
  };
  /** A reload is taken in process by process: a commit of the test's own tells. */
  const isCommitHeld = async () => {
    const probe = await openConnection(database.url);
    const admin = await openConnection(cluster.superuserUrl());
    let isThrough = false;
    const commit = probe.query("insert into notes values ('probe')").then(() => {
      isThrough = true;
    });
    const release = `select pg_cancel_backend(pid) from pg_stat_activity
                     where datname = '${database.name}' and wait_event = 'SyncRep'`;
    const isSeen = async () => isThrough || (await admin.query(release)).length > 0;
    await until(isSeen, { ...WAIT, what: 'a commit is held or through' });
    const isHeld = !isThrough;
    await commit;
    await Promise.all([probe.end(), admin.end()]);
    return isHeld;
  };
  const releaseCommits = async () => {
    await alter('alter system reset synchronous_standby_names');
    for (const { name } of cluster.standbys) await cluster.repoint(name, cluster.primary.name);
    await cluster.waitUntilCaughtUp();
  };
  const alter = async (text: string) => {
    const admin = await openConnection(cluster.superuserUrl());
    await admin.query(text);
    await admin.query('select pg_reload_conf()');
    await admin.end();
  };
  const count = async (body: string) => {
    const [row] = await router.run(countNotes, [body], testCall());
    return Number(row?.count);
  };

  beforeAll(async () => {
    test = await startTestCluster({ standbys: 2 });
    cluster = test.cluster;
    database = await createTestDatabase(cluster.superuserUrl());
    const admin = await database.connect();
    await admin.query('create table notes (body text)');
    await admin.query('grant select, insert on notes to stowage_service');
    const nodes = cluster.nodes.map(({ port }) => ({ host: '127.0.0.1', port }));
    target = { url: database.serviceUrl ?? '', nodes };
    router = await startTestRouter(target, { probeTimeoutMs: 500 });
  });

  afterEach(async () => {
    await settled(router);
  });

  afterAll(async () => {
    await router?.close();
    await test?.stop();
  });

  it('says that an aborted commit is unknown, and lets it end', async () => {
    await holdCommits();
    const controller = new AbortController();
    const call = testCall({ signal: controller.signal });
    const promise = router.run(insertNote, ['held'], call);
    const outcome = expect(promise).rejects.toMatchObject({ reason: 'COMMIT_OUTCOME_UNKNOWN' });
    await untilWaiting('SyncRep');
    controller.abort();
    await outcome;
    // Nothing has cancelled it: the lease is out until the commit is through.
    const acquired = () => router.topology().nodes.map(({ pools }) => pools.unary.acquired);
    expect(acquired()).toContain(1);
    await untilWaiting('SyncRep');
    await releaseCommits();
    await settled(router);
    expect(await count('held')).toBe(1);
  });

  it('answers a commit that ends soon after its call', async () => {
    await holdCommits();
    const controller = new AbortController();
    const promise = router.run(insertNote, ['late'], testCall({ signal: controller.signal }));
    await untilWaiting('SyncRep');
    controller.abort();
    await alter('alter system reset synchronous_standby_names');
    expect(await promise).toEqual([]);
    await releaseCommits();
    expect(await count('late')).toBe(1);
  });

  it('says that a commit was not replicated', async () => {
    await holdCommits();
    const promise = router.run(insertNote, ['alone'], testCall());
    const outcome = expect(promise).rejects.toMatchObject({ reason: 'COMMIT_NOT_REPLICATED' });
    await untilWaiting('SyncRep');
    const admin = await openConnection(cluster.superuserUrl());
    await admin.query(
      `select pg_cancel_backend(pid) from pg_stat_activity where wait_event = 'SyncRep'`,
    );
    await admin.end();
    await outcome;
    await releaseCommits();
    expect(await count('alone')).toBe(1);
  });

  it('gives up a silent host at the deadline, and its connection', async () => {
    const { name } = cluster.primary;
    const promise = router.run(sleep, [0.5], testCall({ timeoutMs: 400 }));
    const outcome = expect(promise).rejects.toMatchObject({ reason: 'DEADLINE_EXCEEDED' });
    await untilWaiting('PgSleep');
    await cluster.freeze(name);
    await outcome;
    await untilState(name, 'unreachable');
    await expect(router.run(sleep, [0], testCall())).rejects.toMatchObject({
      reason: 'NO_PRIMARY',
    });
    expect(await router.run(role, [], testCall())).toEqual([{ in_recovery: true }]);
    await settled(router);
    await cluster.thaw(name);
    await untilState(name, 'primary');
  });

  it('closes beside a silent host, and leaves no socket', async () => {
    const { name } = cluster.primary;
    const sockets = () =>
      process.getActiveResourcesInfo().filter((kind) => kind === 'TCPSocketWrap').length;
    const before = sockets();
    // Between two probes, so that every connection is idle.
    const idle = await startTestRouter(target, { probeIntervalMs: 3_000 });
    await until(() => idle.topology().nodes.every(({ pools }) => pools.unary.idle > 0), {
      ...WAIT,
      what: 'every node has idle connections',
    });
    await cluster.freeze(name);
    await idle.close();
    await until(() => sockets() <= before, { ...WAIT, what: 'no socket is left' });
    await untilState(name, 'unreachable');
    await cluster.thaw(name);
    await untilState(name, 'primary');
  });

  it('fails a query whose node is killed, and reads from the others', async () => {
    const { name } = cluster.primary;
    const promise = router.run(sleep, [60], testCall());
    const outcome = expect(promise).rejects.toMatchObject({ reason: 'NO_NODE' });
    await untilWaiting('PgSleep');
    await cluster.crash(name);
    await outcome;
    expect(state(name)).toBe('unreachable');
    const call = testCall();
    expect(await router.run(role, [], call)).toEqual([{ in_recovery: true }]);
    await expect(router.run(insertNote, ['x'], testCall())).rejects.toMatchObject({
      reason: 'NO_PRIMARY',
      retryDelayMs: 1_000,
    });
    await cluster.restart(name);
    await untilState(name, 'primary');
    await router.run(insertNote, ['after the crash'], testCall());
    await cluster.waitUntilCaughtUp();
  });

  it('fails a stream whose node is killed, behind the rows that it has', async () => {
    const { name } = cluster.primary;
    let rows = 0;
    const collector: TupleCollector<number> = {
      tuple: () => {
        rows += 1;
      },
      isFull: () => rows >= 100,
      take: () => {
        const batch = rows;
        rows = 0;
        return batch || undefined;
      },
    };
    const stream = router.stream(manyRows, [], testCall(), { collector });
    expect(await stream.next()).toEqual({ done: false, value: 100 });
    await cluster.crash(name);
    const rest = async () => {
      for await (const batch of stream) expect(batch).toBeLessThanOrEqual(100);
    };
    await expect(rest()).rejects.toMatchObject({ reason: 'NO_NODE' });
    await cluster.restart(name);
    await untilState(name, 'primary');
    await cluster.waitUntilCaughtUp();
  });

  it('says that a commit is unknown whose node was killed', async () => {
    const { name } = cluster.primary;
    await holdCommits();
    const promise = router.run(insertNote, ['killed'], testCall());
    const outcome = expect(promise).rejects.toMatchObject({ reason: 'COMMIT_OUTCOME_UNKNOWN' });
    await untilWaiting('SyncRep');
    await cluster.crash(name);
    await outcome;
    await cluster.restart(name);
    await untilState(name, 'primary');
    await releaseCommits();
    expect(await count('killed')).toBe(1);
  });

  it('starts while no node answers, and serves once they do', async () => {
    const { name } = cluster.primary;
    await cluster.crash(name);
    const [node] = target.nodes.filter(({ port }) => port === cluster.primary.port);
    await using early = createRouter(testSettings({ ...target, nodes: node ? [node] : [] }));
    await early.start();
    expect(early.topology()).toMatchObject({ hasPrimary: false, canRead: false });
    await expect(early.run(role, [], testCall())).rejects.toMatchObject({ reason: 'NO_NODE' });
    await cluster.restart(name);
    await until(() => early.topology().hasPrimary, { ...WAIT, what: 'the primary is known' });
    expect(await early.run(role, [], testCall())).toEqual([{ in_recovery: false }]);
    await untilState(name, 'primary');
  });

  it('follows the primary of the highest timeline, and refuses tokens of the former', async () => {
    const former = cluster.primary.name;
    const call = testCall();
    await router.run(insertNote, ['before'], call);
    const token = call.served[0]?.token ?? '';
    await cluster.waitUntilCaughtUp();
    const [promoted] = cluster.standbys;
    await cluster.promote(promoted?.name ?? '');
    await untilState(promoted?.name ?? '', 'primary');
    expect(state(former)).toBe('unknown');
    expect(router.topology().timeline).toBe(2);
    await router.run(insertNote, ['afterwards'], testCall());
    const reader = testCall({ freshness: { kind: 'at_least', token } });
    await expect(router.run(role, [], reader)).rejects.toMatchObject({
      reason: 'TOKEN_HISTORY_LOST',
      metadata: { token_timeline: '1', timeline: '2' },
    });
    await cluster.rejoin(former);
    await untilState(former, 'standby');
  });
});
