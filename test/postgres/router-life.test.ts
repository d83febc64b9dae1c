import { afterEach, describe, expect, it } from 'vitest';
import { parseSealed, parseTokenPayload } from '../../src/lib/token-layout.js';
import { until } from '../../src/lib/wait.js';
import {
  type QueryEvent,
  queryChannel,
  type TopologyEvent,
  topologyChannel,
} from '../../src/postgres/events.js';
import { forAtMost } from '../../src/postgres/lease.js';
import { ConnectionPool } from '../../src/postgres/pool.js';
import { createRouter } from '../../src/postgres/router.js';
import type { RouterHandle } from '../../src/postgres/router-handle.js';
import { STATE_LIMITS, type Topology } from '../../src/postgres/router-state.js';
import { Routing } from '../../src/postgres/routing.js';
import { statement } from '../../src/postgres/statement.js';
import { TopologyMonitor } from '../../src/postgres/topology-monitor.js';
import { sharedCluster } from '../support/cluster.js';
import { createTestDatabase } from '../support/database.js';
import { startTestRouter, testCall, testSettings } from '../support/router.js';
import { useRouter } from '../support/use-router.js';

const sleep = statement<{ one: number }>({
  name: 'test-sleep',
  intent: 'readPrimary',
  text: 'select 1 as one from pg_sleep($1::float8)',
});

const broken = statement({
  name: 'test-broken',
  intent: 'read',
  text: 'select 1 from no_such_table',
});

/** Where nobody listens. */
const NOBODY = { host: '127.0.0.1', port: 1 };

