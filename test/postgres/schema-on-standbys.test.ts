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

async function ask(node: EmbeddedNode, text: string): Promise<Row | undefined> {
  const connection = await openConnection(asLogin(node.url(), login));
  try {
    return (await connection.query(text))[0];
  } finally {
    await connection.end();
  }
}

describe('the schema on standbys', () => {
  it('makes no partitions there, and does not say so where none lacks', async () => {
    const made = ask(first, 'select stowage_ensure_partitions()');
    await expect(made).rejects.toMatchObject({ code: '25006' });
  });

  it('tells the service where a timeline left its parent, on its standbys too', async () => {
    const { cluster } = own;
    expect(await ask(first, 'select stowage_switch_point(2) as lsn')).toEqual({ lsn: null });
    await cluster.crash(cluster.primary.name);
    await cluster.promote(first.name);
    const recorded = await ask(
      first,
      `insert into timelines (timeline, switch_lsn) values (1, stowage_switch_point(1)),
         (2, stowage_switch_point(2)) returning pg_walfile_name(switch_lsn) as first`,
    );
    expect(recorded?.['first']).toBeDefined();
    await cluster.repoint(second.name, first.name);
    await cluster.waitUntilCaughtUp(second.name);
    const there = await ask(
      second,
      `select t.timeline, t.switch_lsn, stowage_switch_point(2) = t.switch_lsn as same
       from timelines t where timeline = 2`,
    );
    expect(there).toMatchObject({ timeline: 2, same: true });
    expect(there?.['switch_lsn']).toMatch(/^[0-9A-F]+\/[0-9A-F]+$/);
  });
});
