import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { EmbeddedNode } from '../../src/embedded/index.js';
import { migrateUp } from '../../src/postgres/migrate.js';
import { createServiceLogin } from '../../src/postgres/service-login.js';
import { startTestCluster, type TestCluster } from '../support/cluster.js';
import { asLogin, openConnection } from '../support/database.js';

const login = { user: 'service', password: 'secret' };

let own: TestCluster;
let first: EmbeddedNode;
let second: EmbeddedNode;

beforeAll(async () => {
  own = await startTestCluster({ standbys: 2 });
  const { cluster } = own;
  await migrateUp({ database: cluster.primary.url() });
  await createServiceLogin(cluster.primary.url(), login);
  const [one, other] = cluster.standbys;
  if (one === undefined || other === undefined) throw new Error('two standbys were asked for');
  [first, second] = [one, other];
  await cluster.waitUntilCaughtUp(first.name);
  await cluster.waitUntilCaughtUp(second.name);
});

afterAll(() => own.stop());

type Row = Record<string, unknown>;

async function ask(node: EmbeddedNode, text: string): Promise<Row[]> {
  const connection = await openConnection(asLogin(node.url(), login));
  try {
    return await connection.query(text);
  } finally {
    await connection.end();
  }
}

describe('the schema on standbys', () => {
  it('makes no partitions there, and does not say so where none lacks', async () => {
    const made = ask(first, 'select stowage_ensure_partitions()');
    await expect(made).rejects.toMatchObject({ code: '25006' });
  });

  it('tells the service where each timeline left its parent, on its standbys too', async () => {
    const { cluster } = own;
    const history = 'select * from stowage_timeline_history(2) order by history_timeline';
    expect(await ask(first, history)).toEqual([]);
    await cluster.crash(cluster.primary.name);
    await cluster.promote(first.name);
    const told = await ask(first, history);
    expect(told).toEqual([
      { history_timeline: 1, switch_lsn: '0/0' },
      { history_timeline: 2, switch_lsn: expect.stringMatching(/^[0-9A-F]+\/[0-9A-F]+$/) },
    ]);
    const record = `insert into timelines (timeline, switch_lsn)
       select * from stowage_timeline_history(2) returning recorded_lsn >= switch_lsn as behind`;
    expect(await ask(first, record)).toEqual([{ behind: true }, { behind: true }]);
    await cluster.repoint(second.name, first.name);
    await cluster.waitUntilCaughtUp(second.name);
    expect(await ask(second, history)).toEqual(told);
    const rows = 'select timeline as history_timeline, switch_lsn from timelines order by 1';
    expect(await ask(second, rows)).toEqual(told);
  });
});
