// What a router tells its watchers while it gets to know its nodes, loses one and finds it again.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRouter } from '../../src/postgres/router.js';
import type { RouterHandle, TopologyChange } from '../../src/postgres/router-handle.js';
import { sharedCluster } from '../support/cluster.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { testSettings } from '../support/router.js';
import { openProxy, type TcpProxy } from '../support/tcp-proxy.js';

const NEVER_MS = 600_000;

let database: TestDatabase;
let line: TcpProxy;

beforeAll(async () => {
  const { nodes } = sharedCluster();
  database = await createTestDatabase(nodes[0]?.url ?? '');
  const standby = nodes.find(({ role }) => role === 'standby');
  line = await openProxy(standby?.url ?? '');
});

afterAll(async () => {
  await line?.[Symbol.asyncDispose]();
  await database?.drop();
});

/** A router on the primary and, behind the line, on a standby. */
function routerOverTheLine(): RouterHandle {
  const [primary] = sharedCluster().nodes;
  const { hostname: host, port } = new URL(`tcp://${line.address}`);
  const nodes = [primary ?? { host, port: 0 }, { host, port: Number(port) }];
  return createRouter(testSettings({ url: database.serviceUrl ?? '', nodes }));
}

/** Reads until the node is in one of these states; gives what was read. */
async function until(
  changes: AsyncIterator<TopologyChange>,
  name: string,
  wanted: readonly string[],
): Promise<TopologyChange[]> {
  const seen: TopologyChange[] = [];
  for (;;) {
    const { value } = await changes.next();
    seen.push(value);
    const { transition } = value as TopologyChange;
    if (transition?.node === name && wanted.includes(transition.to)) return seen;
  }
}

const READABLE = ['standby', 'lagging'];

describe('router.watch', () => {
  it('tells every transition of every node, each from the state before it', async () => {
    await using router = routerOverTheLine();
    const watching = new AbortController();
    const changes = router.watch(watching.signal, NEVER_MS);
    const first = (await changes.next()).value;
    const states = new Map(first?.topology.nodes.map(({ name, state }) => [name, state]));
    expect([...states.values()]).toEqual(['unknown', 'unknown']);
    await router.start();
    const seen = await until(changes, line.address, READABLE);
    line.refuse(true);
    seen.push(...(await until(changes, line.address, ['unreachable'])));
    line.refuse(false);
    seen.push(...(await until(changes, line.address, READABLE)));
    for (const { transition, topology } of seen) {
      const { node = '', from, to } = transition ?? {};
      expect(states.get(node)).toBe(from);
      expect(topology.nodes.find(({ name }) => name === node)?.state).toBe(to);
      states.set(node, topology.nodes.find(({ name }) => name === node)?.state ?? 'unknown');
    }
    expect([...states]).toEqual(router.topology().nodes.map(({ name, state }) => [name, state]));
    watching.abort(new Error('enough'));
    await expect(changes.next()).rejects.toThrow('enough');
  });
});
