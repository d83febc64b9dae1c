// Maintenance jobs whose line or lock fails them: each ends within its bound, as does the server.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseConfig } from '../../src/config.js';
import { NEVER } from '../../src/lib/interruption.js';
import { until } from '../../src/lib/wait.js';
import { Maintenance, type MaintenanceEnd } from '../../src/postgres/maintenance.js';
import { RetentionSession } from '../../src/postgres/retention-session.js';
import { sharedCluster } from '../support/cluster.js';
import { createTestDatabase, type TestConnection, type TestDatabase } from '../support/database.js';
import { openProxy, type TcpProxy } from '../support/tcp-proxy.js';

const WAIT_MS = 20_000;
const UNLIMITED = { signal: NEVER, deadlineMs: Number.POSITIVE_INFINITY };

let database: TestDatabase;

/** Jobs of a server over a line of its own, with one that waits for a lock until it is given up. */
interface Bench {
  readonly jobs: Maintenance;
  readonly jobId: string;
  readonly line: TcpProxy;
  readonly admin: TestConnection;
  readonly ends: readonly MaintenanceEnd[];
}
const benches: Bench[] = [];

async function open(table: string): Promise<Bench> {
  const admin = await database.connect();
  await admin.query(`create table ${table} ()`);
  const holder = await database.connect();
  await holder.query(`begin; lock table ${table} in share update exclusive mode`);
  const line = await openProxy(database.url);
  const url = new URL(database.url);
  url.host = line.address;
  const ends: MaintenanceEnd[] = [];
  const { admin: login } = parseConfig({ STOWAGE_ADMIN_URL: url.href });
  const jobs = new Maintenance(login, (end) => ends.push(end));
  const order = { kind: 'vacuum', target: table, analyze: false, principal: 'x' } as const;
  const { jobId } = await jobs.begin(order, UNLIMITED, async () => undefined);
  const bench = { jobs, jobId, line, admin, ends };
  benches.push(bench);
  return bench;
}

beforeAll(async () => {
  database = await createTestDatabase(sharedCluster().nodes[0]?.url ?? '');
});

afterAll(async () => {
  for (const { jobs, line } of benches) {
    await line[Symbol.asyncDispose]();
    await jobs.close();
  }
  await database?.drop();
});

const isOver = ({ jobs, jobId }: Bench) => jobs.get(jobId).state !== 'running';

async function sessions({ jobId, admin }: Bench): Promise<number> {
  const rows = await admin.query(
    `select from pg_stat_activity where application_name = 'stowage maintenance ' || $1
     and wait_event_type = 'Lock'`,
    [jobId],
  );
  return rows.length;
}

describe.concurrent('a maintenance job', () => {
  it('gives up after it has waited 5 s for its table', async () => {
    const bench = await open('contended');
    await until(() => isOver(bench), { timeoutMs: WAIT_MS, what: 'the job gives up' });
    expect(bench.jobs.get(bench.jobId)).toMatchObject({
      state: 'failed',
      error: 'Another session kept the lock that this needs; `stowage admin activity` tells which.',
    });
    expect(bench.ends).toMatchObject([{ kind: 'vacuum', state: 'failed' }]);
  });

  it('has failed when its line is cut, and PostgreSQL ends its session', async () => {
    const bench = await open('cut');
    const isWaiting = async () => (await sessions(bench)) === 1;
    await until(isWaiting, { timeoutMs: WAIT_MS, what: 'the job waits' });
    bench.line.refuse();
    await until(() => isOver(bench), { timeoutMs: WAIT_MS, what: 'the job has failed' });
    expect(bench.jobs.get(bench.jobId)).toMatchObject({
      state: 'failed',
      error: 'The session on the primary was lost; begin the job again once there is a primary.',
    });
    const startedAt = performance.now();
    const isGone = async () => (await sessions(bench)) === 0;
    await until(isGone, { timeoutMs: WAIT_MS, what: 'the session has ended' });
    // Before its wait for the lock would end it.
    expect(performance.now() - startedAt).toBeLessThan(4_000);
  });

  it('begins within its caller’s 10 s where the first node that is named is silent', async () => {
    await using line = await openProxy(database.url);
    line.blackhole();
    const url = new URL(database.url);
    const named = database.url.replace(url.host, `${line.address},${url.host}`);
    const { admin: login } = parseConfig({ STOWAGE_ADMIN_URL: named });
    const jobs = new Maintenance(login, () => undefined);
    const admin = await database.connect();
    await admin.query('create table behind ()');
    const order = { kind: 'analyze', target: 'behind', analyze: false, principal: 'x' } as const;
    const limits = { signal: NEVER, deadlineMs: performance.now() + 10_000 };
    await jobs.begin(order, limits, async () => undefined);
    await jobs.close();
  });

  it('has less patience with a node than other work of the owner', async () => {
    const { admin: login } = parseConfig({ STOWAGE_ADMIN_URL: database.url });
    const jobs = new Maintenance(login, () => undefined);
    expect(jobs.ownerLogin().connectTimeoutMs).toBe(10_000);
    await jobs.close();
  });

  it('on a node that has fallen silent can be cancelled', async () => {
    const bench = await open('unheard');
    const isWaiting = async () => (await sessions(bench)) === 1;
    await until(isWaiting, { timeoutMs: WAIT_MS, what: 'the job waits' });
    bench.line.blackhole();
    expect(await bench.jobs.cancel(bench.jobId)).toMatchObject({ state: 'running' });
    await until(() => isOver(bench), { timeoutMs: WAIT_MS, what: 'the job is given up' });
    expect(bench.jobs.get(bench.jobId)).toMatchObject({ state: 'cancelled', error: '' });
  });

  it('of retention, amid a statement of a silent node, ends behind its caller', async () => {
    await using line = await openProxy(database.url);
    const url = new URL(database.url);
    url.host = line.address;
    const { admin: login } = parseConfig({ STOWAGE_ADMIN_URL: url.href });
    if (login === undefined) throw new Error('the URL is a login');
    const leaving = new AbortController();
    const order = { id: 'left', source: 'storage_hooks', signal: leaving.signal };
    const session = await RetentionSession.open(login, order);
    line.blackhole();
    const month = { oid: '0', name: 'x', starts: '2001-01-01Z', ends: '2001-02-01Z' };
    const noting = session.noteDrop({ ...month, state: 'attached' }, false);
    leaving.abort(new Error('left'));
    await expect(noting).rejects.toThrow('left');
    await session.close();
  });

  it('on a node that has fallen silent holds up the end of its server for 6 s', async () => {
    const bench = await open('silent');
    const isWaiting = async () => (await sessions(bench)) === 1;
    await until(isWaiting, { timeoutMs: WAIT_MS, what: 'the job waits' });
    bench.line.blackhole();
    const startedAt = performance.now();
    await bench.jobs.close();
    expect(performance.now() - startedAt).toBeLessThan(8_000);
    await until(() => isOver(bench), { timeoutMs: WAIT_MS, what: 'the job has ended' });
    expect(bench.ends).toMatchObject([{ state: 'cancelled' }]);
    const order = { kind: 'analyze', target: 'silent', analyze: false, principal: 'x' } as const;
    await expect(bench.jobs.begin(order, UNLIMITED, async () => undefined)).rejects.toMatchObject({
      reason: 'DRAINING',
    });
  });
});
