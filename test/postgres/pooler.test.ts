// A router that is told of a pooler, straight on PostgreSQL: what it leaves out, and what it sets
// for itself instead. The real PgBouncer is in test/system/pgbouncer.test.ts.
import { describe, expect, it } from 'vitest';
import { until } from '../../src/lib/wait.js';
import type { TupleCollector } from '../../src/postgres/router-api.js';
import { statement } from '../../src/postgres/statement.js';
import { printedOf, runDoctor } from '../support/doctor.js';
import { settled, testCall } from '../support/router.js';
import { useRouter } from '../support/use-router.js';

/** What makes results depend on the session, set against everything that the program expects. */
const hostile = {
  TimeZone: 'Asia/Kolkata',
  DateStyle: 'German',
  IntervalStyle: 'iso_8601',
  bytea_output: 'escape',
  extra_float_digits: '-10',
  search_path: 'pg_catalog',
  lock_timeout: '1234s',
  idle_in_transaction_session_timeout: '1234s',
  client_min_messages: 'error',
  default_transaction_isolation: 'serializable',
  default_transaction_read_only: 'on',
};

const names = Object.keys(hostile);

const columns = `
  pg_backend_pid() as pid,
  (select count(*)::int4 from pg_prepared_statements) as prepared,
  array(select name || '=' || setting from pg_settings
        where name = any ($1::text[]) order by lower(name)) as settings,
  array(select name || '=' || reset_val from pg_settings
        where name = any ($1::text[]) order by lower(name)) as startup,
  current_setting('transaction_isolation') as isolation,
  current_setting('transaction_read_only') as readonly,
  timestamptz '2025-01-02 03:04:05.5+00' as time, '\\x6869'::bytea as bytes,
  (1 / 3.0)::float8 as number, '1 day'::interval::text as interval`;

interface Session {
  readonly pid: number;
  readonly prepared: number;
  readonly settings: readonly string[];
  readonly startup: readonly string[];
  readonly isolation: string;
  readonly readonly: string;
}

const onStandby = statement<Session>({
  name: 'test-pooled-read',
  intent: 'read',
  text: `select ${columns}, (select count(*)::int4 from token_keys) as keys`,
});

const amidWrite = statement<Session>({
  name: 'test-pooled-write',
  intent: 'write',
  text: `with made as (
           insert into projects (project_id, name) values ($2, 'pooled') returning project_id
         ) select ${columns}, (select count(*)::int4 from made) as made`,
});

const broken = statement({
  name: 'test-pooled-broken',
  intent: 'read',
  text: 'select 1 / $1::int4',
});

const sleep = statement({
  name: 'test-pooled-sleep',
  intent: 'readPrimary',
  text: 'select pg_sleep($1::float8)',
});

const streamed = statement<Record<string, unknown>>({
  name: 'test-pooled-stream',
  intent: 'read',
  text: `select concat_ws('|', 'isolation', current_setting('transaction_isolation'), 'readonly',
                   current_setting('transaction_read_only'), 'zone', current_setting('TimeZone'),
                   'prepared', (select count(*) from pg_prepared_statements)) as text
         from generate_series(1, $1::int4)`,
});

/** The text of each tuple, as it stands on the wire. */
function texts(): TupleCollector<string[]> {
  let batch: string[] = [];
  return {
    tuple: (source, start, end) => void batch.push(source.toString('latin1', start + 6, end)),
    isFull: () => batch.length >= 100,
    take: () => {
      const taken = batch;
      batch = [];
      return taken.length === 0 ? undefined : taken;
    },
  };
}

const expected = {
  prepared: 0,
  settings: [
    'bytea_output=hex',
    'client_min_messages=warning',
    'DateStyle=ISO, DMY',
    'default_transaction_isolation=serializable',
    'default_transaction_read_only=on',
    'extra_float_digits=1',
    'idle_in_transaction_session_timeout=60000',
    'IntervalStyle=postgres',
    'lock_timeout=5000',
    'search_path=public',
    'TimeZone=UTC',
  ],
  isolation: 'read committed',
  time: { seconds: 1_735_787_045n, nanos: 500_000_000 },
  bytes: Buffer.from('hi'),
  number: 1 / 3,
  interval: '1 day',
};

