import { describe, expect, it } from 'vitest';
import { until } from '../../src/lib/wait.js';
import type { Route } from '../../src/postgres/freshness.js';
import { forAtMost } from '../../src/postgres/lease.js';
import { parseLsn } from '../../src/postgres/lsn.js';
import { ConnectionPool } from '../../src/postgres/pool.js';
import { nodeEvidence } from '../../src/postgres/sqlstate.js';
import { statement } from '../../src/postgres/statement.js';
import { LeasedTransaction } from '../../src/postgres/transaction.js';
import { sharedCluster } from '../support/cluster.js';
import { settled, testCall, testSettings } from '../support/router.js';
import { useRouter } from '../support/use-router.js';

const insertNote = statement<{ id: bigint }>({
  name: 'test-insert-note',
  intent: 'write',
  text: 'insert into notes (id, body) values ($1, $2) returning id',
});

const countNotes = statement<{ count: bigint }>({
  name: 'test-count-notes',
  intent: 'readPrimary',
  text: 'select count(*) as count from notes where body = $1',
});

const facts = statement<{ xid: string; project: string; commit: string; pid: number }>({
  name: 'test-transaction-facts',
  intent: 'write',
  text: `select pg_current_xact_id()::text as xid,
                current_setting('stowage.project') as project,
                current_setting('synchronous_commit') as commit,
                pg_backend_pid() as pid`,
});

const insertPosition = statement<{ lsn: string }>({
  name: 'test-insert-position',
  intent: 'readPrimary',
  text: 'select pg_current_wal_insert_lsn() as lsn',
});

const startedAt = statement<{ at: string }>({
  name: 'test-started-at',
  intent: 'readPrimary',
  text: 'select pg_postmaster_start_time()::text as at',
});

const primaryRoute: Route = {
  node: 'a:1',
  role: 'primary',
  lagMs: 0,
  startedAt: '',
  goodUpTo: undefined,
  mustReplay: undefined,
  isFallback: false,
};

