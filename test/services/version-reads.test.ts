// Versions read, listed and compared through both doors, written by many at once, and pruned.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DifferenceKind } from '../../gen/stowage/v1/version_read_pb.js';
import { toStowageError } from '../../src/client/index.js';
import { until } from '../../src/lib/wait.js';
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
  // Many writers of one key wait for its row, and so for each other's connections.
  service = await startService({ STOWAGE_QUEUE_TIMEOUT_MS: '20000' });
});

afterAll(async () => {
  await service[Symbol.asyncDispose]();
});

const WRITERS = 32;

/** Repeats a call with a request id for as long as it may be: so many at once may be too many. */
function insist<T>(call: (requestId: string) => Promise<T>) {
  const requestId = randomUUID();
  const attempt = async () => {
    try {
      return await call(requestId);
    } catch (error) {
      if (toStowageError(error).retry === 'never') throw error;
      return undefined;
    }
  };
  return until(attempt, { timeoutMs: 30_000, pollMs: 50, what: 'the call is taken' });
}

describe.each(doorNames)('the history of a key through %s', (door) => {
  const clients = () => service.doors[door];

  /** A project of one test's own. */
  async function makeProject(name: string): Promise<string> {
    const project = `${door.toLowerCase()}-${name}`;
    await clients().projects.createProject({ project: { project, name } });
    return project;
  }

  const record = async (project: string, objectKey: string, versionIds: readonly string[]) => {
    for (const versionId of versionIds) {
      const object = { objectKey, versionId, etag: versionId, size: 10n, storageBackend: 's3' };
      await clients().storage.recordObject({ project, object });
    }
  };

  /** Lists in pages of a size; `*` is the latest. */
  async function pagesOf(project: string, objectKey: string, pageSize = 0): Promise<string[][]> {
    const pages: string[][] = [];
    let pageToken = '';
    do {
      const request = { project, objectKey, pageSize, pageToken, freshness: strong };
      const page = await clients().versions.listVersions(request);
      pages.push(page.versions.map((each) => each.versionId + (each.isLatest ? '*' : '')));
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    return pages;
  }

  const idsOf = async (project: string, objectKey: string) =>
    (await pagesOf(project, objectKey)).flat();

  it('is listed newest first, in pages, whatever is written meanwhile', async () => {
    const project = await makeProject('pages');
    const objectKey = 'größe/文件';
    await record(project, objectKey, ['v1', 'v2', 'v3', 'v4', 'v5']);
    expect(await pagesOf(project, objectKey, 2)).toEqual([['v5*', 'v4'], ['v3', 'v2'], ['v1']]);
    expect(await pagesOf(project, objectKey, 5)).toEqual([['v5*', 'v4', 'v3', 'v2', 'v1']]);
    const request = { project, objectKey, pageSize: 2, freshness: strong };
    const { nextPageToken: pageToken } = await clients().versions.listVersions(request);
    await record(project, objectKey, ['v6']);
    await clients().versions.deleteVersion({ project, objectKey, versionId: 'v4' });
    await clients().versions.deleteVersion({ project, objectKey, versionId: 'v3' });
    const second = await clients().versions.listVersions({ ...request, pageToken });
    expect(second.versions.map(({ versionId }) => versionId)).toEqual(['v2', 'v1']);
    expect(second.nextPageToken).toBe('');
    for (const versionId of ['v1', 'v2']) {
      await clients().versions.deleteVersion({ project, objectKey, versionId });
    }
    const empty = await clients().versions.listVersions({ ...request, pageToken });
    expect(empty).toMatchObject({ versions: [], nextPageToken: '' });
    const foreign = { ...request, objectKey: 'other', pageToken };
    await record(project, 'other', ['v1']);
    expect(await failure(clients().versions.listVersions(foreign))).toMatchObject({
      reason: 'PAGE_TOKEN_INVALID',
    });
  });

  it('ends a page at 1 MiB', async () => {
    const project = await makeProject('large');
    await record(project, 'k', ['v0']);
    const metadata = { text: 'x'.repeat(60_000) };
    const tags = Object.fromEntries(
      Array.from({ length: 50 }, (_, at) => [`${at}`, 'ж'.repeat(128)]),
    );
    for (let n = 1; n <= 20; n += 1) {
      const version = { objectKey: 'k', versionId: `v${n}`, metadata, tags };
      await clients().versions.recordVersion({ project, version });
    }
    const pages = await pagesOf(project, 'k', 1000);
    expect(pages.flat()).toHaveLength(21);
    expect(pages.map((page) => page.length)).toEqual([14, 7]);
  });

  it('is read version by version, of a deleted object too', async () => {
    const project = await makeProject('get');
    await record(project, 'k', ['v1', 'v2']);
    const get = async (objectKey: string, versionId: string) => {
      const request = { project, objectKey, versionId, freshness: strong };
      return (await clients().versions.getVersion(request)).version;
    };
    expect(await get('k', '')).toEqual(await get('k', 'v2'));
    expect(await get('k', 'v1')).toMatchObject({ etag: 'v1', isLatest: false, revision: 1n });
    const { object } = await clients().storage.deleteObject({ project, objectKey: 'k' });
    const marker = { versionId: object?.versionId, deleteMarker: true, isLatest: true, size: 0n };
    expect(await get('k', '')).toMatchObject(marker);
    expect(await get('k', 'v2')).toMatchObject({ isLatest: false, deleteMarker: false });
    expect(await failure(get('k', 'v3'))).toMatchObject({
      reason: 'VERSION_NOT_FOUND',
      metadata: { project, object_key: 'k', version_id: 'v3' },
    });
    const calls = [
      (objectKey: string, from: string) =>
        clients().versions.getVersion({ project: from, objectKey, freshness: strong }),
      (objectKey: string, from: string) =>
        clients().versions.listVersions({ project: from, objectKey, freshness: strong }),
      (objectKey: string, from: string) =>
        clients().versions.diffVersions({
          ...{ project: from, objectKey, versionId: 'v1', freshness: strong },
        }),
    ];
    for (const call of calls) {
      expect(await failure(call('none', project))).toMatchObject({ reason: 'OBJECT_NOT_FOUND' });
      expect(await failure(call('k', 'nowhere'))).toMatchObject({ reason: 'PROJECT_NOT_FOUND' });
    }
  });

  it('tells how two versions differ', async () => {
    const project = await makeProject('diff');
    const object = { objectKey: 'k', storageBackend: 's3', versionId: 'v1', etag: 'e1', size: 1n };
    const metadata = { doc: 'draft', kept: [1], gone: null };
    await clients().storage.recordObject({ project, object: { ...object, metadata } });
    const changed = { ...object, versionId: 'v2', etag: 'e2', size: 2n ** 60n };
    const later = { kept: [1], doc: 'final', 'a.b': { c: 1 } };
    await clients().storage.recordObject({ project, object: { ...changed, metadata: later } });
    const diff = (versionId: string, otherVersionId = '') =>
      clients().versions.diffVersions({
        ...{ project, objectKey: 'k', versionId, otherVersionId, freshness: strong },
      });
    const { differences, otherVersionId } = await diff('v1');
    expect(otherVersionId).toBe('v2');
    const told = differences.map(({ path, kind, before, after }) => [
      path,
      DifferenceKind[kind],
      before?.kind.value,
      after?.kind.value,
    ]);
    const { ADDED, REMOVED, CHANGED } = { ADDED: 'ADDED', REMOVED: 'REMOVED', CHANGED: 'CHANGED' };
    expect(told.filter(([path]) => path !== 'last_modified')).toMatchObject([
      ['etag', CHANGED, 'e1', 'e2'],
      ['metadata.a\\.b', ADDED, undefined, { fields: { c: { kind: { value: 1 } } } }],
      ['metadata.doc', CHANGED, 'draft', 'final'],
      ['metadata.gone', REMOVED, 0, undefined],
      ['size', CHANGED, '1', '1152921504606846976'],
    ]);
    const back = await diff('v2', 'v1');
    expect(back.otherVersionId).toBe('v1');
    expect(back.differences).toHaveLength(differences.length);
    expect((await diff('v2', 'v2')).differences).toEqual([]);
    const missing = await failure(diff('v1', 'v9'));
    expect(missing).toMatchObject({ reason: 'VERSION_NOT_FOUND', metadata: { version_id: 'v9' } });
  });

  it(`has one latest version, and all others, behind ${WRITERS} writers at once`, async () => {
    const project = await makeProject('writers');
    const objectKey = 'contended';
    await record(project, objectKey, ['v0']);
    const ids = Array.from({ length: WRITERS }, (_, at) => `w${at}`);
    const answers = await Promise.all(
      ids.map(async (versionId, at) => {
        const content = { objectKey, versionId, etag: versionId, size: BigInt(at) };
        if (at % 2 === 0) {
          const version = { ...content, isLatest: true };
          const answer = await insist((requestId) =>
            clients().versions.recordVersion({ project, requestId, version }),
          );
          return answer.version?.isLatest;
        }
        const object = { ...content, storageBackend: 's3' };
        const answer = await insist((requestId) =>
          clients().storage.recordObject({ project, requestId, object }),
        );
        return answer.object?.versionId === versionId;
      }),
    );
    expect(answers).toEqual(ids.map(() => true));
    const listed = await idsOf(project, objectKey);
    const latest = listed.filter((id) => id.endsWith('*'));
    expect(latest).toHaveLength(1);
    expect(listed.map((id) => id.replace('*', '')).sort()).toEqual(['v0', ...ids].sort());
    // Seq and latest are of one order: the last one that was recorded.
    expect(listed[0]).toBe(latest[0]);
    const read = { project, objectKey, freshness: strong };
    const { object } = await clients().storage.getObject(read);
    expect(object).toMatchObject({
      versionId: latest[0]?.replace('*', ''),
      etag: object?.versionId,
      revision: BigInt(WRITERS + 1),
    });
    const fed = await service.sql<{ revision: number }>(
      `select revision::int from storage_changes
       where project_id = $1 and object_key = $2 order by seq`,
      [project, objectKey],
    );
    expect(fed.map(({ revision }) => revision)).toEqual(
      Array.from({ length: WRITERS + 1 }, (_, at) => at + 1),
    );
  });

  describe('pruned', () => {
    const prune = (project: string, criteria: object) =>
      clients().versions.pruneVersions({ project, ...criteria });

    /** Versions that the database makes, of an hour each before now, the last one the latest. */
    const makeVersions = (project: string, objectKey: string, versions: number) =>
      service.sql(
        `with made as (
           insert into storage_versions (project_id, object_key, version_id, size, last_modified,
             created_at)
           select $1, $2, 'v' || n, 10, now(), now() - make_interval(hours => $3::int - n)
           from generate_series(1, $3::int) n
         )
         insert into storage_objects (project_id, object_key, id, size, version_id, owner)
         values ($1, $2, gen_random_uuid(), 10, 'v' || $3, 'acme')`,
        [project, objectKey, versions],
      );

    const hoursAgo = (hours: number) => ({
      seconds: BigInt(Math.floor(Date.now() / 1000) - hours * 3600 - 1800),
      nanos: 0,
    });

    it('keeps the newest of each key, and what is young: both must let a version go', async () => {
      const project = await makeProject('both');
      await makeVersions(project, 'k/a', 6);
      await makeVersions(project, 'k/ж', 3);
      await makeVersions(project, 'l', 6);
      const both = { prefix: 'k/', keepNewest: 2, createdBefore: hoursAgo(3) };
      const counted = await prune(project, { ...both, dryRun: true });
      expect(counted).toMatchObject({ versions: 2n, objects: 1n, bytes: 20n, token: '' });
      const pruned = await prune(project, both);
      expect(pruned).toMatchObject({ versions: 2n, objects: 1n, bytes: 20n, more: false });
      expect(pruned.token).not.toBe('');
      expect(await idsOf(project, 'k/a')).toEqual(['v6*', 'v5', 'v4', 'v3']);
      expect(await prune(project, { prefix: 'k/', keepNewest: 2 })).toMatchObject({ versions: 3n });
      expect(await idsOf(project, 'k/a')).toEqual(['v6*', 'v5']);
      expect(await idsOf(project, 'k/ж')).toEqual(['v3*', 'v2']);
      const old = { objectKey: 'l', createdBefore: hoursAgo(2) };
      expect(await prune(project, old)).toMatchObject({ versions: 3n, objects: 1n });
      expect(await idsOf(project, 'l')).toEqual(['v6*', 'v5', 'v4']);
      const fed = await service.sql<{ told: string }>(
        `select concat_ws(' ', c.kind, c.object_key, c.version_id, c.revision, c.owner, a.action)
           as told
         from storage_changes c
         join storage_audit a using (project_id, object_key, version_id)
         where project_id = $1 and object_key = 'k/ж'`,
        [project],
      );
      expect(fed.map(({ told }) => told)).toEqual(['version.deleted k/ж v1 1 acme PRUNE_VERSIONS']);
    });

    it('never loses its latest, however old, nor what it took the place of', async () => {
      const project = await makeProject('latest');
      await makeVersions(project, 'k', 4);
      await clients().versions.deleteVersion({ project, objectKey: 'k', versionId: 'v4' });
      const history = { objectKey: 'k', versionId: 'of-history' };
      await clients().versions.recordVersion({ project, version: history });
      await clients().versions.recordVersion({ project, version: { ...history, versionId: 'h2' } });
      const all = { createdBefore: { seconds: 4_000_000_000n, nanos: 0 } };
      expect(await prune(project, { ...all, keepNewest: 1 })).toMatchObject({ versions: 3n });
      expect(await idsOf(project, 'k')).toEqual(['h2', 'v3*']);
      expect(await prune(project, all)).toMatchObject({ versions: 1n, objects: 1n });
      expect(await idsOf(project, 'k')).toEqual(['v3*']);
      const read = { project, objectKey: 'k', freshness: strong };
      const { object } = await clients().storage.getObject(read);
      expect(object).toMatchObject({ versionId: 'v3' });
    });

    it('takes a thousand versions a call, and goes on with its token', async () => {
      const project = await makeProject('many');
      await makeVersions(project, 'a', 1500);
      await makeVersions(project, 'b', 3);
      const criteria = { keepNewest: 1 };
      const counted = await prune(project, { ...criteria, dryRun: true });
      expect(counted).toMatchObject({ versions: 1501n, objects: 2n, bytes: 15010n, more: false });
      const requestId = randomUUID();
      const first = await prune(project, { ...criteria, requestId });
      expect(first).toMatchObject({ versions: 1000n, objects: 1n, more: true });
      const again = await prune(project, { ...criteria, requestId });
      expect({ ...again, token: '' }).toEqual({ ...first, token: '' });
      const { resumeToken } = first;
      const other = prune(project, { keepNewest: 2, resumeToken });
      expect(await failure(other)).toMatchObject({ reason: 'RESUME_TOKEN_MISMATCH' });
      const reused = prune(project, { ...criteria, requestId, resumeToken });
      expect(await failure(reused)).toMatchObject({ reason: 'REQUEST_ID_REUSED' });
      const second = await prune(project, { ...criteria, resumeToken });
      expect(second).toMatchObject({ versions: 501n, objects: 2n, more: false, resumeToken: '' });
      expect(await idsOf(project, 'a')).toEqual(['v1500*']);
      expect(await idsOf(project, 'b')).toEqual(['v3*']);
    });

    it('spares what another writer made the latest meanwhile', async () => {
      const project = await makeProject('raced');
      await makeVersions(project, 'k', 5);
      const writer = await service.database.connect();
      await writer.query('begin');
      await writer.query(
        `update storage_objects set version_id = 'v2', revision = revision + 1
         where project_id = $1`,
        [project],
      );
      const pruning = prune(project, { keepNewest: 2 });
      await untilWaiting(service, 'PruneVersions');
      await writer.query('commit');
      expect(await pruning).toMatchObject({ versions: 2n, more: false });
      expect(await idsOf(project, 'k')).toEqual(['v5', 'v4', 'v2*']);
    });

    it('refuses what says too little or too much', async () => {
      const project = await makeProject('refused');
      await makeVersions(project, 'k', 3);
      const attempts: [object, string][] = [
        [{}, ''],
        [{ objectKey: 'k' }, ''],
        [{ keepNewest: -1 }, 'keep_newest'],
        [{ keepNewest: 10_001 }, 'keep_newest'],
        [{ keepNewest: 1, objectKey: 'k', prefix: 'k' }, 'prefix'],
        [{ keepNewest: 1, prefix: 'k'.repeat(1025) }, 'prefix'],
      ];
      for (const [criteria, field] of attempts) {
        for (const dryRun of [true, false]) {
          const refused = await failure(prune(project, { ...criteria, dryRun }));
          expect(refused.reason).toBe('INVALID_REQUEST');
          expect(refused.violations.map((violation) => violation.field)).toContain(field);
        }
      }
      for (const dryRun of [true, false]) {
        const nowhere = prune('nowhere', { keepNewest: 1, dryRun });
        expect(await failure(nowhere)).toMatchObject({ reason: 'PROJECT_NOT_FOUND' });
      }
      expect(await idsOf(project, 'k')).toEqual(['v3*', 'v2', 'v1']);
    });
  });
});
