// What pages of the audit trail cost on 200 thousand events in 13 months, in buffers.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Statement } from '../../src/postgres/statement.js';
import { type AskedEvents, checkFilter } from '../../src/store/audit-filter.js';
import {
  type EventPosition,
  eventOrder,
  eventStart,
  eventStep,
} from '../../src/store/list-events.js';
import { SCAN_ROWS } from '../../src/store/list-pages.sql.js';
import { trailParams, trailStart } from '../../src/store/object-trail.js';
import { trailPages } from '../../src/store/object-trail.sql.js';
import { userActivity } from '../../src/store/user-activity.sql.js';
import { sharedCluster } from '../support/cluster.js';
import { createTestDatabase, type TestConnection, type TestDatabase } from '../support/database.js';
import { type Explained, explain as explainAs } from '../support/explain.js';
import { fillTables } from '../support/filled-tables.js';

const EVENTS = 200_000;
const PAGE = 100;
/** Versions and changes of the hot key. */
const OF_KEY = 10_000;
/** How many events lie before page 1,000. */
const DEEP = 999 * PAGE;
/** Partitions: of the past 13 months, of this one and of the next two. */
const MONTHS = 16;
const call = { project: 'default' };

let database: TestDatabase;
let admin: TestConnection;
let service: TestConnection;

/** Seconds between two events: on every day of a year all of them lie within the months made. */
const STEP = 160;

/** The time of the nth event is this before now. */
const since = (events: number) => `now() - make_interval(secs => ${events} * ${STEP}.0)`;

/**
 * Each of the values that is asked for is in three of four events, which ones hangs on the value. A
 * hundredth is of two thousand projects more: so the planner takes each project to have few events
 * in a month, and all ways to them to cost the same.
 */
const fillEvents = `
  insert into storage_audit (project_id, timestamp, id, user_id, username, action, object_key,
    version_id, ip_address, user_agent, success, correlation_id, metadata)
  select case when n % 100 = 7 then 'p' || n else 'default' end,
    ${since(EVENTS)} + make_interval(secs => (n - n % 3) * ${STEP}.0), gen_random_uuid(),
    case when n % 4 = 0 then 'user-' || n % 97 else 'hot' end, 'Name ' || n % 97,
    case when n % 4 = 1 then (array['UPLOAD', 'DELETE'])[1 + n % 2] else 'DOWNLOAD' end,
    case when n % 4 = 2 then format('documents/%s', n % 5003) else 'documents/hot' end,
    'v1', '192.168.1.100', 'Mozilla/5.0', n % 10 <> 0,
    case when n % 4 = 3 then gen_random_uuid()::text else 'job' end,
    case when n % 5 = 0 then jsonb_build_object('bytes', n) end
  from generate_series(1, ${EVENTS}) as n`;

const fillVersions = `
  insert into storage_versions (project_id, object_key, version_id, size, last_modified,
    created_at)
  select 'default', 'documents/hot', 'v' || n, n, now(), ${since(EVENTS)} + n * interval '1 minute'
  from generate_series(1, ${OF_KEY}) as n`;

const fillChanges = `
  insert into storage_changes (project_id, kind, object_key, revision, recorded_at)
  select 'default', 'object.updated', 'documents/hot', n,
    date_trunc('day', now(), 'UTC') + n * interval '1 minute'
  from generate_series(1, ${OF_KEY}) as n`;

beforeAll(async () => {
  database = await createTestDatabase(sharedCluster().nodes[0]?.url ?? '');
  admin = await database.connect();
  for (const [first, last] of [
    [13, 10],
    [9, 6],
    [5, 2],
    [1, 1],
  ]) {
    await admin.query(
      `select stowage_ensure_months('storage_audit', array_agg(now() - make_interval(months => n)))
       from generate_series($1::int, $2::int, -1) as n`,
      [first, last],
    );
  }
  await fillTables(admin, {
    tables: ['storage_audit', 'storage_versions', 'storage_changes'],
    async fill() {
      for (const fill of [fillEvents, fillVersions, fillChanges]) await admin.query(fill);
    },
  });
  service = await database.connect(database.serviceUrl);
}, 60_000);

afterAll(() => database.drop());

/** As a session plans it that has not run it before: for its values, unless it refuses that. */
const explain = (statement: Statement<unknown>, params: readonly unknown[]) =>
  explainAs(service, statement, params, { plan: statement.plan ?? 'custom' });

const nothing: AskedEvents = {
  ...{ userId: '', username: '', action: '', objectKey: '', keyPrefix: '', versionId: '' },
  correlationId: '',
};

interface Asked {
  readonly filter: Partial<AskedEvents>;
  readonly orderBy?: string;
  readonly at?: EventPosition;
}

