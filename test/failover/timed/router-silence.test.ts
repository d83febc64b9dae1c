import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { EmbeddedCluster } from '../../../src/embedded/index.js';
import { noteTimelineJob } from '../../../src/jobs/note-timeline.js';
import { NEVER } from '../../../src/lib/interruption.js';
import { until } from '../../../src/lib/wait.js';
import type { NodeAddress } from '../../../src/postgres/driver.js';
import { forAtMost } from '../../../src/postgres/lease.js';
import { parseLsn } from '../../../src/postgres/lsn.js';
import { migrateUp } from '../../../src/postgres/migrate.js';
import { ConnectionPool } from '../../../src/postgres/pool.js';
import type { RouterHandle } from '../../../src/postgres/router-handle.js';
import { createServiceLogin } from '../../../src/postgres/service-login.js';
import { statement } from '../../../src/postgres/statement.js';
import { startTestCluster, type TestCluster } from '../../support/cluster.js';
import {
  asLogin,
  atDatabase,
  createTestDatabase,
  openConnection,
  type TestDatabase,
} from '../../support/database.js';
import { settled, startTestRouter, testCall, testSettings } from '../../support/router.js';

const napOnStandby = statement<{ in_recovery: boolean }>({
  name: 'test-nap',
  intent: 'read',
  text: 'select pg_is_in_recovery() as in_recovery from pg_sleep($1::float8)',
});

/** May make roles and databases, but read no file of the server. */
const migrator = { user: 'migrator', password: 'secret' };
const service = { user: 'service', password: 'secret' };
const WAIT = { timeoutMs: 20_000 };