describe('A router behind a pooler', () => {
  const fixture = useRouter({
    settings: { pooler: 'transaction', connectionsMax: 4, connectionsMin: 1 },
    prepare: Object.entries(hostile).map(
      ([name, value]) => `do $$ begin
        execute format('alter database %I set ${name} = %L', current_database(), '${value}');
      end $$`,
    ),
  });

  it('sets for each unit what results depend on, and prepares nothing by name', async () => {
    const { router } = fixture;
    for (let round = 0; round < 2; round += 1) {
      const [read] = await router.run(onStandby, [names], testCall());
      expect(read).toMatchObject({ ...expected, readonly: 'on', keys: 1 });
      // Without an option in the startup packet the session itself has what the database says.
      expect(read?.startup).toEqual(
        expect.arrayContaining(['lock_timeout=1234000', 'TimeZone=Asia/Kolkata']),
      );
      const [primary] = await router.run(
        onStandby,
        [names],
        testCall({ freshness: { kind: 'strong' } }),
      );
      expect(primary).toMatchObject({ ...expected, readonly: 'on' });
      const { value } = await router.transaction(testCall(), async (transaction) => {
        const [first] = await transaction.run(amidWrite, [names, `pooled-${round}-a`]);
        const [second] = await transaction.run(amidWrite, [names, `pooled-${round}-b`]);
        return [first, second];
      });
      for (const row of value) expect(row).toMatchObject({ ...expected, readonly: 'off', made: 1 });
    }
  });

  it('leaves a connection clean after an error amid a unit', async () => {
    const { router } = fixture;
    for (const divisor of [0, 0]) {
      const failed = router.run(broken, [divisor], testCall());
      await expect(failed).rejects.toMatchObject({ reason: 'INVALID_REQUEST' });
    }
    await settled(router);
    expect(await router.run(broken, [1], testCall())).toHaveLength(1);
  });

  it('streams at one snapshot, behind which the position is read', async () => {
    const { router } = fixture;
    const seen = new Set<string>();
    let count = 0;
    const call = testCall();
    for await (const batch of router.stream(streamed, [1_000], call, { collector: texts() })) {
      count += batch.length;
      for (const text of batch) seen.add(text);
    }
    expect(count).toBe(1_000);
    expect([...seen].map((text) => text.slice(text.indexOf('isolation')))).toEqual([
      'isolation|repeatable read|readonly|on|zone|UTC|prepared|0',
    ]);
    expect(call.served[0]?.token).toBeDefined();
  });

  it('hangs up on a query that nobody waits for, and the server ends it', async () => {
    const { router, admin, database } = fixture;
    const [before] = await router.run(
      onStandby,
      [names],
      testCall({ freshness: { kind: 'strong' } }),
    );
    const sleepers = async () => {
      const rows = await admin.query(
        `select from pg_stat_activity
         where datname = $1 and state = 'active' and query like '%pg_sleep($1%'
           and pid <> pg_backend_pid()`,
        [database.name],
      );
      return rows.length;
    };
    const controller = new AbortController();
    const left = router.run(sleep, [60], testCall({ signal: controller.signal }));
    const outcome = expect(left).rejects.toMatchObject({ reason: 'CANCELLED' });
    const sleeps = async () => (await sleepers()) === 1;
    await until(sleeps, { timeoutMs: 10_000, what: 'the query runs' });
    controller.abort();
    await outcome;
    await settled(router);
    // Long before its own statement_timeout, which comes after the deadline of 20 s.
    const isGone = async () => (await sleepers()) === 0;
    await until(isGone, { timeoutMs: 8_000, what: 'the query is gone' });
    const [after] = await router.run(
      onStandby,
      [names],
      testCall({ freshness: { kind: 'strong' } }),
    );
    expect(after?.pid).not.toBe(before?.pid);
  });

  it('lets the doctor ask on after a question that failed', async () => {
    const { database } = fixture;
    const url = new URL(database.serviceUrl ?? '');
    url.pathname = '/postgres';
    url.searchParams.set('pooler', 'transaction');
    const ran = await runDoctor({ DATABASE_URL: url.href });
    expect(printedOf(ran, 'schema')).toContain('has no tables of Stowage');
    expect(printedOf(ran, 'clock')).toMatch(/^ {2}ok /);
    expect(printedOf(ran, 'pooler')).toContain('PostgreSQL itself answers');
  });
});
