// What a slice of an export costs on 40,000 events of two months and 30,000 versions, in pages.
import { beforeAll, describe, expect, it } from 'vitest';
import { toIsoMicros } from '../../src/lib/timestamp.js';
import type { Statement } from '../../src/postgres/statement.js';
import { type AskedEvents, checkFilter, filterParams } from '../../src/store/audit-filter.js';
import { eventSlices } from '../../src/store/export-events.sql.js';
import { executionSlices } from '../../src/store/export-executions.sql.js';
import { prefixCeiling } from '../../src/store/object-keys.js';
import {
  streamOlderVersions,
  streamVersions,
  versionsBoundary,
} from '../../src/store/stream-versions.sql.js';
import type { TestConnection } from '../support/database.js';
import { explain } from '../support/explain.js';
import { fillTables } from '../support/filled-tables.js';
import { useRouter } from '../support/use-router.js';

const fixture = useRouter();

let service: TestConnection;
/** A minute each, from the beginning of the month before the last. */
const EVENTS = 40_000;
const FLOOR = ['-infinity', '00000000-0000-0000-0000-000000000000'];
const CEILING = ['infinity', 'ffffffff-ffff-ffff-ffff-ffffffffffff'];
const NOBODY = '00000000-0000-0000-0000-000000000000';
/** All that is there. */
let snapshot: string;
let begin: number;

const at = (n: number) => ({ seconds: BigInt(begin + 60 * n), nanos: 0 });
const minute = (n: number) => toIsoMicros(at(n));

const months = (table: string) =>
  `select stowage_ensure_months('${table}', array[now() - interval '1 month',
                                                 now() - interval '2 months'])`;
const start = `date_trunc('month', now(), 'UTC') - interval '2 months'`;

beforeAll(async () => {
  const { admin } = fixture;
  await admin.query(months('storage_audit'));
  await admin.query(months('storage_hooks'));
  await fillTables(admin, {
    tables: ['storage_audit', 'storage_hooks', 'storage_versions'],
    async fill() {
      await admin.query(
        `insert into storage_audit (project_id, timestamp, id, user_id, action, object_key,
           correlation_id)
         select 'default', ${start} + n * interval '1 minute', gen_random_uuid(),
           'user-' || n % 20, 'ACTION-' || n % 10, 'k/' || n % 1000, 'c-' || n / 10
         from generate_series(0, $1::int - 1) as n`,
        [EVENTS],
      );
      await admin.query(
        `insert into storage_hooks (project_id, timestamp, id, hook_name, event_type, success,
           correlation_id)
         select 'default', ${start} + n * interval '1 minute', gen_random_uuid(),
           'hook-' || n % 20, 'MADE', true, 'c-' || n / 10
         from generate_series(0, $1::int - 1) as n`,
        [EVENTS],
      );
      await admin.query(
        `insert into storage_versions (project_id, object_key, version_id, size, last_modified)
         select 'default', case when n <= 15000 then 'k/big' else 'k/' || n % 10000 end, 'v' || n,
           1, now()
         from generate_series(1, 30000) as n`,
      );
    },
  });
  service = await fixture.database.connect(fixture.database.serviceUrl);
  const [row] = await admin.query<{ snapshot: string; begin: number }>(
    `select pg_current_snapshot()::text as snapshot,
       extract(epoch from ${start})::int as begin`,
  );
  snapshot = row?.snapshot ?? '';
  begin = row?.begin ?? 0;
}, 120_000);

/** What it takes; no table is read from its beginning. */
async function costOf(statement: Statement<unknown>, params: readonly unknown[]) {
  const cost = await explain(service, statement, params);
  expect(cost.nodes, cost.plan).not.toContain('Seq Scan');
  return cost;
}

/** To the end of what is there: PostgreSQL reads an empty table from its beginning. */
const asked = (filter: Partial<AskedEvents>) =>
  filterParams('default', checkedOf({ endTime: at(EVENTS), ...filter }));

const checkedOf = (filter: Partial<AskedEvents>) =>
  checkFilter({
    ...{ userId: '', username: '', action: '', objectKey: '', keyPrefix: '', versionId: '' },
    ...{ correlationId: '', ...filter },
  });

/** The months whose indexes were read. */
const monthsOf = (indexes: readonly string[]) =>
  new Set(indexes.map((index) => /_(\d{4}_\d\d)_/.exec(index)?.[1]));