describe('A router whose nodes fall silent or are promoted', () => {
  let test: TestCluster;
  let cluster: EmbeddedCluster;
  let database: TestDatabase;

  const nodes = () => cluster.nodes.map(({ port }) => ({ host: '127.0.0.1', port }));
  const urlOf = (name: string, login = service, node = cluster.primary) =>
    asLogin(atDatabase(node.url(), name), login);
  const onDatabase = (name: string) =>
    startTestRouter({ url: urlOf(name), nodes: nodes() }, { probeTimeoutMs: 1_000 });
  /** A database whose owner may not read the server's files. */
  const makeOwned = async (name: string) => {
    await cluster.primary.query(`create database ${name} owner ${migrator.user}`);
    await migrateUp({ database: urlOf(name, migrator) });
  };
  const rowsOf = async (url: string) => {
    const connection = await openConnection(url);
    const rows = await connection.query<{ timeline: number; switch_lsn: string }>(
      'select timeline, switch_lsn::text from timelines order by timeline',
    );
    await connection.end();
    return rows.map(({ timeline, switch_lsn: lsn }) => ({ timeline, lsn: parseLsn(lsn) }));
  };

  const notedLsn = async () => {
    const noted = await openConnection(urlOf('noted'));
    const [note] = await noted.query<{ reached: string }>(
      'select reached_lsn::text as reached from timelines where timeline = 1',
    );
    await noted.end();
    return parseLsn(note?.reached ?? '');
  };
  /** A session that lives on through a promotion: its next answer says what its node is then. */
  const openSession = async (address: NodeAddress) => {
    const heard: string[] = [];
    const listener = {
      onRole: (role: string) => void heard.push(role),
      onSilence: () => undefined,
    };
    const settings = testSettings({ url: urlOf('watched'), nodes: [] });
    const options = { purpose: 'unary', sizeMax: 1, sizeMin: 0, listener } as const;
    const pool = new ConnectionPool(settings, address, options);
    const lease = await pool.acquire(forAtMost(5_000));
    const rolesHeard = async () => {
      const one = { statement: { name: 'one', text: 'select 1' }, params: [] };
      await lease.run([one], forAtMost(5_000));
      lease.release('clean');
      await pool.close(1_000);
      return heard;
    };
    return { rolesHeard };
  };

  beforeAll(async () => {
    test = await startTestCluster({ standbys: 2 });
    cluster = test.cluster;
    await cluster.primary.query(`create role migrator login createrole password 'secret'`);
    await makeOwned('watched');
    await makeOwned('noted');
    await createServiceLogin(urlOf('noted', migrator), service);
    await createServiceLogin(urlOf('watched', migrator), service);
    database = await createTestDatabase(cluster.superuserUrl());
    await cluster.waitUntilCaughtUp();
  });

  afterAll(() => test?.stop());

  it('repeats elsewhere what hangs on a silent standby or waits for it', async () => {
    const target = { url: database.serviceUrl ?? '', nodes: nodes() };
    const settings = { probeIntervalMs: 500, probeTimeoutMs: 300, queueTimeoutMs: 15_000 };
    const router = await startTestRouter(target, { ...settings, connectionsMax: 4 });
    const standby = cluster.standbys[0];
    const silent = `127.0.0.1:${standby?.port}`;
    const snapshot = () => router.topology().nodes.find(({ name }) => name === silent);
    const serve = ['primary', 'standby'];
    const areKnown = () => router.topology().nodes.every(({ state }) => serve.includes(state));
    await until(areKnown, { ...WAIT, what: 'all nodes serve' });
    const calls = Array.from({ length: 12 }, () => {
      const call = testCall({ freshness: { kind: 'eventual' } });
      return router.run(napOnStandby, [0.2], call);
    });
    await until(() => (snapshot()?.pools.unary.waiting ?? 0) > 0, { ...WAIT, what: 'a line' });
    const frozenAtMs = performance.now();
    await cluster.freeze(standby?.name ?? '');
    await until(() => snapshot()?.state === 'unreachable', { ...WAIT, what: 'it is given up' });
    // What hung and who stood in line are gone with it.
    expect(snapshot()?.pools.unary.waiting).toBe(0);
    expect(performance.now() - frozenAtMs).toBeLessThan(5_000);
    const answers = await Promise.all(calls);
    expect(answers.flat()).toHaveLength(12);
    expect(performance.now() - frozenAtMs).toBeLessThan(10_000);
    await cluster.thaw(standby?.name ?? '');
    await until(() => snapshot()?.state === 'standby', { ...WAIT, what: 'it is back' });
    await settled(router);
    await router.close();
  });

  it('records where a timeline begins, by the best that its node can tell', async () => {
    const [next] = cluster.standbys;
    if (next === undefined) throw new Error('two standbys were asked for');
    const before = await onDatabase('noted');
    await noteTimelineJob(before).run(NEVER);
    const reached = await notedLsn();
    await before.close();
    const target = { url: database.serviceUrl ?? '', nodes: nodes() };
    const history = await startTestRouter(target, { probeTimeoutMs: 1_000 });
    const watched = await onDatabase('watched');
    const address = { host: '127.0.0.1', port: next.port };
    const session = await openSession(address);
    await cluster.waitUntilCaughtUp();
    await cluster.crash(cluster.primary.name);
    await cluster.promote(next.name);
    expect(await session.rolesHeard()).toEqual(['standby', 'primary']);
    const isOnNext = (router: RouterHandle) => router.topology().timeline === 2;
    await until(() => isOnNext(history) && isOnNext(watched), { ...WAIT, what: 'timeline 2' });
    const late = await startTestRouter(
      { url: urlOf('noted'), nodes: [address] },
      { probeTimeoutMs: 1_000 },
    );
    const told = await openConnection(atDatabase(next.url(), database.name));
    const [truth] = await told.query<{ lsn: string }>(
      `select switch_lsn::text as lsn from stowage_timeline_history(2) where history_timeline = 2`,
    );
    await told.end();
    const switchLsn = parseLsn(truth?.lsn ?? '');
    const both = [
      { timeline: 1, lsn: 0n },
      { timeline: 2, lsn: switchLsn },
    ];
    // The owner may read the history file; a server saw the promotion; only notes are left.
    const service1 = asLogin(atDatabase(next.url(), database.name), {
      user: new URL(target.url).username,
      password: new URL(target.url).password,
    });
    expect(await rowsOf(service1)).toEqual(both);
    expect(await rowsOf(urlOf('watched'))).toEqual(both);
    expect(await rowsOf(urlOf('noted'))).toEqual([both[0], { timeline: 2, lsn: reached }]);
    expect(reached > 0n && reached <= switchLsn).toBe(true);
    await Promise.all([history, watched, late].map((router) => router.close()));
  });
});
