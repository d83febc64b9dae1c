// Events by every filter through both doors, against the same done in JavaScript.
import { randomUUID } from 'node:crypto';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AuditFilterSchema } from '../../gen/stowage/v1/audit_pb.js';
import type { ListEventsRequestSchema } from '../../gen/stowage/v1/audit_read_pb.js';
import { SCAN_ROWS } from '../../src/store/list-pages.sql.js';
import { compareKeys } from '../../src/store/object-keys.js';
import {
  insertEvents,
  type MadeEvent,
  makeProject,
  microsOf,
  timeOfMicros,
} from '../support/audit-events.js';
import { createRandom, type Random } from '../support/random.js';
import { doorNames, startService, strong, type TestService } from '../support/service.js';

type Init<Message> = Exclude<Message, { $typeName: string }>;
type Request = Omit<Init<MessageInitShape<typeof ListEventsRequestSchema>>, 'filter'> & {
  filter?: Filter;
};
/** With times that can be read. */
type Filter = Omit<
  Init<MessageInitShape<typeof AuditFilterSchema>>,
  'startTime' | 'endTime' | '$typeName'
> & { startTime?: Time; endTime?: Time };
type Time = ReturnType<typeof timeOfMicros>;

const seed = Math.trunc(Math.random() * 2 ** 31);
const random = createRandom(seed);
/** The project of the events that are made at random. */
const model = 'model';
/** The project of thousands of events, three of which did not succeed. */
const many = 'many';
const DAY = 86_400_000_000;
const today = new Date();
/** The first instant of the month before the last. */
const dawn = Date.UTC(today.getUTCFullYear(), today.getUTCMonth() - 2, 1) * 1000;

const values = {
  userId: ['anna', 'bert', 'Ärger', '\u{1F600}'],
  username: ['anna@example.com', 'Bert'],
  action: ['DOWNLOAD', 'UPLOAD', 'DELETE', 'скачать'],
  objectKey: ['docs/a', 'docs/a/1', 'docs/b', 'docs', 'docs0', 'Grüße/x', '\u{10FFFF}\u{10FFFF}'],
  versionId: ['v1', 'v2'],
  correlationId: ['job-1', 'job-2', '018f'],
  metadata: [{ bytes: 1 }, { bytes: '1' }, { bytes: 2, a: { b: true, c: null } }, { a: {} }, {}],
} as const;

const maybe = <Item>(from: Random, items: readonly Item[], percent: number): Item | undefined =>
  from.below(100) < percent ? from.pick(items) : undefined;

/** Some hundreds of events at some dozens of times, on both sides of two midnights of months. */
const made: readonly MadeEvent[] = Array.from({ length: 400 }, () => ({
  id: randomUUID(),
  micros:
    random.below(10) === 0 ? nextMonth(dawn) - random.below(2) : dawn + random.below(90) * DAY,
  action: random.pick(values.action),
  success: random.below(3) > 0,
  userId: maybe(random, values.userId, 80),
  username: maybe(random, values.username, 60),
  objectKey: maybe(random, values.objectKey, 85),
  versionId: maybe(random, values.versionId, 50),
  correlationId: maybe(random, values.correlationId, 70),
  ipAddress: maybe(random, ['192.168.1.100', '2001:db8::1'], 50),
  metadata: maybe(random, values.metadata, 70),
})).map((event) => JSON.parse(JSON.stringify(event)) as MadeEvent);

function nextMonth(micros: number): number {
  const date = new Date(micros / 1000);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 1) * 1000;
}

let service: TestService;

beforeAll(async () => {
  service = await startService();
  await insertEvents(service, made, await makeProject(service, model));
  await service.sql(
    `insert into storage_audit (project_id, timestamp, id, user_id, action, object_key, success)
     select $1, now() - n * interval '1 second', gen_random_uuid(), 'u', 'A', 'k/' || n % 3,
       n not in (5000, ${SCAN_ROWS}, 12000)
     from generate_series(1, ${1.5 * SCAN_ROWS}) as n`,
    [await makeProject(service, many)],
  );
});

afterAll(() => service[Symbol.asyncDispose]());

