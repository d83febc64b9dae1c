/** The verbs of the embedded cluster, on one cluster: those that change the roles come last. */
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { EmbeddedCluster, EmbeddedNode } from '../../src/embedded/index.js';
import { startTestCluster, type TestCluster } from '../support/cluster.js';

async function makeTable(cluster: EmbeddedCluster): Promise<void> {
  await cluster.primary.query('create table item (value int)');
  await cluster.waitUntilCaughtUp();
}

async function add(node: EmbeddedNode, value: number): Promise<void> {
  await node.query('insert into item values ($1)', [value]);
}

async function read(node: EmbeddedNode): Promise<number[]> {
  const rows = await node.query<{ value: number }>('select value from item order by value');
  return rows.map((row) => row.value);
}

let test: TestCluster;
let cluster: EmbeddedCluster;

beforeAll(async () => {
  test = await startTestCluster({ standbys: 2, fsync: true });
  cluster = test.cluster;
  await makeTable(cluster);
});

afterAll(async () => {
  // A frozen standby must not keep the cluster from stopping.
  await cluster.freeze('c');
  await test.stop();
});

beforeEach(async () => {
  await cluster.primary.query('truncate item');
  await cluster.waitUntilCaughtUp();
});

describe('verbs that leave the roles alone', () => {
  it('restarts a crashed primary with all that it had acknowledged', async () => {
    for (let value = 1; value <= 3; value += 1) {
      await add(cluster.primary, value);
      await cluster.crash('a');
      expect(cluster.primary.isRunning).toBe(false);
      await expect(cluster.primary.query('select 1')).rejects.toThrow(/ECONNREFUSED/);
      await cluster.restart('a');
    }
    await cluster.waitUntilCaughtUp('b');
    expect(await read(cluster.node('a'))).toEqual([1, 2, 3]);
    expect(await read(cluster.node('b'))).toEqual([1, 2, 3]);
  });

  it('pauses and resumes the replay of a standby', async () => {
    await cluster.pauseReplay('b');
    await add(cluster.primary, 1);
    expect(await read(cluster.node('b'))).toEqual([]);
    await cluster.resumeReplay('b');
    await cluster.waitUntilCaughtUp('b');
    expect(await read(cluster.node('b'))).toEqual([1]);
  });

  it('lets a standby that was cut off catch up after it is pointed back', async () => {
    await cluster.cutReplication('b');
    await add(cluster.primary, 1);
    expect(await read(cluster.node('b'))).toEqual([]);
    await cluster.repoint('b', 'a');
    await cluster.waitUntilCaughtUp('b');
    expect(await read(cluster.node('b'))).toEqual([1]);
  });

  it('freezes a node so that it answers nobody until it is thawed', async () => {
    await cluster.freeze('b');
    const client = new pg.Client({
      connectionString: cluster.superuserUrl('b'),
      connectionTimeoutMillis: 300,
    });
    await expect(client.connect()).rejects.toThrow(/timeout/);
    await cluster.thaw('b');
    expect(await cluster.node('b').query('select 1 as one')).toEqual([{ one: 1 }]);
  });

  it('refuses verbs that do not fit the state of a node', async () => {
    const misfit = expect.objectContaining({ reason: 'NODE_STATE' });
    await expect(cluster.promote('a')).rejects.toEqual(misfit);
    await expect(cluster.rejoin('a')).rejects.toEqual(misfit);
    await expect(cluster.repoint('b', 'b')).rejects.toEqual(misfit);
    await cluster.crash('b');
    await expect(cluster.pauseReplay('b')).rejects.toEqual(misfit);
    await cluster.crash('b');
    await cluster.restart('b');
    await cluster.waitUntilCaughtUp('b');
    expect(() => cluster.node('x')).toThrow('there is no node x, only a, b, c');
  });
});

describe('verbs that change the roles', () => {
  it('promotes a standby, points the other to it and rebuilds the former primary', async () => {
    await cluster.cutReplication('b');
    await cluster.cutReplication('c');
    await add(cluster.node('a'), 1);
    expect(await read(cluster.node('b'))).toEqual([]);

    await cluster.crash('a');
    await cluster.promote('b');
    expect(cluster.primary.name).toBe('b');
    expect(cluster.primary.role).toBe('primary');
    await cluster.repoint('c', 'b');
    await add(cluster.primary, 2);
    await cluster.waitUntilCaughtUp('c');
    expect(await read(cluster.node('c'))).toEqual([2]);

    await cluster.rejoin('a');
    expect(cluster.node('a').role).toBe('standby');
    expect(await read(cluster.node('a'))).toEqual([2]);
    const slots = await cluster.primary.query(
      'select slot_name::text as name, active from pg_replication_slots order by 1',
    );
    expect(slots).toEqual([
      { name: 'stowage_a', active: true },
      { name: 'stowage_c', active: true },
    ]);
  });

  it('brings a former primary back as a second primary when it is only restarted', async () => {
    await cluster.crash('b');
    await cluster.promote('a');
    await cluster.restart('b');
    expect(cluster.node('b').role).toBe('primary');
    await add(cluster.node('a'), 1);
    await add(cluster.node('b'), 2);
    expect(await read(cluster.node('a'))).toEqual([1]);
    expect(await read(cluster.node('b'))).toEqual([2]);
  });
});