describe('The life of a router', () => {
  const fixture = useRouter({ settings: { connectionsMin: 0 } });
  let router: RouterHandle | undefined;

  afterEach(async () => {
    await router?.close();
  });

  const start = async (settings = {}) => {
    const target = { url: fixture.database.serviceUrl ?? '', nodes: sharedCluster().nodes };
    router = await startTestRouter(target, settings);
    return router;
  };
  const backends = async () => {
    const rows = await fixture.admin.query<{ count: string }>(
      `select count(*) from pg_stat_activity
       where datname = $1 and application_name like 'stowage%'`,
      [fixture.database.name],
    );
    return Number(rows[0]?.count);
  };
  const untilBackends = (count: number) =>
    until(async () => (await backends()) === count, {
      timeoutMs: 10_000,
      what: `the primary has ${count} backends`,
    });

  it('keeps connections warm, and ends them all', async () => {
    const before = await backends();
    const second = await start({ connectionsMin: 3 });
    await until(() => second.topology().nodes.every(({ pools }) => pools.unary.idle >= 3), {
      timeoutMs: 10_000,
      what: 'every node has three idle connections',
    });
    expect(await backends()).toBeGreaterThanOrEqual(before + 4);
    await second.close();
    await untilBackends(before);
  });

  it('opens what is missing of the warm connections beside idle ones', async () => {
    const [node] = sharedCluster().nodes;
    const target = { url: fixture.database.serviceUrl ?? '', nodes: node ? [node] : [] };
    const address = { host: node?.host ?? '', port: node?.port ?? 0 };
    const options = { purpose: 'unary', sizeMax: 4, sizeMin: 3 } as const;
    const pool = new ConnectionPool(testSettings(target), address, options);
    (await pool.acquire(forAtMost(5_000))).release('clean');
    await pool.warm();
    expect(pool.snapshot()).toMatchObject({ size: 3, idle: 3 });
    await pool.close(1_000);
  });

  it('starts though a node refuses to be probed, and does not ask it without pause', async () => {
    const refusing = await createTestDatabase(sharedCluster().nodes[0]?.url ?? '');
    const admin = await refusing.connect();
    await admin.query('revoke execute on function pg_control_system() from public');
    const [node] = sharedCluster().nodes;
    const target = { url: refusing.serviceUrl ?? '', nodes: node ? [node] : [] };
    router = createRouter(testSettings(target, { probeIntervalMs: 60_000 }));
    const changes: TopologyEvent[] = [];
    const onChange = (event: unknown) => changes.push(event as TopologyEvent);
    topologyChannel.subscribe(onChange);
    await router.start();
    topologyChannel.unsubscribe(onChange);
    expect(changes).toMatchObject([{ to: 'unreachable', cause: { code: '42501' } }]);
    await router.close();
    await refusing.drop();
  });

  it('lets running calls end and takes no more', async () => {
    const second = await start();
    const running = second.run(sleep, [0.3], testCall());
    await until(() => second.topology().nodes.some(({ pools }) => pools.unary.acquired === 1), {
      timeoutMs: 5_000,
      what: 'the call has its lease',
    });
    const closed = second.close();
    await expect(second.run(sleep, [0], testCall())).rejects.toMatchObject({ reason: 'DRAINING' });
    expect(await running).toEqual([{ one: 1 }]);
    await closed;
  });

  it('ends what takes longer than its close', async () => {
    const second = await start({ connectionsMin: 0 });
    const running = second.run(sleep, [60], testCall());
    const outcome = expect(running).rejects.toMatchObject({ reason: 'DRAINING' });
    await until(() => second.topology().nodes.some(({ pools }) => pools.unary.acquired === 1), {
      timeoutMs: 5_000,
      what: 'the call has its lease',
    });
    await second.close(100);
    await outcome;
  });

  it('never has more connections than its budget', async () => {
    const before = await backends();
    const second = await start({ connectionsMax: 5, connectionsMin: 0 });
    const calls = Array.from({ length: 40 }, () => second.run(sleep, [0.01], testCall()));
    const seen: number[] = [];
    const watching = until(
      async () => {
        seen.push((await backends()) - before);
        return second.topology().nodes.every(({ pools }) => pools.unary.acquired === 0);
      },
      { timeoutMs: 10_000, what: 'all calls are served', pollMs: 5 },
    );
    expect(await Promise.all(calls)).toHaveLength(40);
    await watching;
    // Three unary and the probe; the one for streams was not needed.
    expect(Math.max(...seen)).toBeLessThanOrEqual(4);
  });

  it('tells of queries and of changes of the topology', async () => {
    const queries: QueryEvent[] = [];
    const changes: TopologyEvent[] = [];
    const onQuery = (event: unknown) => queries.push(event as QueryEvent);
    const onChange = (event: unknown) => changes.push(event as TopologyEvent);
    queryChannel.subscribe(onQuery);
    topologyChannel.subscribe(onChange);
    try {
      const second = await start();
      expect(changes.map(({ from }) => from)).toEqual(Array(3).fill('unknown'));
      expect(changes.map(({ to }) => to).sort()).toEqual(['primary', 'standby', 'standby']);
      const call = testCall();
      await second.run(sleep, [0], call);
      await second.run(broken, [], call).catch(() => undefined);
      const mine = queries.filter(({ requestId }) => requestId === call.requestId);
      expect(mine.map(({ statement: name, reason }) => [name, reason])).toEqual([
        ['test-sleep', undefined],
        ['test-broken', 'SCHEMA_MISMATCH'],
      ]);
      expect(mine[1]?.cause).toMatchObject({ code: '42P01' });
    } finally {
      queryChannel.unsubscribe(onQuery);
      topologyChannel.unsubscribe(onChange);
    }
  });

  it('begins to wait for a node when it finds none, however long it took to find out', async () => {
    const target = { url: fixture.database.serviceUrl ?? '', nodes: [NOBODY] };
    const settings = testSettings(target, { queueTimeoutMs: 50 });
    const routing = new Routing(settings, 60_000, STATE_LIMITS);
    try {
      const limits = forAtMost(5_000);
      const attempts = routing.attempts(limits);
      const waitFor = (ms: number, sinceMs = performance.now()) =>
        until(() => performance.now() - sinceMs > ms, { timeoutMs: 5_000, what: `${ms} ms` });
      await waitFor(60);
      const startedAtMs = performance.now();
      const find = () => routing.route({ kind: 'eventual' }, attempts, limits);
      await expect(find()).rejects.toMatchObject({ reason: 'NO_NODE' });
      expect(performance.now() - startedAtMs).toBeGreaterThanOrEqual(49);
      await expect(find()).rejects.toMatchObject({ reason: 'NO_NODE' });
      expect(performance.now() - startedAtMs).toBeLessThan(2_000);
    } finally {
      await routing.close(0);
    }
  });

  it('wakes who waits for what has changed, not for each probe that says the same', async () => {
    const [node] = sharedCluster().nodes;
    const target = { url: fixture.database.serviceUrl ?? '', nodes: node ? [node] : [] };
    const effects = { sever: () => undefined, keepOnly: () => undefined, warm: () => undefined };
    const monitor = new TopologyMonitor(testSettings(target), effects, STATE_LIMITS);
    try {
      await monitor.start();
      const isPrimary = ({ primary }: Topology) => primary !== undefined || undefined;
      await monitor.until(isPrimary, 5, forAtMost(5_000));
      let looks = 0;
      const never = () => {
        looks += 1;
        return undefined;
      };
      const waiting = new AbortController();
      const outcome = monitor.until(never, 5, { signal: waiting.signal, deadlineMs: Infinity });
      const probes = new Set<number | undefined>();
      const hasProbed = () => {
        probes.add([...monitor.topology.nodes.values()][0]?.report?.askedAtMs);
        return probes.size > 4;
      };
      await until(hasProbed, { timeoutMs: 5_000, what: 'the node was probed a few times' });
      waiting.abort();
      expect(await outcome).toEqual({ interruption: 'aborted' });
      expect(looks).toBe(1);
    } finally {
      await monitor.close();
    }
  });

  it('gives a read a token of the history in which it began', async () => {
    const [node] = sharedCluster().nodes;
    await using own = await createTestDatabase(node?.url ?? '');
    const admin = await own.connect();
    const target = { url: own.serviceUrl ?? '', nodes: node ? [node] : [] };
    await using alone = await startTestRouter(target);
    const call = testCall();
    const reading = alone.run(sleep, [1], call);
    await until(() => alone.topology().nodes[0]?.pools.unary.acquired === 1, {
      timeoutMs: 5_000,
      what: 'the read has a connection',
    });
    await admin.query(`insert into timelines (timeline, switch_lsn) values (2, 'FFFFFFFF/0')`);
    await until(() => alone.topology().history.length === 2, {
      timeoutMs: 5_000,
      what: 'another timeline is known',
    });
    expect(alone.topology().nodes[0]?.pools.unary.acquired).toBe(1);
    await reading;
    const sealed = parseSealed(call.served[0]?.token ?? '');
    expect(sealed && parseTokenPayload(sealed.payload)).toMatchObject({ timeline: 1 });
  });

  it('lets a stream that needs a primary wait no longer than it may stand in line', async () => {
    const target = { url: fixture.database.serviceUrl ?? '', nodes: [NOBODY] };
    await using dead = createRouter(testSettings(target), { streamIdleTimeoutMs: 50 });
    await dead.start();
    const call = { ...testCall({ freshness: { kind: 'strong' } }), deadlineMs: Infinity };
    const collector = { tuple: () => undefined, isFull: () => false, take: () => undefined };
    const stream = dead.stream(sleep, [0], call, { collector });
    await expect(stream.next()).rejects.toMatchObject({ reason: 'NO_PRIMARY' });
  });
});