/** `@>` for what these tests have: objects and scalars. */
function contains(value: unknown, wanted: unknown): boolean {
  if (wanted === null || typeof wanted !== 'object') return value === wanted;
  if (value === null || typeof value !== 'object') return false;
  const entries = Object.entries(wanted);
  return entries.every(
    ([key, item]) => key in value && contains((value as Record<string, unknown>)[key], item),
  );
}

function lets(filter: Filter, event: MadeEvent): boolean {
  const { keyPrefix, success, startTime, endTime, metadataFilter } = filter;
  const same = ['userId', 'username', 'action', 'objectKey', 'versionId', 'correlationId'] as const;
  return (
    same.every((name) => !filter[name] || event[name] === filter[name]) &&
    (!keyPrefix || event.objectKey?.startsWith(keyPrefix) === true) &&
    (success === undefined || event.success === success) &&
    (startTime === undefined || event.micros * 1000 >= nanosOf(startTime)) &&
    (endTime === undefined || event.micros * 1000 < nanosOf(endTime)) &&
    (metadataFilter === undefined ||
      Object.keys(metadataFilter).length === 0 ||
      (event.metadata !== undefined && contains(event.metadata, metadataFilter)))
  );
}

/** In nanoseconds; exact for whole seconds and their neighbours is what the tests need. */
const nanosOf = ({ seconds, nanos }: Time) => Number(seconds) * 1e9 + nanos;

const isByKey = ({ keyPrefix, userId, action, correlationId }: Filter) =>
  Boolean(keyPrefix) && !userId && !action && !correlationId;

/** The ids of what a request asks for. */
function wanted(events: readonly MadeEvent[], { filter = {}, orderBy = '' }: Request): string[] {
  const order = orderBy || (isByKey(filter) ? 'object_key' : 'timestamp desc');
  const sorted = events
    .filter((event) => lets(filter, event))
    .toSorted(
      (left, right) =>
        (order.startsWith('object_key')
          ? compareKeys(left.objectKey ?? '', right.objectKey ?? '')
          : 0) ||
        left.micros - right.micros ||
        compareKeys(left.id, right.id),
    );
  return (order.endsWith(' desc') ? sorted.toReversed() : sorted).map(({ id }) => id);
}

/** A request at random: most of them ask for one or two things. */
function anyRequest(from: Random): Request {
  const start = dawn + from.below(90) * DAY;
  const prefix = maybe(from, ['docs', 'docs/', 'd', 'Grüß', '\u{10FFFF}', 'none'], 25);
  const range = from.below(3) === 0;
  const filter: Filter = {
    userId: maybe(from, [...values.userId, 'nobody'], 25) ?? '',
    username: maybe(from, values.username, 15) ?? '',
    action: maybe(from, values.action, 25) ?? '',
    objectKey: (prefix === undefined ? maybe(from, values.objectKey, 30) : undefined) ?? '',
    keyPrefix: prefix ?? '',
    versionId: maybe(from, values.versionId, 15) ?? '',
    correlationId: maybe(from, values.correlationId, 20) ?? '',
    success: maybe(from, [true, false], 20),
    ...(range || from.below(5) === 0 ? { startTime: timeOfMicros(start) } : {}),
    ...(range ? { endTime: timeOfMicros(start + from.below(31) * DAY) } : {}),
  };
  const isNarrow = range || filter.userId || filter.action || filter.objectKey || prefix;
  const metadataFilter = isNarrow ? maybe(from, values.metadata, 20) : undefined;
  const orders = ['', 'timestamp', 'timestamp desc', 'timestamp asc'];
  const byKey = isByKey(filter) ? ['object_key', 'object_key desc'] : [];
  return {
    filter: { ...filter, ...(metadataFilter === undefined ? {} : { metadataFilter }) },
    orderBy: from.pick([...orders, ...byKey]),
    // Small pages of everything would be hundreds of calls.
    pageSize: from.pick(isNarrow ? [1, 3, 20, 150, 0] : [20, 150, 0]),
  };
}

