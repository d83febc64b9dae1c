// What executions cost to read on 100 thousand of them in four months, in buffers.

import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GetHookStatisticsRequestSchema } from '../../gen/stowage/v1/hook_execution_pb.js';
import { type ExecutionFilter, ExecutionFilterSchema } from '../../gen/stowage/v1/hook_pb.js';
import type { Statement } from '../../src/postgres/statement.js';
import { checkedExecutionFilter } from '../../src/store/execution-filter.js';
import { statisticsStep } from '../../src/store/hook-statistics.js';
import {
  type ExecutionPosition,
  executionStart,
  executionStep,
  type TimeOrder,
} from '../../src/store/list-executions.js';
import { SCAN_ROWS } from '../../src/store/list-pages.sql.js';
import { sharedCluster } from '../support/cluster.js';
import { createTestDatabase, type TestConnection, type TestDatabase } from '../support/database.js';
import { type Explained, explain as explainAs } from '../support/explain.js';
import { fillManyExecutions } from '../support/many-executions.js';

const EXECUTIONS = 100_000;
const call = { project: 'default' };

let database: TestDatabase;
let service: TestConnection;
/** Times of executions, oldest first: each a thousandth of all further on. */
let times: readonly string[];

beforeAll(async () => {
  database = await createTestDatabase(sharedCluster().nodes[0]?.url ?? '');
  const admin = await database.connect();
  await fillManyExecutions(admin, EXECUTIONS);
  service = await database.connect(database.serviceUrl);
  const rows = await admin.query<{ time: string }>(
    `select timestamp::text as time
     from (select timestamp, row_number() over (order by timestamp) as n from storage_hooks) as all_
     where n % (${EXECUTIONS} / 1000) = 0
     order by timestamp`,
  );
  times = rows.map(({ time }) => time);
});

afterAll(() => database.drop());

/** As a session plans it that has not run it before: for its values, unless it refuses that. */
const explain = (statement: Statement<unknown>, params: readonly unknown[]) =>
  explainAs(service, statement, params, { plan: statement.plan ?? 'custom', runFirst: true });

type FilterInit = MessageInitShape<typeof ExecutionFilterSchema>;

interface Asked {
  readonly filter?: FilterInit;
  readonly order?: TimeOrder;
  readonly at?: Partial<ExecutionPosition>;
}

/** A page of 100 behind a place. */
function page({ filter = {}, order = 'descending', at }: Asked): Promise<Explained> {
  const message: ExecutionFilter = create(ExecutionFilterSchema, filter);
  const checked = checkedExecutionFilter(message);
  const position = { ...executionStart(checked, order), ...at };
  const { statement, params } = executionStep(call, checked, order, position, 101);
  return explain(statement, params);
}

/** The partitions whose indexes were read. */
const monthsOf = ({ indexes }: Explained) =>
  new Set(indexes.flatMap((name) => /^storage_hooks_(\d{4}_\d\d)/.exec(name)?.[1] ?? []));

/** A day in the second of the months. */
const monthAgo = new Date();
monthAgo.setUTCMonth(monthAgo.getUTCMonth() - 2, 10);
const aDay = {
  startTime: timestampFromDate(monthAgo),
  endTime: timestampFromDate(new Date(monthAgo.getTime() + 86_400_000)),
};

/** What each page takes: an index's pages down to a row in each of six months, and its own. */
const PAGE_BUFFERS = 60;

describe('a page of executions', () => {
  const ways: readonly (readonly [string, FilterInit, string])[] = [
    ['of all', {}, 'pkey'],
    ['of a hook', { hookName: 'hook-3' }, 'hook_name'],
    ['of a rare hook', { hookName: 'rare' }, 'hook_name'],
    ['of a hook that is not there', { hookName: 'none' }, 'hook_name'],
    ['of a correlation', { correlationId: 'order-4000' }, 'correlation_id'],
    ['of a correlation of a hook', { correlationId: 'order-4000', hookName: 'hook-3' }, 'corr'],
  ];
  const orders: readonly TimeOrder[] = ['ascending', 'descending'];

  it.each(ways)('%s reads its index, and no more at any depth', async (_, filter, index) => {
    for (const order of orders) {
      for (const timestamp of [undefined, times[200], times[700]]) {
        const read = await page({ filter, order, ...(timestamp && { at: { timestamp } }) });
        expect(read.buffers, read.plan).toBeLessThan(PAGE_BUFFERS);
        const indexes = read.indexes.filter((name) => name !== 'projects_pkey');
        expect(
          indexes.filter((name) => !name.includes(index)),
          read.plan,
        ).toEqual([]);
      }
    }
  });

  it.each(ways)('%s reads the months of its time and no others', async (_, filter) => {
    for (const order of orders) {
      const read = await page({ filter: { ...filter, ...aDay } as FilterInit, order });
      expect([...monthsOf(read)].length, read.plan).toBe(1);
      const behind = await page({ filter, order, at: { timestamp: times[1] ?? '' } });
      if (order === 'descending') expect([...monthsOf(behind)].length, behind.plan).toBe(1);
    }
  });

  it('of a hook begins at the end of its time, and not at that of the month', async () => {
    const aMoment = { ...aDay, endTime: { ...aDay.startTime, nanos: aDay.startTime.nanos + 1 } };
    for (const order of orders) {
      const { buffers, plan } = await page({ filter: { hookName: 'hook-3', ...aMoment }, order });
      expect(buffers, plan).toBeLessThan(8);
    }
  });

  it.each([
    ['of a kind of event', { eventType: 'none' }],
    ['of an object of a hook', { objectKey: 'none', hookName: 'hook-3' }],
    ['of failures of an object', { objectKey: 'none', success: false }],
  ])('%s looks at a bounded number', async (_, filter) => {
    const { buffers, rows, rowsOfStep, plan } = await page({ filter });
    expect(rows, plan).toBe(1);
    // Up to PostgreSQL 15 what numbers the rows looks one ahead.
    expect(rowsOfStep - SCAN_ROWS, plan).toBeLessThanOrEqual(1);
    expect(buffers, plan).toBeLessThan(SCAN_ROWS * 1.1);
  });
});

describe('statistics of hooks', () => {
  const statistics = (request: object, rowsMax?: number) => {
    const asked = create(GetHookStatisticsRequestSchema, request);
    const { statement, params } = statisticsStep(call, asked, rowsMax);
    return explain(statement, params);
  };

  it('read the months of their window, and of one hook its index', async () => {
    const day = await statistics({ hours: 1 });
    expect([...monthsOf(day)].length, day.plan).toBeLessThanOrEqual(2);
    const hook = await statistics({ hours: 24 * 200, hookName: 'rare' });
    expect(hook.given.map(({ total }) => total)).toEqual(['10']);
    expect(hook.buffers, hook.plan).toBeLessThan(PAGE_BUFFERS);
    const [, first] = hook.indexes;
    expect(first, hook.plan).toContain('hook_name');
  });

  it('look at the newest of a window and say where there were more', async () => {
    const { rowsOfStep, given, plan } = await statistics({ hours: 24 * 200 }, 5_000);
    expect(rowsOfStep, plan).toBeLessThanOrEqual(5_002);
    const total = given.reduce((sum, row) => sum + Number(row['total']), 0);
    expect([total, given[0]?.['limited']]).toEqual([5_000, true]);
    const none = await statistics({ hours: 24 * 200, eventType: 'none' }, 5_000);
    expect(none.given).toMatchObject([{ hook_name: null, limited: true }]);
    const all = await statistics({ hours: 24 * 200 }, EXECUTIONS);
    expect(all.given[0]?.['limited']).toBe(false);
  });
});
