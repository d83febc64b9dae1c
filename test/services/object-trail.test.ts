// What happened to a key through both doors, against the three tables merged in JavaScript.
import { randomUUID } from 'node:crypto';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type {
  ListObjectTrailRequestSchema,
  TrailEntry,
} from '../../gen/stowage/v1/audit_trail_pb.js';
import { makeProject, microsOf } from '../support/audit-events.js';
import { createRandom } from '../support/random.js';
import { doorNames, failure, startService, strong, type TestService } from '../support/service.js';

type Request = Exclude<
  MessageInitShape<typeof ListObjectTrailRequestSchema>,
  { $typeName: string }
>;

const seed = Math.trunc(Math.random() * 2 ** 31);
const objectKey = 'документы/счёт';

let service: TestService;

beforeAll(async () => {
  service = await startService();
});

afterAll(() => service[Symbol.asyncDispose]());

/** Writes rows of each table, at a few times of today, versions as they come. */
async function plant(project: string, rows: number, from: { below(bound: number): number }) {
  const hours = () => Array.from({ length: rows }, () => from.below(20));
  await service.sql(
    `insert into storage_changes (project_id, kind, object_key, revision, recorded_at)
     select $1, 'object.updated', $2, n, date_trunc('day', now(), 'UTC') + hour * interval '1 hour'
     from unnest($3::int[]) with ordinality as t (hour, n)`,
    [project, objectKey, hours()],
  );
  await service.sql(
    `insert into storage_versions (project_id, object_key, version_id, size, last_modified,
       created_at)
     select $1, $2, gen_random_uuid(), n, now(),
       date_trunc('day', now(), 'UTC') + hour * interval '1 hour'
     from unnest($3::int[]) with ordinality as t (hour, n) order by n`,
    [project, objectKey, hours()],
  );
  await service.sql(
    `insert into storage_audit (project_id, id, action, object_key, timestamp)
     select $1, gen_random_uuid(), 'A', $2,
       date_trunc('day', now(), 'UTC') + hour * interval '1 hour'
     from unnest($3::int[]) as hour`,
    [project, objectKey, hours()],
  );
}

interface Planted extends Record<string, unknown> {
  readonly name: string;
  readonly micros: string;
}

const micros = (column: string) => `extract(epoch from ${column}) * 1000000 as micros`;

/** The tables' rows, each table in its own order: changes by time, versions by seq, then events. */
async function tables(project: string): Promise<Planted[][]> {
  const texts = [
    `select 'change ' || seq as name, ${micros('recorded_at')} from storage_changes
       where project_id = $1 and object_key = $2 order by recorded_at, seq`,
    `select 'version ' || version_id as name, ${micros('created_at')} from storage_versions
       where project_id = $1 and object_key = $2 order by seq`,
    `select 'event ' || id as name, ${micros('timestamp')} from storage_audit
       where project_id = $1 and object_key = $2 order by timestamp, id`,
  ];
  const found: Planted[][] = [];
  for (const text of texts) found.push(await service.sql<Planted>(text, [project, objectKey]));
  return found;
}

/** Takes the first of each table in turn, whichever is earliest; of one time as tables stand. */
function merged(sources: readonly (readonly Planted[])[], isDescending: boolean): string[] {
  const rest = sources.map((rows) => (isDescending ? rows.toReversed() : [...rows]));
  if (isDescending) rest.reverse();
  const names: string[] = [];
  for (;;) {
    const heads = rest.filter((rows) => rows.length > 0);
    const times = heads.map((rows) => Number(rows[0]?.micros));
    const next = heads[times.indexOf(isDescending ? Math.max(...times) : Math.min(...times))];
    const row = next?.shift();
    if (row === undefined) return names;
    names.push(row.name);
  }
}

function nameOf({ entry }: TrailEntry): string {
  switch (entry.case) {
    case 'change':
      return `change ${entry.value.seq}`;
    case 'version':
      return `version ${entry.value.versionId}`;
    case 'event':
      return `event ${entry.value.id}`;
    default:
      return 'nothing';
  }
}

