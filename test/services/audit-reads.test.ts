// A user's activity, and what the reads of the audit trail refuse, through both doors.
import { randomUUID } from 'node:crypto';
import type { JsonObject, MessageInitShape } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ListEventsRequestSchema } from '../../gen/stowage/v1/audit_read_pb.js';
import { compareKeys } from '../../src/store/object-keys.js';
import { type ActivityRow, userActivity } from '../../src/store/user-activity.sql.js';
import { insertEvents, type MadeEvent, microsOf, timeOfMicros } from '../support/audit-events.js';
import { doorNames, failure, startService, strong, type TestService } from '../support/service.js';

type Request = Exclude<MessageInitShape<typeof ListEventsRequestSchema>, { $typeName: string }>;

const DAY = 86_400_000_000;
const today = new Date();
/** The first instant of the month before the last. */
const dawn = Date.UTC(today.getUTCFullYear(), today.getUTCMonth() - 2, 1) * 1000;

/** What may stand at `bytes`; only numbers count. */
const bytes: readonly (JsonObject | undefined)[] = [
  ...[{ bytes: 100 }, { bytes: 0.25 }, { bytes: -3 }, { bytes: '7' }, { bytes: null }],
  ...[{ bytes: true }, { bytes: [1] }, { bytes: { bytes: 1 } }, { other: 1 }, {}, undefined],
];

const made: readonly MadeEvent[] = Array.from({ length: 200 }, (_, at) => {
  const metadata = bytes[at % bytes.length];
  return {
    id: randomUUID(),
    micros: dawn + at * (DAY / 3) + at,
    userId: at % 5 === 0 ? 'bert' : 'anna',
    action: ['DOWNLOAD', 'скачать', 'UPLOAD', 'A'][at % 4] ?? '',
    success: at % 3 > 0,
    ...(metadata === undefined ? {} : { metadata }),
  };
});

let service: TestService;

beforeAll(async () => {
  service = await startService();
  await insertEvents(service, made);
});

afterAll(() => service[Symbol.asyncDispose]());

/** What some events come to. */
function figuresOf(events: readonly MadeEvent[]) {
  const numbers = events.map(({ metadata }) => metadata?.['bytes']);
  const times = events.map(({ micros }) => micros);
  return {
    events: BigInt(events.length),
    failures: BigInt(events.filter(({ success }) => success === false).length),
    bytes: numbers.reduce<number>((sum, it) => sum + (typeof it === 'number' ? it : 0), 0),
    first: events.length === 0 ? Number.NaN : Math.min(...times),
    last: events.length === 0 ? Number.NaN : Math.max(...times),
  };
}

describe.each(doorNames)("a user's activity through %s", (door) => {
  const audit = () => service.doors[door].audit;

  it.each<readonly [string, string, number, number]>([
    ['within a month', 'anna', dawn + 3 * DAY, dawn + 20 * DAY],
    ['over months, to the microsecond', 'anna', made[4]?.micros ?? 0, made[196]?.micros ?? 0],
    ['of somebody else', 'bert', dawn, dawn + 70 * DAY],
    ['of nobody', 'nobody', dawn, dawn + 70 * DAY],
    ['within no time', 'anna', dawn + DAY, dawn + DAY],
  ])('%s is added up by action', async (_, userId, start, end) => {
    const range = { startTime: timeOfMicros(start), endTime: timeOfMicros(end) };
    const answer = await audit().getUserActivity({ userId, ...range, freshness: strong });
    const within = made.filter(
      (event) => event.userId === userId && event.micros >= start && event.micros < end,
    );
    const actions = [...new Set(within.map(({ action }) => action))].sort(compareKeys);
    const told = (it: Pick<typeof answer, 'events' | 'failures' | 'bytes'> & typeof answer) => ({
      ...{ events: it.events, failures: it.failures, bytes: it.bytes },
      ...{ first: microsOf(it.firstSeen), last: microsOf(it.lastSeen) },
    });
    expect(told(answer)).toEqual(figuresOf(within));
    expect(answer.limited).toBe(false);
    expect(answer.actions.map(({ action }) => action)).toEqual(actions);
    expect(answer.actions.map((action) => told(action as never))).toEqual(
      actions.map((action) => figuresOf(within.filter((event) => event.action === action))),
    );
  });

  it('is of the last 7 days where no window is given', async () => {
    const userId = `week-${door}`;
    const now = Date.now() * 1000;
    const events = [now, now - 6 * DAY, now - 8 * DAY, now + DAY / 48].map((micros) => ({
      ...{ id: randomUUID(), micros, userId, action: 'A' },
    }));
    await insertEvents(service, events);
    const answer = await audit().getUserActivity({ userId, freshness: strong });
    expect(answer.events).toBe(2n);
    const endTime = timeOfMicros(now - 5 * DAY);
    const before = await audit().getUserActivity({ userId, endTime, freshness: strong });
    expect(before.events).toBe(2n);
  });

  it('has a sum that a message can hold, whatever it is a sum of', async () => {
    const userId = `sum-${door}`;
    const events = [1e308, 1e308, 1e308].map((number, at) => ({
      ...{ id: randomUUID(), micros: dawn + at, userId, action: 'A', metadata: { bytes: number } },
    }));
    await insertEvents(service, events);
    const startTime = timeOfMicros(dawn);
    const answer = await audit().getUserActivity({ userId, startTime, freshness: strong });
    expect(answer.bytes).toBeGreaterThan(1e308);
    expect(Number.isFinite(answer.bytes)).toBe(true);
  });

  it('is refused of a window that ends before it begins, or of a project unknown', async () => {
    const range = { startTime: timeOfMicros(dawn + 1), endTime: timeOfMicros(dawn) };
    const reversed = await failure(audit().getUserActivity({ userId: 'u', ...range }));
    expect(reversed).toMatchObject({
      reason: 'INVALID_REQUEST',
      violations: [{ field: 'end_time' }],
    });
    const nobody = await failure(audit().getUserActivity({}));
    expect(nobody).toMatchObject({ violations: [{ field: 'user_id' }] });
    const unknown = await failure(audit().getUserActivity({ userId: 'u', project: 'none' }));
    expect(unknown.reason).toBe('PROJECT_NOT_FOUND');
  });
});

