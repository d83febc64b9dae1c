import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { EmbeddedCluster } from '../../src/embedded/index.js';
import { until } from '../../src/lib/wait.js';
import { createRouter } from '../../src/postgres/router.js';
import type { TupleCollector } from '../../src/postgres/router-api.js';
import type { RouterHandle } from '../../src/postgres/router-handle.js';
import { statement } from '../../src/postgres/statement.js';
import { observeNode } from '../../src/store/health/observe.js';
import { useFailingCluster } from '../support/failing-cluster.js';
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
  const nodes = useFailingCluster();
  let cluster: EmbeddedCluster;
  let target: RouterTarget;
  let router: RouterHandle;

  const state = (name: string) => {
    const suffix = `:${cluster.node(name).port}`;
    return router.topology().nodes.find((node) => node.name.endsWith(suffix))?.state;
  };
  const untilState = (name: string, wanted: string) =>
    until(() => state(name) === wanted, { ...WAIT, what: `${name} is ${wanted}` });
  const untilWaiting = (event: string) => nodes.untilWaiting(cluster.primary.name, event);
  const count = async (body: string) => {
    const [row] = await router.run(countNotes, [body], testCall());
    return Number(row?.count);
  };

  beforeAll(async () => {
    cluster = nodes.cluster;
    const { name: primary } = cluster.primary;
    await nodes.sql(primary, 'create table notes (body text)');
    await nodes.sql(primary, 'grant select, insert on notes to stowage_service');
    const addresses = cluster.nodes.map(({ port }) => ({ host: '127.0.0.1', port }));
    target = { url: nodes.database.serviceUrl ?? '', nodes: addresses };
    router = await startTestRouter(target, { probeTimeoutMs: 500 });
  });

  afterEach(async () => {
    await settled(router);
  });

  afterAll(async () => {
    await router?.close();
  });

  it('says that an aborted commit is unknown, and lets it end', async () => {
    await nodes.holdCommits();
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
    const { primary = '' } = router.topology();
    expect((await observeNode(router, primary, testCall())).wal?.missingSynchronous).toBe(1);
    await untilWaiting('SyncRep');
    await nodes.releaseCommits();
    await settled(router);
    expect(await count('held')).toBe(1);
  });

  it('says so of one that travels with its statement, and lets it end', async () => {
    await nodes.holdCommits();
    const controller = new AbortController();
    const call = testCall({ signal: controller.signal });
    const promise = router.transaction(call, (running) => running.runLast(insertNote, ['along']));
    const outcome = expect(promise).rejects.toMatchObject({ reason: 'COMMIT_OUTCOME_UNKNOWN' });
    await untilWaiting('SyncRep');
    controller.abort();
    await outcome;
    const acquired = () => router.topology().nodes.map(({ pools }) => pools.unary.acquired);
    expect(acquired()).toContain(1);
    await untilWaiting('SyncRep');
    await nodes.releaseCommits();
    await settled(router);
    expect(await count('along')).toBe(1);
  });

  it('answers a commit that ends soon after its call', async () => {
    await nodes.holdCommits();
    const controller = new AbortController();
    const promise = router.run(insertNote, ['late'], testCall({ signal: controller.signal }));
    await untilWaiting('SyncRep');
    controller.abort();
    await nodes.alter(cluster.primary.name, 'alter system reset synchronous_standby_names');
    expect(await promise).toEqual([]);
    await nodes.releaseCommits();
    expect(await count('late')).toBe(1);
  });

  it('asks the primary once a wait for replay is over, however the clock stands then', async () => {
    await using impatient = await startTestRouter(target, { freshnessWaitMs: 60 });
    const standbys = cluster.standbys.map(({ name }) => name);
    for (const name of standbys) await cluster.pauseReplay(name);
    const call = testCall();
    await router.run(insertNote, ['waited for'], call);
    const tokens = [call.served.at(-1)?.token ?? ''];
    // Of two looks at this clock one is often before the end of a wait, and one behind it.
    const now = performance.now.bind(performance);
    let looks = 0;
    using _clock = vi.spyOn(performance, 'now').mockImplementation(() => {
      looks += 1;
      return now() + (looks % 5);
    });
    const read = async () => {
      const reading = testCall({ tokens });
      await impatient.run(role, [], reading);
      return reading.served.at(-1)?.by.role;
    };
    const roles: unknown[] = [];
    for (let round = 0; round < 5; round += 1)
      roles.push(...(await Promise.all(Array.from({ length: 10 }, read))));
    expect(new Set(roles)).toEqual(new Set(['primary']));
    for (const name of standbys) await cluster.resumeReplay(name);
  });

  it('gives up a silent host at the deadline, and its connection', async () => {
    const { name } = cluster.primary;
    const promise = router.run(sleep, [0.5], testCall({ timeoutMs: 400 }));
    const outcome = expect(promise).rejects.toMatchObject({ reason: 'DEADLINE_EXCEEDED' });
    await untilWaiting('PgSleep');
    await cluster.freeze(name);
    await outcome;
    await untilState(name, 'unreachable');
    const hopeless = testCall({ timeoutMs: 300 });
    await expect(router.run(sleep, [0], hopeless)).rejects.toMatchObject({ reason: 'NO_PRIMARY' });
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
});