describe('Router.transaction', () => {
  const fixture = useRouter({
    prepare: [
      'create table notes (id int8 primary key, body text)',
      'grant select, insert on notes to stowage_service',
    ],
  });

  it('runs all statements in one transaction and commits them', async () => {
    const call = testCall({ project: 'atlas' });
    const { value, token } = await fixture.router.transaction(call, async (transaction) => {
      const [first] = await transaction.run(facts, []);
      await transaction.run(insertNote, [1, 'kept']);
      const [second] = await transaction.run(facts, []);
      return [first, second];
    });
    expect(value[0]).toEqual(value[1]);
    expect(value[0]).toMatchObject({ project: 'atlas' });
    expect(token).toBe(call.served[0]?.token);
    expect(call.served[0]?.by).toMatchObject({ role: 'primary', lagMs: 0 });
    const [count] = await fixture.router.run(countNotes, ['kept'], testCall());
    expect(count?.count).toBe(1n);
  });

  it('leaves nothing of its scope behind', async () => {
    const [backend] = await fixture.router
      .transaction(testCall({ project: 'atlas' }), (running) => running.run(facts, []))
      .then(({ value }) => value);
    const probes = Array.from({ length: 20 }, () =>
      fixture.router.run(facts, [], testCall({ project: 'other' })),
    );
    const rows = (await Promise.all(probes)).flat().filter(({ pid }) => pid === backend?.pid);
    for (const row of rows) expect(row.project).toBe('other');
  });

  it('rolls back and throws what its body throws', async () => {
    const boom = new Error('boom');
    const promise = fixture.router.transaction(testCall(), async (transaction) => {
      await transaction.run(insertNote, [2, 'dropped']);
      throw boom;
    });
    await expect(promise).rejects.toMatchObject({ reason: 'INTERNAL', cause: boom });
    const [count] = await fixture.router.run(countNotes, ['dropped'], testCall());
    expect(count?.count).toBe(0n);
  });

  it('gives its connection back when its body throws before it waits', async () => {
    const promise = fixture.router.transaction(testCall(), () => {
      throw new Error('boom');
    });
    await expect(promise).rejects.toMatchObject({ reason: 'INTERNAL' });
    await settled(fixture.router);
  });

  it('is refused by a standby as by one that was the primary', async () => {
    const [, node] = sharedCluster().nodes;
    const url = fixture.database.serviceUrl ?? '';
    const settings = testSettings({ url, nodes: node ? [node] : [] });
    const address = { host: node?.host ?? '', port: node?.port ?? 0 };
    const pool = new ConnectionPool(settings, address, {
      purpose: 'unary',
      sizeMax: 1,
      sizeMin: 0,
    });
    const limits = forAtMost(5_000);
    const lease = await pool.acquire(limits);
    const running = new LeasedTransaction(lease, {
      call: testCall(),
      limits,
      route: primaryRoute,
      attempt: 1,
      slow: undefined,
      isStillPrimary: () => true,
      hasLostHistory: () => false,
    });
    const refusal = await running.run(insertNote, [7, 'refused']).catch((error) => error);
    lease.release('clean');
    await pool.close(1_000);
    expect(refusal).toMatchObject({ reason: 'NO_PRIMARY' });
    expect(nodeEvidence(refusal.cause)).toBe('demoted');
  });

  it('rolls back when a statement failed, even if the body goes on', async () => {
    const promise = fixture.router.transaction(testCall(), async (transaction) => {
      await transaction.run(insertNote, [3, 'half']);
      await transaction.run(insertNote, [3, 'half']).catch(() => undefined);
      return 'done';
    });
    await expect(promise).rejects.toMatchObject({
      reason: 'ALREADY_EXISTS',
      metadata: { constraint: 'notes_pkey' },
    });
    const [count] = await fixture.router.run(countNotes, ['half'], testCall());
    expect(count?.count).toBe(0n);
  });

  it('commits nothing when its first statement fails', async () => {
    const insert = () =>
      fixture.router.transaction(testCall(), (running) => running.run(insertNote, [4, 'once']));
    await insert();
    await expect(insert()).rejects.toMatchObject({ reason: 'ALREADY_EXISTS' });
    const [count] = await fixture.router.run(countNotes, ['once'], testCall());
    expect(count?.count).toBe(1n);
  });

  it('commits without any statement', async () => {
    const { value, token } = await fixture.router.transaction(testCall(), async () => 'nothing');
    expect(value).toBe('nothing');
    expect(token).toMatch(/^[\w-]{59}$/);
  });

  it('refuses to commit for a call that was aborted meanwhile', async () => {
    const controller = new AbortController();
    const call = testCall({ signal: controller.signal });
    const promise = fixture.router.transaction(call, async (transaction) => {
      await transaction.run(insertNote, [5, 'aborted']);
      controller.abort();
    });
    await expect(promise).rejects.toMatchObject({ reason: 'CANCELLED' });
    const [count] = await fixture.router.run(countNotes, ['aborted'], testCall());
    expect(count?.count).toBe(0n);
  });

  it('never writes below synchronous_commit = local, whoever turned it off', async () => {
    const { admin, database } = fixture;
    const { value: before } = await fixture.router.transaction(testCall(), (running) =>
      running.run(facts, []),
    );
    expect(before[0]?.commit).toBe('on');
    await admin.query(`alter database ${database.name} set synchronous_commit = off`);
    // Sessions take a database's settings when they begin.
    await admin.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where datname = $1 and application_name like 'stowage unary%'`,
      [database.name],
    );
    const attempts = await Promise.allSettled(
      Array.from({ length: 20 }, () =>
        fixture.router.transaction(testCall(), (running) => running.run(facts, [])),
      ),
    );
    const settings = attempts.flatMap((attempt) =>
      attempt.status === 'fulfilled' ? attempt.value.value.map(({ commit }) => commit) : [],
    );
    await admin.query(`alter database ${database.name} reset synchronous_commit`);
    expect(settings).toContain('local');
    expect(settings).not.toContain('off');
  });

  it('answers with an LSN that was flushed behind its commit', async () => {
    const { value, token } = await fixture.router.transaction(testCall(), async (transaction) => {
      await transaction.run(insertNote, [6, 'flushed']);
      const [row] = await transaction.run(insertPosition, []);
      return parseLsn(row?.lsn ?? '');
    });
    // The commit record lies behind all that the transaction has inserted.
    const lsn = Buffer.from(token, 'base64url').readBigUInt64BE(15);
    expect(lsn).toBeGreaterThan(value);
  });

  it('commits with its last statement, which may be its first', async () => {
    const call = testCall({ project: 'atlas' });
    const first = await fixture.router.transaction(call, (running) =>
      running.runLast(insertNote, [8, 'last']),
    );
    expect(first.value).toEqual([{ id: 8n }]);
    expect(first.token).toBe(call.served[0]?.token);
    const { value } = await fixture.router.transaction(testCall(), async (running) => {
      await running.run(insertNote, [9, 'last']);
      const rows = await running.runLast(insertNote, [10, 'last']);
      // Others see it before the body has ended.
      const [count] = await fixture.router.run(countNotes, ['last'], testCall());
      return [rows, count];
    });
    expect(value).toEqual([[{ id: 10n }], { count: 3n }]);
  });

  it('commits nothing where its last statement fails, and takes none behind it', async () => {
    const twice = fixture.router.transaction(testCall(), async (running) => {
      await running.run(insertNote, [11, 'failed']);
      return running.runLast(insertNote, [8, 'failed']);
    });
    await expect(twice).rejects.toMatchObject({ reason: 'ALREADY_EXISTS' });
    const [count] = await fixture.router.run(countNotes, ['failed'], testCall());
    expect(count?.count).toBe(0n);
    const behind = fixture.router.transaction(testCall(), async (running) => {
      await running.runLast(insertNote, [12, 'stands']);
      await running.run(insertNote, [13, 'behind']);
    });
    await expect(behind).rejects.toMatchObject({ reason: 'INTERNAL' });
    const [stands] = await fixture.router.run(countNotes, ['stands'], testCall());
    expect(stands?.count).toBe(1n);
  });

  it('leaves nothing where it is cancelled while its last statement waits', async () => {
    const locker = await fixture.database.connect();
    await locker.query('begin');
    await locker.query('lock table notes in share mode');
    const controller = new AbortController();
    const call = testCall({ signal: controller.signal });
    const promise = fixture.router.transaction(call, (running) =>
      running.runLast(insertNote, [14, 'waits']),
    );
    const isWaiting = async () => {
      const rows = await fixture.admin.query(
        `select from pg_stat_activity
         where datname = current_database() and wait_event_type = 'Lock'`,
      );
      return rows.length > 0;
    };
    await until(isWaiting, { timeoutMs: 10_000, what: 'the statement waits' });
    controller.abort();
    await expect(promise).rejects.toMatchObject({ reason: 'CANCELLED' });
    await settled(fixture.router);
    await locker.query('rollback');
    const [count] = await fixture.router.run(countNotes, ['waits'], testCall());
    expect(count?.count).toBe(0n);
  });

  it.each([
    ['its node was restarted since', { startedAt: 'before' }, 'restarted'],
    ['its node is no longer the primary', {}, 'given_up'],
  ])('commits nothing with its first statement where %s', async (_, differs, kind) => {
    const [node] = sharedCluster().nodes;
    const url = fixture.database.serviceUrl ?? '';
    const settings = testSettings({ url, nodes: node ? [node] : [] });
    const address = { host: node?.host ?? '', port: node?.port ?? 0 };
    const options = { purpose: 'unary', sizeMax: 1, sizeMin: 0 } as const;
    const pool = new ConnectionPool(settings, address, options);
    const limits = forAtMost(5_000);
    const lease = await pool.acquire(limits);
    const running = new LeasedTransaction(lease, {
      ...{ call: testCall(), limits, attempt: 1, slow: undefined },
      route: { ...primaryRoute, ...differs },
      isStillPrimary: () => kind !== 'given_up',
      hasLostHistory: () => false,
    });
    const refusal = await running.runLast(insertNote, [15, 'stale']).catch((error) => error);
    lease.release('clean');
    await pool.close(1_000);
    expect(refusal).toMatchObject({ reason: 'NO_PRIMARY', cause: { kind } });
    const [count] = await fixture.router.run(countNotes, ['stale'], testCall());
    expect(count?.count).toBe(0n);
  });

  it('is in doubt where its node is followed while its last statement runs', async () => {
    const [node] = sharedCluster().nodes;
    const url = fixture.database.serviceUrl ?? '';
    const settings = testSettings({ url, nodes: node ? [node] : [] });
    const address = { host: node?.host ?? '', port: node?.port ?? 0 };
    const options = { purpose: 'unary', sizeMax: 1, sizeMin: 0 } as const;
    const pool = new ConnectionPool(settings, address, options);
    const limits = forAtMost(5_000);
    const lease = await pool.acquire(limits);
    const [started] = await fixture.router.run(startedAt, [], testCall());
    const running = new LeasedTransaction(lease, {
      ...{ call: testCall(), limits, attempt: 1, slow: undefined },
      route: { ...primaryRoute, startedAt: started?.at ?? '' },
      isStillPrimary: () => true,
      hasLostHistory: () => true,
    });
    const refusal = await running.runLast(insertNote, [16, 'doubtful']).catch((error) => error);
    expect(refusal).toMatchObject({ reason: 'COMMIT_OUTCOME_UNKNOWN' });
    // Whatever the body makes of it.
    const ended = running.commit(() => lease.release('clean'));
    await expect(ended).rejects.toMatchObject({ reason: 'COMMIT_OUTCOME_UNKNOWN' });
    await pool.close(1_000);
    const [count] = await fixture.router.run(countNotes, ['doubtful'], testCall());
    expect(count?.count).toBe(1n);
  });

  it('refuses two statements at once', async () => {
    const promise = fixture.router.transaction(testCall(), async (transaction) => {
      await Promise.all([transaction.run(facts, []), transaction.run(facts, [])]);
    });
    await expect(promise).rejects.toMatchObject({ reason: 'INTERNAL' });
  });
});