it("a user's activity is of the newest events up to a bound, and says so", async () => {
  const ours = made.filter(({ userId }) => userId === 'anna').toReversed();
  const ask = async (eventsMax: number, actionsMax: number) => {
    const window = ['default', 'anna', '2000-01-01', new Date(dawn / 1000 + 70 * 86_400_000)];
    return service.sql<ActivityRow & Record<string, unknown>>(userActivity.text, [
      ...window,
      ...[eventsMax, actionsMax],
    ]);
  };
  const [all, ...actions] = await ask(50, 1000);
  expect(all).toMatchObject({ action: null, events: '50', limited: true });
  expect(all?.failures).toBe(String(figuresOf(ours.slice(0, 50)).failures));
  expect(actions.map(({ action }) => action)).toEqual(['A', 'DOWNLOAD', 'UPLOAD', 'скачать']);
  expect((await ask(ours.length, 1000))[0]).toMatchObject({ limited: false });
  expect((await ask(ours.length - 1, 1000))[0]).toMatchObject({ limited: true });
  // The most frequent ones stay where there are too many.
  const counts = ['A', 'DOWNLOAD', 'UPLOAD', 'скачать'].map(
    (name) => ours.filter(({ action }) => action === name).length,
  );
  const [, only, ...none] = await ask(1000, 1);
  expect(none).toEqual([]);
  expect(only?.events).toBe(String(Math.max(...counts)));
});

describe.each(doorNames)('a refused list of events through %s', (door) => {
  const audit = () => service.doors[door].audit;
  const day = timeOfMicros(dawn);
  const later = timeOfMicros(dawn + 31 * DAY);
  const metadataFilter = { bytes: 1 };
  it.each<readonly [string, Request, string]>([
    ['an unknown order', { orderBy: 'action' }, 'order_by'],
    ['an order in two parts', { orderBy: 'timestamp, id' }, 'order_by'],
    ['an unknown direction', { orderBy: 'timestamp down' }, 'order_by'],
    ['the order of keys without a prefix', { orderBy: 'object_key' }, 'order_by'],
    [
      'the order of keys of a user',
      { orderBy: 'object_key', filter: { keyPrefix: 'a', userId: 'u' } },
      'order_by',
    ],
    ['a key and a prefix', { filter: { objectKey: 'a', keyPrefix: 'a' } }, 'filter.key_prefix'],
    [
      'a range that ends before it begins',
      { filter: { startTime: later, endTime: day } },
      'filter.end_time',
    ],
    ['metadata alone', { filter: { metadataFilter } }, 'filter.metadata_filter'],
    ['metadata of a name', { filter: { metadataFilter, username: 'u' } }, 'filter.metadata_filter'],
    [
      'metadata since some day',
      { filter: { metadataFilter, startTime: day } },
      'filter.metadata_filter',
    ],
    [
      'metadata of more than 31 days',
      {
        filter: {
          metadataFilter,
          ...{ startTime: day, endTime: { ...later, nanos: later.nanos + 1000 } },
        },
      },
      'filter.metadata_filter',
    ],
    [
      'metadata of 5 KiB',
      { filter: { userId: 'u', metadataFilter: { a: 'x'.repeat(5000) } } },
      'filter.metadata_filter',
    ],
    ['a page of 1001', { pageSize: 1001 }, 'page_size'],
    ['a text with NUL', { filter: { userId: 'a\0' } }, 'filter.user_id'],
  ])('is one of %s', async (_, request, field) => {
    const refused = await failure(audit().listEvents(request));
    expect(refused).toMatchObject({ reason: 'INVALID_REQUEST', violations: [{ field }] });
  });

  it('is none of metadata of 31 days', async () => {
    const filter = { metadataFilter, startTime: day, endTime: later };
    await expect(audit().listEvents({ filter })).resolves.toBeDefined();
  });

  it('has the page token of another filter, order, project or method', async () => {
    const filter: NonNullable<Request['filter']> = { userId: 'anna' };
    const { nextPageToken: pageToken } = await audit().listEvents({ filter, pageSize: 1 });
    expect(pageToken).not.toBe('');
    await expect(audit().listEvents({ filter, pageSize: 9, pageToken })).resolves.toBeDefined();
    const others: readonly Request[] = [
      { filter: { userId: 'bert' }, pageToken },
      { filter: { username: 'anna' }, pageToken },
      { filter: { ...filter, success: true }, pageToken },
      { filter: { ...filter, startTime: day }, pageToken },
      { filter: { ...filter, endTime: day }, pageToken },
      { filter, orderBy: 'timestamp', pageToken },
      { filter, pageToken: `${pageToken}x` },
    ];
    for (const request of others) {
      const refused = await failure(audit().listEvents(request));
      expect(refused.reason, JSON.stringify(request, printable)).toBe('PAGE_TOKEN_INVALID');
    }
    const trail = await failure(audit().listObjectTrail({ objectKey: 'k', pageToken }));
    expect(trail.reason).toBe('PAGE_TOKEN_INVALID');
  });

  it('is of a project that is not there', async () => {
    const refused = await failure(audit().listEvents({ project: 'none' }));
    expect(refused.reason).toBe('PROJECT_NOT_FOUND');
  });
});

function printable(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}
