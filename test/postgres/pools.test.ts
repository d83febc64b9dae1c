import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../../src/lib/wait.js';
import { CONNECTION_TIMES, type ConnectionTimes } from '../../src/postgres/connections.js';
import { HostWatch } from '../../src/postgres/host-watch.js';
import { forAtMost, type Lease } from '../../src/postgres/lease.js';
import { NodeLost } from '../../src/postgres/node-lost.js';
import { ConnectionPool, type PoolOptions } from '../../src/postgres/pool.js';
import { Prober } from '../../src/postgres/prober.js';
import { sharedCluster } from '../support/cluster.js';
import { createTestDatabase, type TestConnection, type TestDatabase } from '../support/database.js';
import { testSettings } from '../support/router.js';

const limits = () => forAtMost(10_000);
const step = (text: string) => ({ statement: { name: text, text }, params: [] });
const nap = (seconds: number) => [step(`select pg_sleep(${seconds})`)];

describe('A pool of connections', () => {
  let database: TestDatabase;
  let admin: TestConnection;
  let pool: ConnectionPool | undefined;
  const lost = new NodeLost('the node');

  const settings = () =>
    testSettings({ url: database.url, nodes: sharedCluster().nodes }, { probeTimeoutMs: 500 });
  const open = (options: Partial<PoolOptions> = {}, node = sharedCluster().nodes[0]) => {
    if (node === undefined) throw new Error('the cluster has no node');
    pool = new ConnectionPool(settings(), node, {
      ...{ purpose: 'unary', sizeMax: 4, sizeMin: 0, tendIntervalMs: 10 },
      ...options,
    });
    return pool;
  };
  const times = (changed: Partial<ConnectionTimes>) => ({ ...CONNECTION_TIMES, ...changed });
  const untilSize = (size: number) =>
    until(() => pool?.snapshot().size === size, { timeoutMs: 5_000, what: `it has ${size}` });
  const pids = async (purpose: string) => {
    const rows = await admin.query<{ pid: number }>(
      `select pid from pg_stat_activity where datname = $1 and application_name = $2`,
      [database.name, `stowage ${purpose}`],
    );
    return rows.map(({ pid }) => pid);
  };
  const failure = (promise: Promise<unknown>) =>
    promise.then(
      () => undefined,
      (error: unknown) => error,
    );

  beforeAll(async () => {
    database = await createTestDatabase(sharedCluster().nodes[0]?.url ?? '', { migrate: false });
    admin = await database.connect();
  });

  afterEach(async () => {
    await until(() => (pool?.snapshot().acquired ?? 0) === 0, {
      timeoutMs: 5_000,
      what: 'every lease is given back',
    });
    await pool?.close(0);
    pool = undefined;
  });

  afterAll(() => database?.drop());

  const use = async (body: (lease: Lease) => Promise<void> = async () => undefined) => {
    const lease = await pool?.acquire(limits());
    if (lease === undefined) throw new Error('no pool is open');
    await body(lease);
    lease.release('clean');
    return lease.client.processID;
  };

  it('asks a connection that was idle for long, and lends no silent one', async () => {
    let silences = 0;
    const onSilence = () => {
      silences += 1;
    };
    const listener = { onRole: () => undefined, onSilence };
    open({ times: times({ askAfterMs: 0 }), listener });
    const pid = await use();
    expect(await use()).toBe(pid);
    process.kill(pid, 'SIGSTOP');
    try {
      expect(await use()).not.toBe(pid);
      expect(silences).toBe(1);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
  });

  it('lends a connection that was idle for a moment without asking', async () => {
    open();
    const pid = await use();
    process.kill(pid, 'SIGSTOP');
    try {
      expect(await use()).toBe(pid);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
  });

  it('replaces warm connections that grow old while they are idle', async () => {
    const warm = open({ sizeMin: 2, times: times({ ageMaxMs: 400 }) });
    await warm.warm();
    const former = await pids('unary');
    expect(former).toHaveLength(2);
    const areOthers = async () => {
      const present = await pids('unary');
      return present.length >= 2 && present.every((pid) => !former.includes(pid));
    };
    await until(areOthers, { timeoutMs: 5_000, what: 'others have taken their place' });
  });

  it('keeps no more than its minimum once they were idle for long', async () => {
    open({ sizeMin: 1, times: times({ idleMs: 30 }) });
    await Promise.all([use(), use(), use()]);
    expect(pool?.snapshot().size).toBe(3);
    await untilSize(1);
  });

  it('opens no connection by itself to a node that was given up', async () => {
    const cold = open({ sizeMin: 2, times: times({ ageMaxMs: 40 }) });
    await cold.warm();
    cold.sever('idle', lost);
    // One that was just being opened, in place of one that had grown old, ends when it is there.
    await untilSize(0);
    const states: number[] = [];
    await until(() => states.push(cold.snapshot().size) > 20, { timeoutMs: 5_000, what: 'time' });
    expect(Math.max(...states)).toBe(0);
  });

  it('lets a lease end whose node lost another connection, and lends it no more', async () => {
    const one = open();
    await Promise.all([use(), use()]);
    const running = use(async (lease) => {
      const query = lease.run(nap(0.1), limits());
      one.sever('idle', lost);
      expect(one.snapshot()).toMatchObject({ size: 1, idle: 0 });
      expect(await query).toHaveLength(1);
    });
    const pid = await running;
    expect(one.snapshot().size).toBe(0);
    expect(await use()).not.toBe(pid);
  });

  it('ends what hangs on a silent host, sends its line away, takes leases back', async () => {
    const one = open({ sizeMax: 2 });
    const first = await one.acquire(limits());
    const hanging = failure(first.run(nap(60), limits()));
    const second = await one.acquire(limits());
    await second.run([step('begin')], limits());
    const waiting = failure(one.acquire(limits()));
    one.sever('all', lost);
    expect(await hanging).toBe(lost);
    expect(await waiting).toBe(lost);
    expect(await failure(second.run(nap(0), limits()))).toBe(lost);
    first.release('clean');
    second.release('clean');
    await until(() => one.snapshot().acquired === 0, { timeoutMs: 5_000, what: 'both are back' });
    expect(() => first.release('clean')).toThrow('a lease is released once');
    expect(one.snapshot()).toMatchObject({ size: 0, acquired: 0, waiting: 0 });
    expect(await use()).toBeGreaterThan(0);
  });

  it('ends an attempt to connect to a host that has fallen silent', async () => {
    const one = open();
    const connecting = failure(one.acquire(limits()));
    one.sever('all', lost);
    expect(await connecting).toBe(lost);
  });

  it('passes on a turn that comes, or is lost, as its caller leaves', async () => {
    const one = open({ sizeMax: 1 });
    for (const isSevered of [false, true]) {
      const lease = await one.acquire(limits());
      const controller = new AbortController();
      const leaving = failure(one.acquire({ ...limits(), signal: controller.signal }));
      const staying = one.acquire(limits());
      const outcome = staying.catch((error: unknown) => error);
      expect(one.snapshot()).toMatchObject({ acquired: 1, waiting: 2 });
      expect(one.snapshot().waitedMs).toBeGreaterThan(0);
      controller.abort();
      if (isSevered) one.sever('idle', lost);
      lease.release('clean');
      expect(await leaving).toMatchObject({ reason: 'CANCELLED' });
      if (isSevered) expect(await outcome).toBe(lost);
      else (await staying).release('clean');
      expect(one.snapshot()).toMatchObject({ acquired: 0, waiting: 0, waitedMs: 0 });
    }
  });

  it('ends what nobody has as soon as it closes, and what is lent once it is back', async () => {
    const one = open();
    await Promise.all([use(), use()]);
    const lease = await one.acquire(limits());
    const closing = one.close(10_000);
    expect(one.snapshot()).toMatchObject({ size: 1, idle: 0, acquired: 1 });
    expect(await lease.run(nap(0), limits())).toHaveLength(1);
    lease.release('clean');
    expect(one.snapshot().size).toBe(0);
    await closing;
  });

  it('opens none for a caller whose idle connection it closes amid the question', async () => {
    const one = open({ times: times({ askAfterMs: 0 }) });
    const pid = await use();
    process.kill(pid, 'SIGSTOP');
    const asking = failure(one.acquire(limits()));
    await one.close(0);
    process.kill(pid, 'SIGCONT');
    expect(await asking).toMatchObject({ reason: 'DRAINING' });
    expect(one.snapshot()).toMatchObject({ size: 0, acquired: 0 });
  });

  it('ends connections to addresses that the name leads to no more', async () => {
    const one = open();
    const there = new Set(['127.0.0.1']);
    const moved = new Set(['192.0.2.1']);
    await Promise.all([use(), use()]);
    one.keepOnly(there);
    expect(one.snapshot().idle).toBe(2);
    await use(async () => one.keepOnly(moved));
    await untilSize(0);
  });

  it('hears the role of its node with each connection', async () => {
    const { nodes } = sharedCluster();
    for (const node of nodes.slice(0, 2)) {
      const roles: string[] = [];
      const listener = {
        onRole: (role: string) => void roles.push(role),
        onSilence: () => undefined,
      };
      const one = open({ listener }, node);
      await use();
      await one.close(0);
      expect(roles).toEqual([node.role]);
    }
  });

  it('follows a name to another address, and says so once a connection fails', async () => {
    const [node] = sharedCluster().nodes;
    const told: string[][] = [];
    let addresses = ['127.0.0.1', '::1'];
    const lookUp = async () => addresses;
    const host = new HostWatch('localhost', (found) => told.push([...found]), lookUp);
    const address = { host: 'localhost', port: node?.port ?? 0 };
    const quick = { ...settings(), probeIntervalMs: 20, probeTimeoutMs: 2_000 };
    const prober = new Prober(quick, address, () => undefined, host);
    await prober.start();
    const [first] = await pids('probe');
    expect(told).toEqual([addresses]);
    const untilOther = async (former: number | undefined) =>
      until(async () => (await pids('probe')).find((pid) => pid !== former), {
        timeoutMs: 5_000,
        what: 'the prober has connected again',
      });
    await admin.query('select pg_terminate_backend($1)', [first]);
    const second = await untilOther(first);
    await until(() => told.length === 2, { timeoutMs: 5_000, what: 'it has looked again' });
    addresses = ['192.0.2.1'];
    host.doubt();
    await untilOther(second);
    expect(told.at(-1)).toEqual(addresses);
    await prober.close();
    const literal = new HostWatch('127.0.0.1', () => undefined, lookUp);
    expect(await literal.check()).toBeUndefined();
  });
});
