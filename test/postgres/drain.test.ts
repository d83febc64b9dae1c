// A drain as the router obeys it: what runs goes on, what comes goes elsewhere.
import { describe, expect, it } from 'vitest';
import { until } from '../../src/lib/wait.js';
import { statement } from '../../src/postgres/statement.js';
import { sharedCluster } from '../support/cluster.js';
import { atDatabase, openConnection } from '../support/database.js';
import { testCall } from '../support/router.js';
import { useRouter } from '../support/use-router.js';

/** Advisory locks are there on standbys too, each with its own. */
const LOCK = 4711;

const waitForLock = statement({
  name: 'test-wait-for-lock',
  intent: 'read',
  text: 'select pg_advisory_xact_lock_shared($1::int8)::text',
});

const anything = statement({ name: 'test-anything', intent: 'read', text: 'select 1' });

const WAIT = { timeoutMs: 10_000 };

describe('A drained standby', () => {
  const fixture = useRouter();
  const call = () => testCall({ freshness: { kind: 'eventual' } });

  /** Which node serves a call that any may serve. */
  const servedBy = async () => {
    const made = call();
    await fixture.router.run(anything, [], made);
    return made.served[0]?.by.node;
  };

  it('goes on with the calls that it has, and gets no other until it is undrained', async () => {
    const { router, admin, database } = fixture;
    const standbys = sharedCluster().nodes.filter(({ role }) => role === 'standby');
    const holders = await Promise.all(
      standbys.map(({ url }) => openConnection(atDatabase(url, database.name))),
    );
    for (const holder of holders) await holder.query(`select pg_advisory_lock(${LOCK})`);
    const long = call();
    const running = router.run(waitForLock, [LOCK], long);
    // Asked of the standbys themselves: in the pools a connection that is opened ahead counts too.
    const held = async () => {
      const waits = 'select from pg_locks where locktype = $1 and not granted';
      const rows = await Promise.all(holders.map((holder) => holder.query(waits, ['advisory'])));
      return standbys.find((_, index) => (rows[index]?.length ?? 0) > 0);
    };
    const { host, port } = await until(held, { ...WAIT, what: 'a standby has the call' });
    const name = `${host}:${port}`;
    const stateIs = (wanted: readonly string[]) =>
      until(
        () =>
          router.topology().nodes.some((node) => node.name === name && wanted.includes(node.state)),
        { ...WAIT, what: `${name} is ${wanted.join(' or ')}` },
      );
    await admin.query('insert into node_drains (node) values ($1)', [name]);
    await stateIs(['draining']);
    for (let count = 0; count < 20; count += 1) expect(await servedBy()).not.toBe(name);
    for (const holder of holders) await holder.end();
    await running;
    expect(long.served.map(({ by }) => by.node)).toEqual([name]);
    await admin.query('delete from node_drains');
    await stateIs(['standby', 'lagging']);
    await until(async () => (await servedBy()) === name, { ...WAIT, what: 'it serves again' });
  });
});