describe.each(doorNames)('a trail through %s', (door) => {
  const audit = () => service.doors[door].audit;

  /** All entries; `between` runs after each page. */
  async function trail(request: Request, between?: () => Promise<unknown>): Promise<TrailEntry[]> {
    const entries: TrailEntry[] = [];
    let pageToken = '';
    do {
      const page = await audit().listObjectTrail({ ...request, pageToken, freshness: strong });
      expect(page.entries.length).toBeLessThanOrEqual(request.pageSize || 100);
      entries.push(...page.entries);
      pageToken = page.nextPageToken;
      await between?.();
    } while (pageToken !== '');
    return entries;
  }

  it('is the three tables in the order of time, both ways, whatever the page', async () => {
    const project = await makeProject(service, `model-${door.toLowerCase()}`);
    await plant(project, 20, createRandom(seed));
    const rows = await tables(project);
    for (const [orderBy, isDescending] of [
      ['time', false],
      ['time desc', true],
      ['', true],
    ] as const) {
      for (const pageSize of orderBy === '' ? [0] : [2, 1000]) {
        const entries = await trail({ project, objectKey, orderBy, pageSize });
        const what = `seed ${seed}, ${orderBy} by ${pageSize}`;
        expect(entries.map(nameOf), what).toEqual(merged(rows, isDescending));
        for (const { time, entry } of entries) {
          const row = rows.flat().find(({ name }) => name === nameOf({ entry } as TrailEntry));
          expect(microsOf(time)).toBe(Number(row?.micros));
        }
      }
    }
  });

  it.each(['time', 'time desc'])(
    'by %s shows each entry once, whatever is appended while it is read',
    async (orderBy) => {
      const project = await makeProject(
        service,
        `appended-${door.toLowerCase()}-${orderBy.length}`,
      );
      const from = createRandom(seed + 1);
      await plant(project, 15, from);
      const rows = await tables(project);
      const request = { project, objectKey, orderBy, pageSize: 6 };
      let rounds = 0;
      const names = (
        await trail(request, async () => {
          rounds += 1;
          if (rounds < 6) await plant(project, 2, from);
        })
      ).map(nameOf);
      expect(new Set(names).size).toBe(names.length);
      const there = new Set(rows.flat().map(({ name }) => name));
      const first = names.filter((name) => there.has(name));
      expect(first.toSorted()).toEqual([...there].sort());
      // What came meanwhile may hold a version up, and moves nothing else.
      for (const kind of ['change', 'version', 'event']) {
        const ofKind = (all: readonly string[]) => all.filter((name) => name.startsWith(kind));
        expect(ofKind(first)).toEqual(ofKind(merged(rows, orderBy === 'time desc')));
      }
    },
  );

  it('tells of a write with its change, version and event, and of what others do', async () => {
    const { storage, versions } = service.doors[door];
    const key = `own/${door}`;
    const object = { objectKey: key, versionId: 'v1', etag: 'e1', storageBackend: 's3', size: 1n };
    const requestId = randomUUID();
    await storage.recordObject({ object, requestId });
    const comment = 'second';
    const version = { objectKey: key, versionId: 'v2', size: 2n, comment, tags: { a: 'ä' } };
    await versions.recordVersion({ version });
    await audit().appendEvent({ event: { action: 'DOWNLOAD', objectKey: key, userId: 'anna' } });
    await storage.deleteObject({ objectKey: key });
    const entries = (await trail({ objectKey: key, orderBy: 'time', pageSize: 2 })).map(
      ({ entry }) => entry,
    );
    // Its time is of the server's clock and of whole milliseconds: it may stand anywhere near.
    const isAppended = ({ case: kind, value }: TrailEntry['entry']) =>
      kind === 'event' && value.action === 'DOWNLOAD';
    expect(entries.filter(isAppended)).toMatchObject([{ value: { userId: 'anna' } }]);
    expect(entries.filter((entry) => !isAppended(entry))).toMatchObject([
      { case: 'change', value: { kind: 'object.created', revision: 1n, requestId } },
      { case: 'version', value: { versionId: 'v1', etag: 'e1', isLatest: false } },
      { case: 'event', value: { action: 'RECORD_OBJECT', correlationId: requestId } },
      { case: 'change', value: { kind: 'version.created', versionId: 'v2' } },
      { case: 'version', value: { versionId: 'v2', comment, tags: { a: 'ä' }, revision: 1n } },
      { case: 'event', value: { action: 'RECORD_VERSION' } },
      { case: 'change', value: { kind: 'object.deleted' } },
      { case: 'version', value: { deleteMarker: true, isLatest: true } },
      { case: 'event', value: { action: 'DELETE_OBJECT' } },
    ]);
    const backwards = (await trail({ objectKey: key, pageSize: 3 })).map(({ entry }) => entry);
    expect(backwards).toEqual(entries.toReversed());
  });

  it('of much metadata comes in pages that any client takes', async () => {
    const project = await makeProject(service, `large-${door.toLowerCase()}`);
    await service.sql(
      `insert into storage_audit (project_id, id, action, object_key, metadata)
       select $1, gen_random_uuid(), 'A', $2, jsonb_build_object('a', repeat('x', 60000))
       from generate_series(1, 30)`,
      [project, objectKey],
    );
    const request = { project, objectKey, pageSize: 1000, freshness: strong };
    const page = await audit().listObjectTrail(request);
    expect(page.entries.length).toBeLessThan(20);
    expect(page.nextPageToken).not.toBe('');
    expect(await trail(request)).toHaveLength(30);
  });

  it('is empty of a key that nothing happened to, and refused where it cannot be', async () => {
    const none = await audit().listObjectTrail({ objectKey: 'none', freshness: strong });
    expect(none).toMatchObject({ entries: [], nextPageToken: '' });
    const refused = (request: Request) => failure(audit().listObjectTrail(request));
    expect(await refused({})).toMatchObject({ violations: [{ field: 'object_key' }] });
    for (const orderBy of ['timestamp', 'time down', 'time asc desc']) {
      expect(await refused({ objectKey, orderBy })).toMatchObject({
        reason: 'INVALID_REQUEST',
        violations: [{ field: 'order_by' }],
      });
    }
    const unknown = await refused({ objectKey, project: 'none' });
    expect(unknown.reason).toBe('PROJECT_NOT_FOUND');
  });

  it('goes on with no token but its own', async () => {
    const project = `model-${door.toLowerCase()}`;
    const { nextPageToken: pageToken } = await audit().listObjectTrail({
      ...{ project, objectKey, pageSize: 1, freshness: strong },
    });
    expect(pageToken).not.toBe('');
    for (const other of [{ objectKey: 'none' }, { orderBy: 'time' }, { project: 'default' }]) {
      const request = { project, objectKey, pageToken, ...other };
      const refused = await failure(audit().listObjectTrail(request));
      expect(refused.reason).toBe('PAGE_TOKEN_INVALID');
    }
  });
});
