import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { NEVER } from '../../src/lib/interruption.js';
import { until } from '../../src/lib/wait.js';
import { readScope } from '../../src/postgres/control.sql.js';
import type { Lease } from '../../src/postgres/lease.js';
import { ConnectionPool } from '../../src/postgres/pool.js';
import type { Step } from '../../src/postgres/unit.js';
import { sharedCluster } from '../support/cluster.js';
import { createTestDatabase, type TestConnection, type TestDatabase } from '../support/database.js';
import { testSettings } from '../support/router.js';

const limits = { signal: NEVER, deadlineMs: Infinity };

const step = (name: string, text: string, ...params: unknown[]): Step => ({
  statement: { name, text },
  params,
});
const scope = step(
  readScope.name,
  readScope.text,
  ...['atlas', 'ada', '5000', 'stowage Test/Test'],
);
const setting = step('setting', `select current_setting('stowage.project', true) as project`);
const one = step('one', 'select 1 as one');
const divide = (divisor: number): Step =>
  step('divide', 'select 6 / $1::int4 as quotient', divisor);
const broken = step('broken', 'select nothing from nowhere');

describe('A unit', () => {
  let database: TestDatabase;
  let admin: TestConnection;
  let pool: ConnectionPool;

  beforeAll(async () => {
    const [node] = sharedCluster().nodes;
    if (node === undefined) throw new Error('the cluster has no node');
    database = await createTestDatabase(node.url, { migrate: false });
    admin = await database.connect();
    const settings = testSettings({ url: database.url, nodes: [node] });
    pool = new ConnectionPool(settings, node, { purpose: 'unary', sizeMax: 1, sizeMin: 0 });
  });

  afterAll(async () => {
    await pool?.close(1_000);
    await database?.drop();
  });

  /** Runs the body on the pool's one connection, which must come back clean. */
  const withLease = async <T>(body: (lease: Lease) => Promise<T>): Promise<T> => {
    const lease = await pool.acquire(limits);
    try {
      return await body(lease);
    } finally {
      lease.release('clean');
      expect(pool.snapshot()).toMatchObject({ size: 1, idle: 1, acquired: 0 });
    }
  };
  const prepared = (lease: Lease) =>
    lease.run([step('names', 'select name from pg_prepared_statements order by name')], limits);

  it('is one round trip and one transaction, whose scope is gone afterwards', async () => {
    await withLease(async (lease) => {
      let answers = 0;
      lease.client.connection.on('readyForQuery', () => {
        answers += 1;
      });
      const started = step('started', 'select now()::text as started');
      const results = await lease.run([scope, setting, started, one, started], limits);
      expect(answers).toBe(1);
      expect(results[1]?.rows).toEqual([{ project: 'atlas' }]);
      expect(results[2]).toEqual(results[4]);
      expect(results.map(({ tag }) => tag)).toEqual(Array(5).fill('SELECT 1'));
      const [after] = await lease.run([setting], limits);
      // Empty, not unset: PostgreSQL remembers that the setting was there.
      expect(after?.rows).toEqual([{ project: '' }]);
    });
  });

  it('leaves the connection clean after an error in any step', async () => {
    await withLease(async (lease) => {
      for (const steps of [[divide(0), one], [one, divide(0)], [broken], [one, broken, one]]) {
        await expect(lease.run(steps, limits)).rejects.toMatchObject({ severity: 'ERROR' });
        expect(lease.client.getTransactionStatus()).toBe('I');
        const [result] = await lease.run([divide(3)], limits);
        expect(result?.rows).toEqual([{ quotient: 2 }]);
      }
    });
  });

  it('changes nothing when a later step fails', async () => {
    await admin.query('create table kept (id int)');
    await withLease(async (lease) => {
      const insert = step('insert', 'insert into kept values (1)');
      await expect(lease.run([insert, divide(0)], limits)).rejects.toMatchObject({ code: '22012' });
      const [result] = await lease.run([step('count', 'select count(*) from kept')], limits);
      expect(result?.rows).toEqual([{ count: 0n }]);
    });
  });

  it('prepares a statement once a connection', async () => {
    await withLease(async (lease) => {
      await lease.run([one, one, divide(1)], limits);
      await lease.run([one, divide(2)], limits);
      const [names] = await prepared(lease);
      const found = names?.rows.filter(({ name }) => name === 'one' || name === 'divide');
      expect(found).toEqual([{ name: 'divide' }, { name: 'one' }]);
    });
  });

  it('plans a statement with a custom plan for its parameters, and prepares nothing', async () => {
    await admin.query('create table planned (id int, doc jsonb)');
    await admin.query(`insert into planned select n, jsonb_build_object('a', n)
                       from generate_series(1, 1000) as n`);
    await admin.query(`create index planned_a on planned ((doc #>> '{a}'::text[]))`);
    await admin.query('analyze planned');
    const read = (plan: object): Step => ({
      statement: {
        ...{ name: 'planned', text: 'select id from planned where doc #>> $1::text[] = $2' },
        ...plan,
      },
      params: [['a'], '7'],
    });
    await withLease(async (lease) => {
      await lease.run([read({ plan: 'custom' }), one, read({ plan: 'custom' })], limits);
      const again = await lease.run([one, read({ plan: 'custom' })], limits);
      expect(again[1]?.rows).toEqual([{ id: 7 }]);
      const [names] = await prepared(lease);
      expect(names?.rows.map(({ name }) => name)).not.toContain('planned');
      const generic = step('generic', `select set_config('plan_cache_mode', $1, false)`);
      await lease.run([{ ...generic, params: ['force_generic_plan'] }, read({})], limits);
      await lease.run([{ ...generic, params: ['auto'] }], limits);
      const flush = step('flush', 'select pg_stat_force_next_flush()::text');
      const used = step(
        'used',
        `select idx_scan from pg_stat_user_indexes where indexrelname = 'planned_a'`,
      );
      await lease.run([flush], limits);
      expect((await lease.run([used], limits))[0]?.rows).toEqual([{ idx_scan: 3n }]);
    });
  });

  it('prepares again what failed to be prepared', async () => {
    const later = step('later', 'select id from made_later');
    await withLease(async (lease) => {
      await expect(lease.run([later], limits)).rejects.toMatchObject({ code: '42P01' });
      await admin.query('create table made_later (id int)');
      expect(await lease.run([later], limits)).toEqual([{ rows: [], tag: 'SELECT 0' }]);
    });
  });

  it('prepares again what another result type has made unusable', async () => {
    await admin.query('create table changing (id int)');
    await admin.query('insert into changing values (1)');
    const read = step('changing', 'select id from changing');
    await withLease(async (lease) => {
      expect((await lease.run([read], limits))[0]?.rows).toEqual([{ id: 1 }]);
      await admin.query('alter table changing alter id type text');
      await expect(lease.run([read], limits)).rejects.toMatchObject({ code: '0A000' });
      expect((await lease.run([read], limits))[0]?.rows).toEqual([{ id: '1' }]);
    });
  });

  it('turns every type into its JavaScript value', async () => {
    const all = step(
      'all-types',
      `select 9007199254740993::int8 as large, 1::int4 as int, 0.5::float8 as float,
              1.10::numeric as exact, true as yes, null::text as nothing,
              '2025-01-02 03:04:05.000006+02'::timestamptz as moment,
              '{"a":[1]}'::jsonb as json, array['a','b'] as list, '\\x00ff'::bytea as bytes,
              '10.0.0.1'::inet as address, '0/1A'::pg_lsn as lsn`,
    );
    await withLease(async (lease) => {
      const [result] = await lease.run([all], limits);
      expect(result?.rows).toEqual([
        {
          large: 9_007_199_254_740_993n,
          int: 1,
          float: 0.5,
          exact: '1.10',
          yes: true,
          nothing: null,
          moment: { seconds: 1_735_779_845n, nanos: 6_000 },
          json: { a: [1] },
          list: ['a', 'b'],
          bytes: Buffer.from([0, 255]),
          address: '10.0.0.1',
          lsn: '0/1A',
        },
      ]);
    });
  });

  it('fails for a value that cannot be read, and leaves the connection clean', async () => {
    await withLease(async (lease) => {
      const endless = step('endless', `select 'infinity'::timestamptz as moment`);
      await expect(lease.run([endless], limits)).rejects.toThrow(RangeError);
      expect(await lease.run([one], limits)).toHaveLength(1);
    });
  });

  it('takes parameters of every kind', async () => {
    const echo = step(
      'echo',
      `select $1::int8 as large, $2::jsonb as json, $3::text[] as list, $4::bytea as bytes,
              $5::timestamptz as moment, $6::bytea[] as blobs, $7::bool as yes`,
      ...[2n ** 60n, { a: 'ü' }, ['x"', null], Buffer.from([1]), { seconds: -1n, nanos: 5_000 }],
      ...[[Buffer.from([255])], false],
    );
    await withLease(async (lease) => {
      const [result] = await lease.run([echo], limits);
      expect(result?.rows[0]).toMatchObject({
        large: 2n ** 60n,
        json: { a: 'ü' },
        list: ['x"', null],
        bytes: Buffer.from([1]),
        moment: { seconds: -1n, nanos: 5_000 },
        yes: false,
      });
    });
  });

  it('is cancelled where no limits end it and it takes too long, and stays clean', async () => {
    const outcome = await withLease(async (lease) => {
      const steps = [one, step('sleep', 'select pg_sleep(60)')];
      const observed = await lease.runToEnd(steps, 100);
      return { observed, completed: lease.completed, next: await lease.run([one], limits) };
    });
    expect(outcome.observed).toMatchObject({ error: { code: '57014' }, isSent: true });
    expect(outcome.completed).toBe(1);
    expect(outcome.next).toMatchObject([{ rows: [{ one: 1 }] }]);
  });

  it('answers a step at once where that is asked for', async () => {
    await withLease(async (lease) => {
      const first = { ...one, isAnsweredAtOnce: true };
      const ended = lease.runToEnd([first, step('sleep', 'select pg_sleep(60)')], 60_000);
      await until(() => lease.completed === 1, {
        timeoutMs: 10_000,
        what: 'the first is answered',
      });
      lease.interrupt(ended);
      expect(await ended).toMatchObject({ error: { code: '57014' } });
      await lease.rollBack();
    });
  });

  it('is given back once', async () => {
    const lease = await pool.acquire(limits);
    lease.release('clean');
    expect(() => lease.release('clean')).toThrow('released once');
  });

  it('destroys a connection that is given back as unfit', async () => {
    const lease = await pool.acquire(limits);
    lease.release('discard');
    expect(pool.snapshot()).toMatchObject({ size: 0, acquired: 0 });
  });
});