const drivers = [
  ['nothing', {}, /_pkey$/, 5_000],
  ['a user', { userId: 'user-7' }, /_user_id_/, 2_000],
  ['an action', { action: 'ACTION-7' }, /_action_/, 4_000],
  ['a key', { objectKey: 'k/77' }, /_object_key_/, 40],
  ['a correlation id', { correlationId: 'c-77' }, /_correlation_id_/, 10],
] as const;

describe('a slice of events', () => {
  it.each(drivers)(
    'by %s goes along its index, in the order of time',
    async (_, filter, index, rows) => {
      const slice = await costOf(eventSlices.slice, [
        ...asked(filter),
        ...FLOOR,
        ...CEILING,
        5_000,
        snapshot,
      ]);
      expect(slice.rows).toBe(rows);
      for (const name of slice.indexes) expect(name, slice.plan).toMatch(index);
      const boundary = await costOf(eventSlices.boundary, [...asked(filter), ...FLOOR, rows - 1]);
      expect(boundary.rows).toBe(1);
      for (const name of boundary.indexes) expect(name, boundary.plan).toMatch(index);
    },
  );

  it('reads the month that it is in, and that of its end', async () => {
    const behind = [minute(EVENTS - 2_000), NOBODY];
    const slice = await costOf(eventSlices.slice, [
      ...asked({}),
      ...behind,
      ...CEILING,
      5_000,
      snapshot,
    ]);
    expect(slice.rows).toBe(2_000);
    expect(monthsOf(slice.indexes).size, slice.plan).toBe(1);
    const range = { startTime: at(0), endTime: at(1_000) };
    const early = await costOf(eventSlices.slice, [
      ...asked(range),
      ...FLOOR,
      ...CEILING,
      5_000,
      snapshot,
    ]);
    expect(early.rows).toBe(1_000);
    expect(monthsOf(early.indexes).size, early.plan).toBe(1);
  });

  it('costs the same late as at the beginning: what it passes is bounded', async () => {
    for (const n of [0, 15_000, 35_000]) {
      const place = [minute(n), NOBODY];
      const until = [minute(n + 4_999), CEILING[1]];
      const slice = await costOf(eventSlices.slice, [
        ...asked({ username: 'nobody' }),
        ...place,
        ...until,
        5_000,
        snapshot,
      ]);
      expect(slice.rows).toBe(0);
      // A page holds some fifty events.
      expect(slice.buffers, slice.plan).toBeLessThan(300);
    }
  });
});

describe('a slice of executions', () => {
  it.each([
    ['a hook', ['hook-7', null, null, null, null], /_hook_name_/, 2_000],
    ['a correlation id', [null, null, null, null, 'c-77'], /_correlation_id_/, 10],
    ['nothing', [null, null, null, null, null], /_pkey$/, 5_000],
  ])('by %s goes along its index', async (_, filter, index, rows) => {
    const params = ['default', ...filter, '-infinity', minute(EVENTS), ...FLOOR];
    const slice = await costOf(executionSlices.slice, [...params, ...CEILING, 5_000, snapshot]);
    expect(slice.rows).toBe(rows);
    for (const name of slice.indexes) expect(name, slice.plan).toMatch(index);
  });
});

describe('a slice of versions', () => {
  const beyond = prefixCeiling('k/');
  /** Page of index, heap, notes and object for each. */
  const A_HUNDRED = 1_500;

  it('goes along the index of their order, behind a key with many too', async () => {
    for (const after of ['', 'k/5', 'k/big']) {
      const params = ['default', after, 'k/', beyond, 100, snapshot];
      const { buffers, plan, rows } = await costOf(streamVersions, params);
      expect(rows).toBe(after === 'k/big' ? 0 : 100);
      expect(buffers, plan).toBeLessThan(A_HUNDRED);
    }
  });

  it('begins and goes on within a key at the cost of what it gives', async () => {
    const params = ['default', 'k/9999', 'k/', beyond, 100, snapshot];
    const begun = await costOf(streamVersions, params);
    expect(begun.buffers, begun.plan).toBeLessThan(A_HUNDRED);
    const older = await costOf(streamOlderVersions, ['default', 'k/big', 8_000, 100, snapshot]);
    expect(older.rows).toBe(100);
    expect(older.buffers, older.plan).toBeLessThan(A_HUNDRED);
  });

  it('finds its end in the index alone', async () => {
    const params = ['default', '', 'k/', beyond, 19_999];
    const { buffers, plan } = await costOf(versionsBoundary, params);
    expect(buffers, plan).toBeLessThan(400);
  });
});
