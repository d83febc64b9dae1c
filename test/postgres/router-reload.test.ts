import { afterEach, describe, expect, it } from 'vitest';
import { until } from '../../src/lib/wait.js';
import { nodeName } from '../../src/postgres/driver.js';
import { type TopologyEvent, topologyChannel } from '../../src/postgres/events.js';
import { createRouter } from '../../src/postgres/router.js';
import type { RouterHandle } from '../../src/postgres/router-handle.js';
import { statement } from '../../src/postgres/statement.js';
import { sharedCluster } from '../support/cluster.js';
import { settled, startTestRouter, testCall, testSettings } from '../support/router.js';
import { useRouter } from '../support/use-router.js';

const sleep = statement<{ one: number }>({
  name: 'test-sleep',
  intent: 'readPrimary',
  text: 'select 1 as one from pg_sleep($1::float8)',
});

const one = statement<{ one: number }>({
  name: 'test-one',
  intent: 'read',
  text: 'select 1 as one',
});

describe('A router that runs', () => {
  const fixture = useRouter({ settings: { connectionsMin: 0 } });
  let router: RouterHandle | undefined;

  afterEach(async () => {
    if (router !== undefined) await settled(router);
    await router?.close();
    router = undefined;
  });

  const all = () => sharedCluster().nodes.map(({ host, port }) => ({ host, port }));
  const start = async (nodes = all(), settings = {}) => {
    router = await startTestRouter({ url: fixture.database.serviceUrl ?? '', nodes }, settings);
    return router;
  };
  const password = () => new URL(fixture.database.serviceUrl ?? '').password;
  const backends = async (role: string) => {
    const rows = await fixture.admin.query<{ count: string }>(
      `select count(*) from pg_stat_activity where usename = $1`,
      [role],
    );
    return Number(rows[0]?.count);
  };
  /** The primary's answers are this old, against those of the youngest standby. */
  const ages = () => {
    const nodes = router?.topology().nodes ?? [];
    const [primary = 0, ...standbys] = nodes.map(({ answeredMsAgo }) => answeredMsAgo ?? 0);
    return { primary, standby: Math.min(...standbys) };
  };

  it('asks a node whose statement runs long, and no other', async () => {
    const target = { url: fixture.database.serviceUrl ?? '', nodes: all() };
    const calm = createRouter(testSettings(target, { probeIntervalMs: 60_000 }));
    router = calm;
    await calm.start();
    await until(() => calm.topology().hasPrimary, { timeoutMs: 5_000, what: 'the primary' });
    await calm.run(sleep, [0.7], testCall());
    const { primary, standby } = ages();
    expect(standby).toBeGreaterThan(690);
    expect(primary).toBeLessThan(400);
  });

  it('blames no node while its own clock stands', async () => {
    const changes: TopologyEvent[] = [];
    const hasty = await start(all(), { probeIntervalMs: 10, probeTimeoutMs: 50 });
    const onChange = (event: unknown) => changes.push(event as TopologyEvent);
    topologyChannel.subscribe(onChange);
    const doubted: string[] = [];
    for (let round = 0; round < 4; round += 1) {
      const { epoch } = hasty.topology();
      await until(() => ages().primary < 50, { timeoutMs: 5_000, pollMs: 3, what: 'an answer' });
      const endMs = performance.now() + 300;
      while (performance.now() < endMs) expect(epoch).toBe(1);
      await until(
        () => {
          doubted.push(...hasty.topology().nodes.flatMap((n) => (n.isDoubted ? [n.name] : [])));
          return ages().primary < 30;
        },
        { timeoutMs: 5_000, pollMs: 0, what: 'it goes on' },
      );
    }
    topologyChannel.unsubscribe(onChange);
    expect(changes.filter(({ to }) => to === 'unreachable' || to === 'unknown')).toEqual([]);
    expect(doubted).toEqual([]);
  });

  it('takes nodes and another password, and keeps what it knows', async () => {
    const nodes = all();
    const [primary = { host: '', port: 0 }, ...standbys] = nodes;
    const growing = await start(nodes.slice(0, 1));
    const { epoch } = growing.topology();
    const role = new URL(fixture.database.serviceUrl ?? '').username;
    await fixture.admin.query(`alter role ${role} password 'rotated'`);
    await until(() => growing.topology().hasPrimary, { timeoutMs: 5_000, what: 'the primary' });
    await growing.reload({ nodes, password: 'rotated' });
    // Standbys have the new password once they have replayed it.
    await until(() => growing.topology().nodes.every(({ state }) => state !== 'unreachable'), {
      timeoutMs: 10_000,
      what: 'every node is known',
    });
    expect(growing.topology().nodes.map(({ name }) => name)).toEqual(nodes.map(nodeName));
    const call = testCall({ freshness: { kind: 'eventual' } });
    expect(await growing.run(one, [], call)).toEqual([{ one: 1 }]);
    expect(standbys.map(nodeName)).toContain(call.served[0]?.by.node);
    expect(growing.topology()).toMatchObject({ epoch, primary: nodeName(primary) });
    await fixture.admin.query(`alter role ${role} password '${password()}'`);
  });

  it('drains a node that is taken away: leases end, and nothing new comes', async () => {
    const [, ...standbys] = all();
    const shrinking = await start(all(), { connectionsMin: 1, probeIntervalMs: 50 });
    const role = new URL(fixture.database.serviceUrl ?? '').username;
    const running = shrinking.run(sleep, [0.4], testCall());
    await until(() => shrinking.topology().nodes.some(({ pools }) => pools.unary.acquired === 1), {
      timeoutMs: 5_000,
      what: 'the statement has its lease',
    });
    await shrinking.reload({ nodes: standbys, password: password() });
    expect(shrinking.topology()).toMatchObject({ hasPrimary: false, canRead: true });
    expect(shrinking.topology().nodes.map(({ name }) => name)).toEqual(standbys.map(nodeName));
    const short = testCall({ timeoutMs: 300 });
    await expect(shrinking.run(sleep, [0], short)).rejects.toMatchObject({ reason: 'NO_PRIMARY' });
    expect(await shrinking.run(one, [], testCall())).toEqual([{ one: 1 }]);
    expect(await running).toEqual([{ one: 1 }]);
    await fixture.router.close();
    await until(async () => (await backends(role)) === 0, {
      timeoutMs: 5_000,
      what: 'no connection to the former node is left',
    });
  });

  it('ends what a node that is taken away still runs after the grace', async () => {
    const [, ...standbys] = all();
    const shrinking = await start();
    const running = shrinking.run(sleep, [60], testCall({ timeoutMs: 1_500 }));
    const outcome = expect(running).rejects.toMatchObject({ reason: 'NO_PRIMARY' });
    await until(() => shrinking.topology().nodes.some(({ pools }) => pools.unary.acquired === 1), {
      timeoutMs: 5_000,
      what: 'the statement has its lease',
    });
    await shrinking.reload({ nodes: standbys, password: password() }, 50);
    await outcome;
  });

  it('takes no node once it is closed', async () => {
    const [primary, ...standbys] = all();
    const closed = await start(primary === undefined ? [] : [primary]);
    await closed.close();
    await closed.reload({ nodes: standbys, password: password() });
    expect(closed.topology().nodes.map(({ name }) => name)).toEqual([
      `${primary?.host}:${primary?.port}`,
    ]);
  });
});