/** A page of 100, by default the first. */
function page({ filter, orderBy = '', at }: Asked): Promise<Explained> {
  const checked = checkFilter({ ...nothing, ...filter });
  const order = eventOrder(checked, orderBy);
  const position = at ?? eventStart(checked, order);
  const { statement, params } = eventStep(call, checked, order, position, PAGE + 1);
  return explain(statement, params);
}

/** The last event before page 1,000. */
async function deepPosition(condition: string, orderBy: string): Promise<EventPosition> {
  const [row] = await admin.query<EventPosition & Record<string, unknown>>(
    `select to_char(timestamp at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.USZ') as time, id,
       object_key as key
     from storage_audit
     where project_id = 'default' and ${condition}
     order by ${orderBy}
     limit 1 offset ${DEEP - 1}`,
  );
  if (row === undefined) throw new Error(`${condition} has no page 1,000`);
  return row;
}

/** How many partitions a plan would read, after those that were pruned before it began. */
const partitionsOf = ({ plan }: Explained) => plan.match(/Index (Only )?Scan .*_audit_\d/g)?.length;

/** From within the month eleven months ago to within the last one: it has a page 1,000 too. */
const today = new Date();
const range = {
  start: Date.UTC(today.getUTCFullYear(), today.getUTCMonth() - 11, 10),
  end: Date.UTC(today.getUTCFullYear(), today.getUTCMonth() - 1, 20),
  months: 11,
};
const hundredDaysAgo = Date.now() - 100 * 86_400_000;

const timeOf = (millis: number) => {
  return { seconds: BigInt(Math.floor(millis / 1000)), nanos: (millis % 1000) * 1_000_000 };
};

interface Way {
  readonly filter: Partial<AskedEvents>;
  readonly condition: string;
  readonly index: RegExp;
  readonly field?: string;
}

const ways: readonly (readonly [string, Way])[] = [
  ['everything', { filter: {}, condition: 'true', index: /_pkey$/ }],
  ['an actor', { filter: { userId: 'hot' }, condition: `user_id = 'hot'`, index: /_user_id_/ }],
  [
    'an action',
    { filter: { action: 'DOWNLOAD' }, condition: `action = 'DOWNLOAD'`, index: /_action_/ },
  ],
  [
    'a key',
    {
      filter: { objectKey: 'documents/hot' },
      condition: `object_key = 'documents/hot'`,
      index: /_object_key_/,
    },
  ],
  [
    'a correlation id',
    {
      filter: { correlationId: 'job' },
      condition: `correlation_id = 'job'`,
      index: /_correlation_id_/,
    },
  ],
  [
    'a key prefix',
    {
      filter: { keyPrefix: 'documents/' },
      condition: `object_key >= 'documents/' and object_key < 'documents0'`,
      index: /_object_key_/,
      field: 'object_key',
    },
  ],
];

describe.each(ways)('a page of %s', (_, { filter, condition, index, field = 'timestamp' }) => {
  const directions = [
    ['forwards', field, ''],
    ['backwards', `${field} desc`, ' desc'],
  ] as const;

  it.each(directions)('%s reads its index, as much of it at page 1,000', async (__, orderBy, d) => {
    const columns = ['timestamp', 'id'].map((column) => column + d);
    const order = [...(field === 'timestamp' ? [] : [field + d]), ...columns].join(', ');
    const times = { startTime: timeOf(range.start), endTime: timeOf(range.end) };
    const between = `timestamp >= '${new Date(range.start).toISOString()}'
      and timestamp < '${new Date(range.end).toISOString()}'`;
    for (const [asked, where, partitions] of [
      [filter, condition, MONTHS],
      [{ ...filter, ...times }, `${condition} and ${between}`, range.months],
    ] as const) {
      const first = await page({ filter: asked, orderBy });
      const at = await deepPosition(where, order);
      const deep = await page({ filter: asked, orderBy, at });
      for (const { rows, indexes, nodes, plan } of [first, deep]) {
        expect(rows, plan).toBe(PAGE + 1);
        expect(nodes, plan).not.toContain('Seq Scan');
        expect(
          nodes.filter((node) => node.startsWith('Bitmap')),
          plan,
        ).toEqual([]);
        const read = indexes.filter((name) => name.startsWith('storage_audit'));
        expect(read.length, plan).toBeGreaterThan(0);
        expect(
          read.filter((name) => !index.test(name)),
          plan,
        ).toEqual([]);
      }
      expect(partitionsOf(first), first.plan).toBe(partitions);
      // In the order of time the months before the position are pruned too.
      const left = partitionsOf(deep);
      if (field === 'timestamp') expect(left, deep.plan).toBeLessThan(partitions);
      else expect(left, deep.plan).toBe(partitions);
      expect(first.buffers, first.plan).toBeLessThan(350);
      expect(deep.buffers, deep.plan).toBeLessThanOrEqual(2 * first.buffers);
    }
  });
});