describe.each(doorNames)('events through %s', (door) => {
  const audit = () => service.doors[door].audit;

  async function listed(request: Request) {
    const pages = [];
    let pageToken = '';
    do {
      const page = await audit().listEvents({ ...request, pageToken, freshness: strong });
      pages.push(page);
      pageToken = page.nextPageToken;
      expect(page.events.length).toBeLessThanOrEqual(request.pageSize || 100);
    } while (pageToken !== '');
    return pages;
  }
  const idsOf = (pages: Awaited<ReturnType<typeof listed>>) =>
    pages.flatMap(({ events }) => events.map(({ id }) => id));

  it('come by any filter, in any order and page size, as the model has them', async () => {
    const from = createRandom(seed + 1);
    for (let round = 0; round < 30; round += 1) {
      const request = { project: model, ...anyRequest(from) };
      const pages = await listed(request);
      const what = `seed ${seed}, round ${round}: ${JSON.stringify(request, printable)}`;
      expect(idsOf(pages), what).toEqual(wanted(made, request));
      // Nothing has to look at so many rows here; and a last page is not empty for nothing.
      expect(pages.some(({ scanLimited }) => scanLimited)).toBe(false);
    }
  });

  it('come with every field that they have, and empty ones for what they lack', async () => {
    const [full] = made.filter(({ userId, username, objectKey, ipAddress, metadata }) =>
      [userId, username, objectKey, ipAddress, metadata?.['bytes']].every(Boolean),
    );
    const [bare] = made.filter(({ userId, objectKey, metadata }) =>
      [userId, objectKey, metadata].every((value) => value === undefined),
    );
    for (const event of [full, bare]) {
      if (event === undefined) continue;
      const { micros, metadata, ...texts } = event;
      const time = timeOfMicros(micros);
      const range = { startTime: time, endTime: timeOfMicros(micros + 1) };
      const page = await audit().listEvents({
        ...{ project: model, filter: range, pageSize: 1000, freshness: strong },
      });
      const found = page.events.find(({ id }) => id === event.id);
      const missing = { userId: '', username: '', objectKey: '', versionId: '', ipAddress: '' };
      expect(found).toMatchObject({ ...missing, correlationId: '', errorMessage: '', ...texts });
      expect(microsOf(found?.timestamp)).toBe(micros);
      const isEmpty = metadata === undefined || Object.keys(metadata).length === 0;
      expect(found?.metadata).toEqual(isEmpty ? undefined : metadata);
    }
  });

  it('take a range to the nanosecond', async () => {
    const id = randomUUID();
    const micros = dawn + 12_345_678;
    await insertEvents(service, [{ id, micros, action: 'NANO' }], 'default');
    const time = timeOfMicros(micros);
    const after = { ...time, nanos: time.nanos + 1 };
    const count = async (filter: Filter) =>
      (await audit().listEvents({ filter: { action: 'NANO', ...filter }, freshness: strong }))
        .events.length;
    const there = await count({ startTime: time, endTime: after });
    expect(there).toBeGreaterThan(0);
    expect(await count({ startTime: time })).toBe(there);
    expect(await count({ endTime: after })).toBe(there);
    expect(await count({ startTime: after })).toBe(0);
    expect(await count({ endTime: time })).toBe(0);
    expect(await count({ startTime: time, endTime: time })).toBe(0);
  });

  it.each(['timestamp', 'timestamp desc', 'object_key', 'object_key desc'])(
    'by %s come once each, whatever is appended while they are read',
    async (orderBy) => {
      const project = await makeProject(
        service,
        `p-${door.toLowerCase()}-${orderBy.replaceAll(/[ _]/g, '-')}`,
      );
      const event = (at: number): MadeEvent => ({
        id: randomUUID(),
        micros: dawn + Math.floor(at / 3) * DAY,
        action: 'A',
        objectKey: `k/${at % 5}`,
      });
      const first = Array.from({ length: 90 }, (_, at) => event(at));
      await insertEvents(service, first, project);
      const request: Request = {
        project,
        filter: orderBy.startsWith('object_key') ? { keyPrefix: 'k/' } : {},
        orderBy,
        pageSize: 7,
      };
      const seen: string[] = [];
      let pageToken = '';
      do {
        const page = await audit().listEvents({ ...request, pageToken, freshness: strong });
        seen.push(...page.events.map(({ id }) => id));
        pageToken = page.nextPageToken;
        await insertEvents(service, [0, 31, 47, 89].map(event), project);
      } while (pageToken !== '');
      expect(new Set(seen).size).toBe(seen.length);
      const there = new Set(first.map(({ id }) => id));
      expect(seen.filter((id) => there.has(id))).toEqual(wanted(first, request));
    },
  );

  it('that are rare among many are found page by page, each says where it stopped', async () => {
    const project = many;
    for (const filter of [{}, { userId: 'u' }, { keyPrefix: 'k/' }]) {
      const pages = await listed({ project, filter: { ...filter, success: false } });
      expect(pages.map(({ scanLimited }) => scanLimited)).toEqual([true, false]);
      expect(pages.flatMap(({ events }) => events)).toHaveLength(3);
      expect(pages.map(({ nextPageToken }) => nextPageToken !== '')).toEqual([true, false]);
    }
    // Where nothing else is asked for no page is short.
    const [page] = await listed({ project, filter: { userId: 'u' }, pageSize: 1000 });
    expect(page).toMatchObject({ scanLimited: false });
    expect(page?.events).toHaveLength(1000);
  });

  it('of much metadata come in pages that any client takes', async () => {
    const project = await makeProject(service, `large-${door.toLowerCase()}`);
    const large = Array.from({ length: 40 }, (_, at) => ({
      ...{ id: randomUUID(), micros: dawn + at, action: 'A', userId: 'u' },
      metadata: { text: 'x'.repeat(60_000) },
    }));
    await insertEvents(service, large, project);
    const request = { project, filter: { userId: 'u' }, pageSize: 1000 };
    const pages = await listed(request);
    expect(pages.length).toBeGreaterThan(1);
    expect(pages.some(({ scanLimited }) => scanLimited)).toBe(false);
    expect(idsOf(pages)).toEqual(wanted(large, request));
  });

  it('tell of the writes of this service itself', async () => {
    const objectKey = `own/${door}`;
    await service.doors[door].storage.recordObject({ object: { objectKey, storageBackend: 's3' } });
    const filter = { objectKey };
    const { events } = await audit().listEvents({ filter, freshness: strong });
    expect(events).toMatchObject([{ action: 'RECORD_OBJECT', objectKey, success: true }]);
  });

  it("answer the source document's questions: a key's log, and a user's of 7 days", async () => {
    const project = await makeProject(service, `document-${door.toLowerCase()}`);
    const daysAgo = (days: number) => timeOfMicros(Date.now() * 1000 - days * DAY);
    const objectKey = 'documents/invoice-2024-001.pdf';
    const user = { userId: 'user123', username: 'john@example.com' };
    const log = { objectKey, ...user, ipAddress: '192.168.1.100', userAgent: 'Mozilla/5.0...' };
    await audit().appendEvents({
      project,
      events: [
        { ...log, action: 'DOWNLOAD', timestamp: daysAgo(1), success: true },
        { ...log, action: 'UPLOAD', timestamp: daysAgo(8) },
        { action: 'UPLOAD', objectKey: 'documents/report.pdf' },
      ],
    });
    const ask = async (filter: Filter, pageSize: number) =>
      (await audit().listEvents({ project, filter, pageSize, freshness: strong })).events;
    expect(await ask({ objectKey }, 100)).toMatchObject([
      { action: 'DOWNLOAD', ...log, success: true },
      { action: 'UPLOAD', ...log, success: true },
    ]);
    const startTime = daysAgo(7);
    expect(await ask({ userId: user.userId, startTime }, 1000)).toMatchObject([
      { action: 'DOWNLOAD' },
    ]);
    const { userId } = user;
    const activity = await audit().getUserActivity({ project, userId, freshness: strong });
    expect(activity).toMatchObject({ events: 1n, actions: [{ action: 'DOWNLOAD' }] });
  });
});

function printable(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}
