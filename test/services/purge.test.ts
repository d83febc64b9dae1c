// Objects removed for good through both doors: which, how many at a time, and what remains of them.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  doorNames,
  failure,
  startService,
  strong,
  type TestService,
  untilWaiting,
} from '../support/service.js';

let service: TestService;

beforeAll(async () => {
  service = await startService();
});

afterAll(async () => {
  await service[Symbol.asyncDispose]();
});

const inAnHour = () => ({ seconds: BigInt(Math.floor(Date.now() / 1000) + 3600), nanos: 0 });
const anHourAgo = () => ({ seconds: BigInt(Math.floor(Date.now() / 1000) - 3600), nanos: 0 });

describe.each(doorNames)('purging through %s', (door) => {
  const clients = () => service.doors[door];

  /** A project of one test's own. */
  async function makeProject(name: string): Promise<string> {
    const project = `${door.toLowerCase()}-${name}`;
    await clients().projects.createProject({ project: { project, name } });
    return project;
  }

  async function record(
    project: string,
    objectKeys: readonly string[],
    fields: { storageBackend?: string; purgeAt?: ReturnType<typeof inAnHour> } = {},
  ): Promise<void> {
    const requests = objectKeys.map((objectKey) => ({
      object: { objectKey, size: 1n, etag: 'e', storageBackend: 's3', ...fields },
    }));
    await clients().storage.batchRecordObjects({ project, requests });
  }

  async function remove(project: string, objectKeys: readonly string[]): Promise<void> {
    for (const objectKey of objectKeys) {
      await clients().storage.deleteObject({ project, objectKey });
    }
  }

  /** Tombstones that the database makes: as many as a test needs. */
  async function makeDeleted(project: string, objects: number): Promise<void> {
    await service.sql(
      `with made as (
         insert into storage_objects (project_id, object_key, id, size, version_id, deleted_at)
         select $1, 'k/' || lpad(n::text, 6, '0'), gen_random_uuid(), 1, 'v' || n, now()
         from generate_series(1, $2) n
         returning *
       )
       insert into storage_versions (project_id, object_key, version_id, size, last_modified)
       select project_id, object_key, version_id, size, last_modified from made`,
      [project, objects],
    );
  }

  /** The keys that the database has, deleted ones too. */
  async function keysOf(project: string): Promise<string[]> {
    const rows = await service.sql<{ object_key: string }>(
      `select object_key from storage_objects where project_id = $1 order by object_key`,
      [project],
    );
    return rows.map((row) => row.object_key);
  }

  async function versionsOf(project: string): Promise<number> {
    const [row] = await service.sql<{ count: number }>(
      `select count(*)::int from storage_versions where project_id = $1`,
      [project],
    );
    return row?.count ?? 0;
  }

  async function tracesOf(project: string, objectKey: string) {
    return service.sql(
      `select kind, revision::int, version_id = '' as bare, owner, actor,
         (select string_agg(action, ',') from storage_audit a
          where a.project_id = c.project_id and a.object_key = c.object_key
            and a.action = 'PURGE_OBJECT') as audited
       from storage_changes c
       where project_id = $1 and object_key = $2 order by seq`,
      [project, objectKey],
    );
  }

  it('removes deleted objects with their versions, and no live one', async () => {
    const project = await makeProject('plain');
    const gone = ['k/größe', 'k/документ', 'k/文件', 'k/\u{1F600}'];
    await record(project, [...gone, 'k/live', 'other']);
    await remove(project, [...gone, 'other']);
    const purged = await clients().storage.purgeObjects({ project, prefix: 'k/' });
    expect(purged).toMatchObject({ objects: 4n, versions: 8n, more: false });
    expect(purged.token).not.toBe('');
    expect(await keysOf(project)).toEqual(['k/live', 'other']);
    expect(await versionsOf(project)).toBe(3);
    const read = { project, objectKey: 'k/größe', showDeleted: true, freshness: strong };
    expect(await failure(clients().storage.getObject(read))).toMatchObject({
      reason: 'OBJECT_NOT_FOUND',
    });
  });

  it('is the last change of a key, which begins anew', async () => {
    const project = await makeProject('anew');
    await record(project, ['k']);
    const [first] = await service.sql<{ id: string }>(
      'select id from storage_objects where project_id = $1',
      [project],
    );
    await remove(project, ['k']);
    await clients().storage.purgeObjects({ project, prefix: 'k' });
    const object = { objectKey: 'k', size: 1n, storageBackend: 's3', etag: 'e' };
    const again = await clients().storage.recordObject({ project, object });
    expect(again.object).toMatchObject({ revision: 1n });
    expect(again.object?.id).not.toBe(first?.id);
    expect(await versionsOf(project)).toBe(1);
    const traces = await tracesOf(project, 'k');
    expect(traces.map(({ kind, revision }) => [kind, revision])).toEqual([
      ['object.created', 1],
      ['object.deleted', 2],
      ['object.purged', 3],
      ['object.created', 1],
    ]);
    expect(traces[2]).toMatchObject({ bare: true, audited: 'PURGE_OBJECT' });
    expect(traces[2]?.['actor']).toBe(traces[0]?.['actor']);
  });

  it('removes live objects by force only', async () => {
    const project = await makeProject('force');
    await record(project, ['k/a', 'k/b', 'k/c']);
    await record(project, ['k/d'], { storageBackend: 'local' });
    await remove(project, ['k/b']);
    const { storage } = clients();
    const one = { project, storageBackend: 's3', prefix: 'k/' };
    expect(await storage.purgeObjects(one)).toMatchObject({ objects: 1n });
    expect(await storage.purgeObjects({ ...one, force: true })).toMatchObject({ objects: 2n });
    expect(await keysOf(project)).toEqual(['k/d']);
    const all = { project, prefix: 'k', force: true };
    expect(await storage.purgeObjects(all)).toMatchObject({ objects: 1n, versions: 1n });
    expect(await storage.purgeObjects(all)).toMatchObject({ objects: 0n, more: false });
  });

  it('holds all criteria at once', async () => {
    const project = await makeProject('all-of-them');
    await record(project, ['k/a', 'k/b', 'x/a'], { purgeAt: anHourAgo() });
    await record(project, ['k/c'], { purgeAt: inAnHour() });
    await record(project, ['k/d'], { purgeAt: anHourAgo(), storageBackend: 'local' });
    await remove(project, ['k/a', 'x/a', 'k/c', 'k/d']);
    const criteria = { project, prefix: 'k/', storageBackend: 's3', purgeDue: true };
    const { storage } = clients();
    const early = { ...criteria, deletedBefore: anHourAgo() };
    expect(await storage.purgeObjects(early)).toMatchObject({ objects: 0n });
    const late = { ...criteria, deletedBefore: inAnHour() };
    expect(await storage.purgeObjects({ ...late, dryRun: true })).toMatchObject({ objects: 1n });
    expect(await storage.purgeObjects(late)).toMatchObject({ objects: 1n });
    expect(await keysOf(project)).toEqual(['k/b', 'k/c', 'k/d', 'x/a']);
    const due = { project, purgeDue: true, force: true };
    expect(await storage.purgeObjects(due)).toMatchObject({ objects: 3n });
    expect(await keysOf(project)).toEqual(['k/c']);
    const before = { project, deletedBefore: inAnHour() };
    expect(await storage.purgeObjects(before)).toMatchObject({ objects: 1n });
  });

  it('counts in a dry run what calls would remove, and writes nothing', async () => {
    const project = await makeProject('dry');
    await makeDeleted(project, 1500);
    await record(project, ['k/live']);
    const traces = () =>
      service.sql(
        `select (select count(*) from storage_changes where project_id = $1) as changes,
           (select count(*) from storage_audit where project_id = $1) as events,
           (select count(*) from request_log where project_id = $1) as requests`,
        [project],
      );
    const before = await traces();
    const { storage } = clients();
    const criteria = { project, prefix: 'k/' };
    const dry = { ...criteria, dryRun: true, requestId: randomUUID() };
    const counted = await storage.purgeObjects(dry);
    expect(counted).toMatchObject({ objects: 1500n, versions: 1500n, more: false, token: '' });
    const forced = await storage.purgeObjects({ ...dry, force: true });
    expect(forced).toMatchObject({ objects: 1501n, versions: 1501n });
    expect(await traces()).toEqual(before);
    expect(await keysOf(project)).toHaveLength(1501);
    const first = await storage.purgeObjects(criteria);
    expect(first).toMatchObject({ objects: 1000n, versions: 1000n, more: true });
    const second = await storage.purgeObjects(criteria);
    expect(second).toMatchObject({ objects: 500n, versions: 500n, more: false });
    expect(await keysOf(project)).toEqual(['k/live']);
  });

  it('says that a thousand and no more is all', async () => {
    const project = await makeProject('thousand');
    await makeDeleted(project, 1000);
    const purged = await clients().storage.purgeObjects({ project, prefix: 'k/' });
    expect(purged).toMatchObject({ objects: 1000n, more: false });
  });

  it('stops behind ten thousand versions, between two objects', async () => {
    const project = await makeProject('versions');
    await makeDeleted(project, 3);
    await service.sql(
      `insert into storage_versions (project_id, object_key, version_id, size, last_modified)
       select project_id, object_key, 'older' || n, 1, now()
       from storage_objects, generate_series(1, 5999) n where project_id = $1`,
      [project],
    );
    const { storage } = clients();
    const first = await storage.purgeObjects({ project, prefix: 'k/' });
    expect(first).toMatchObject({ objects: 2n, versions: 12_000n, more: true });
    expect(await keysOf(project)).toEqual(['k/000003']);
    expect(await versionsOf(project)).toBe(6000);
    expect(await tracesOf(project, 'k/000003')).toEqual([]);
    const second = await storage.purgeObjects({ project, prefix: 'k/' });
    expect(second).toMatchObject({ objects: 1n, versions: 6000n, more: false });
  });

  it('answers a repeated request as before', async () => {
    const project = await makeProject('repeat');
    await makeDeleted(project, 1001);
    const { storage } = clients();
    const request = { project, prefix: 'k/', requestId: randomUUID() };
    const first = await storage.purgeObjects(request);
    const again = await storage.purgeObjects(request);
    expect({ ...again, token: '' }).toEqual({ ...first, token: '' });
    expect(await keysOf(project)).toHaveLength(1);
    const other = storage.purgeObjects({ ...request, force: true });
    expect(await failure(other)).toMatchObject({ reason: 'REQUEST_ID_REUSED' });
    expect(await keysOf(project)).toHaveLength(1);
  });

  it('refuses a purge without criteria', async () => {
    const project = await makeProject('everything');
    await record(project, ['k']);
    await remove(project, ['k']);
    for (const attempt of [{}, { force: true }, { dryRun: true }, { force: true, dryRun: true }]) {
      const refused = await failure(clients().storage.purgeObjects({ project, ...attempt }));
      expect(refused).toMatchObject({ reason: 'INVALID_REQUEST', retry: 'never' });
      expect(refused.message).toContain('set at least one of prefix');
    }
    expect(await keysOf(project)).toEqual(['k']);
  });

  it('finds nothing in projects that are not there', async () => {
    const { storage, projects } = clients();
    const project = await makeProject('deleted');
    await record(project, ['k']);
    await projects.deleteProject({ project });
    for (const dryRun of [true, false]) {
      for (const missing of [project, 'nowhere']) {
        const attempt = storage.purgeObjects({
          project: missing,
          prefix: 'k',
          force: true,
          dryRun,
        });
        expect(await failure(attempt)).toMatchObject({ reason: 'PROJECT_NOT_FOUND' });
      }
    }
    expect(await keysOf(project)).toEqual(['k']);
  });

  it('spares what another writer took back meanwhile', async () => {
    const project = await makeProject('raced');
    await record(project, ['k/a', 'k/b']);
    await remove(project, ['k/a', 'k/b']);
    const writer = await service.database.connect();
    await writer.query('begin');
    await writer.query(
      `update storage_objects set deleted_at = null, revision = revision + 1
       where project_id = $1 and object_key = 'k/a'`,
      [project],
    );
    const purging = clients().storage.purgeObjects({ project, prefix: 'k/' });
    await untilWaiting(service, 'PurgeObjects');
    await writer.query('commit');
    expect(await purging).toMatchObject({ objects: 1n, versions: 2n, more: false });
    expect(await keysOf(project)).toEqual(['k/a']);
    expect(await versionsOf(project)).toBe(2);
  });
});

describe('a time that no message may hold', () => {
  it('is refused by its field', async () => {
    const deletedBefore = { seconds: 1n << 62n, nanos: 0 };
    const refused = await failure(service.doors.gRPC.storage.purgeObjects({ deletedBefore }));
    expect(refused).toMatchObject({ reason: 'INVALID_REQUEST' });
    expect(refused.violations.map(({ field }) => field)).toEqual(['deleted_before']);
  });
});