describe('a page of events', () => {
  const sought: readonly (readonly [string, Asked, number])[] = [
    ['an actor who did nothing', { filter: { userId: 'nobody' } }, 100],
    ['an action that nobody took', { filter: { action: 'NONE' } }, 100],
    ['a key without events', { filter: { objectKey: 'none' } }, 100],
    ['an unknown correlation id', { filter: { correlationId: 'none' } }, 100],
    ['a prefix without events', { filter: { keyPrefix: 'none/' } }, 100],
  ];

  it.each(sought)('of %s reads the ends of an index', async (_, asked, buffersMax) => {
    const { rows, buffers, plan } = await page(asked);
    expect(rows).toBe(0);
    expect(buffers, plan).toBeLessThan(buffersMax);
  });

  const bounded: readonly (readonly [string, Asked])[] = [
    ['a name', { filter: { username: 'nobody' } }],
    ['a version', { filter: { versionId: 'none' } }],
    ['an actor by version', { filter: { userId: 'hot', versionId: 'none' } }],
    ['an actor by action', { filter: { userId: 'hot', action: 'NONE' } }],
    ['a key by actor', { filter: { objectKey: 'documents/hot', userId: 'nobody' } }],
    ['a prefix in the order of time', { filter: { keyPrefix: 'no/' }, orderBy: 'timestamp' }],
    ['a prefix by name', { filter: { keyPrefix: 'documents/', username: 'nobody' } }],
    ['a prefix by metadata', { filter: { keyPrefix: 'd', metadataFilter: { bytes: 1.5 } } }],
    [
      'a prefix within a day',
      {
        filter: {
          keyPrefix: 'documents/',
          ...{ startTime: timeOf(hundredDaysAgo), endTime: timeOf(hundredDaysAgo) },
        },
      },
    ],
  ];

  it.each(bounded)('that looks for %s stops at its bound', async (_, asked) => {
    const { rows, rowsOfStep, buffers, plan } = await page(asked);
    // The one row says how far it has looked.
    expect(rows, plan).toBe(1);
    // Before PostgreSQL 16 the step that numbers rows reads one ahead.
    expect(rowsOfStep, plan).toBeLessThanOrEqual(SCAN_ROWS + 1);
    expect(buffers, plan).toBeLessThan(SCAN_ROWS * 1.1);
  });

  it('that finds enough stops there', async () => {
    const { rows, rowsOfStep, plan } = await page({ filter: { userId: 'hot', success: false } });
    expect(rows).toBe(PAGE + 1);
    expect(rowsOfStep, plan).toBeLessThan(20 * PAGE);
  });
});

describe('a page of a trail', () => {
  it.each(['ascending', 'descending'] as const)('%s costs the same at any depth', async (order) => {
    const at = (position: typeof start) =>
      explain(trailPages[order], trailParams(call, 'documents/hot', position, PAGE + 1));
    const start = trailStart(order === 'descending');
    const first = await at(start);
    const [deep] = await admin.query<{ change: [string, string]; event: [string, string] }>(
      `select array[change.time::text, change.seq::text] as change,
         array[event.time::text, event.id::text] as event
       from (select recorded_at as time, seq from storage_changes
             where object_key = 'documents/hot' order by recorded_at, seq
             offset ${OF_KEY / 2} limit 1
            ) as change,
            (select timestamp as time, id from storage_audit
             where project_id = 'default' and object_key = 'documents/hot'
             order by timestamp, id offset ${DEEP} limit 1) as event`,
    );
    if (deep === undefined) throw new Error('nothing so deep');
    const { buffers, rows, rowsOfStep, plan } = await at({ ...deep, version: String(OF_KEY / 2) });
    expect([first.rows, rows]).toEqual([PAGE + 1, PAGE + 1]);
    expect(first.buffers, first.plan).toBeLessThan(800);
    expect(buffers, plan).toBeLessThanOrEqual(first.buffers * 1.5);
    expect(rowsOfStep, plan).toBeLessThanOrEqual(3 * (PAGE + 1));
  });
});

describe("a user's activity", () => {
  it('is read from the months of its window, and no further than its bound', async () => {
    const window = ['default', 'user-8', timeOf(range.start), timeOf(range.end)];
    const all = await explain(userActivity, [...window, 1_000_000, 1000]);
    expect(partitionsOf(all), all.plan).toBe(range.months);
    expect(
      all.indexes.every((name) => /_user_id_|projects/.test(name)),
      all.plan,
    ).toBe(true);
    const bounded = await explain(userActivity, [...window, 100, 1000]);
    expect(bounded.rowsOfStep, bounded.plan).toBeLessThanOrEqual(102);
    expect(bounded.buffers, bounded.plan).toBeLessThan(300);
  });
});
