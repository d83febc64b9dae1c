// Versions restored and deleted through both doors: which is the latest then, what the object has
// of it, and what a deletion can still be taken back to.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { doorNames, failure, startService, strong, type TestService } from '../support/service.js';

let service: TestService;

beforeAll(async () => {
  service = await startService();
});

afterAll(async () => {
  await service[Symbol.asyncDispose]();
});

const second = (seconds: bigint) => ({ seconds, nanos: 0 });

describe.each(doorNames)('removals of versions through %s', (door) => {
  const clients = () => service.doors[door];
  const keyOf = (name: string) => `${door}/${name}`;

  /** Records the versions `v1` to `v<count>`, each with facts of its own. */
  async function recordVersions(name: string, count: number): Promise<string> {
    const objectKey = keyOf(name);
    for (let n = 1; n <= count; n += 1) {
      const which = { objectKey, storageBackend: 's3', owner: 'acme', versionId: `v${n}` };
      const content = { etag: `e${n}`, size: BigInt(n), contentType: `type/${n}` };
      const object = { ...which, ...content, metadata: { n }, lastModified: second(BigInt(n)) };
      await clients().storage.recordObject({ object });
    }
    return objectKey;
  }

  /** What an object has of the nth version. */
  const contentOf = (n: number) => ({
    size: BigInt(n),
    etag: `e${n}`,
    contentType: `type/${n}`,
    metadata: { n },
    lastModified: second(BigInt(n)),
  });

  const remove = (objectKey: string, versionId: string, rest: object = {}) =>
    clients().versions.deleteVersion({ objectKey, versionId, ...rest });

  const restore = (objectKey: string, versionId: string, rest: object = {}) =>
    clients().versions.restoreVersion({ objectKey, versionId, ...rest });

  const objectOf = async (objectKey: string) => {
    const request = { objectKey, showDeleted: true, freshness: strong };
    return (await clients().storage.getObject(request)).object;
  };

  /** Newest first; `*` is the latest, `-` a delete marker. */
  const historyOf = async (objectKey: string) => {
    const { versions } = await clients().versions.listVersions({ objectKey, freshness: strong });
    return versions.map((version) => {
      const id = version.deleteMarker ? '-' : version.versionId;
      return version.isLatest ? `${id}*` : id;
    });
  };

  const markerOf = async (objectKey: string) => {
    const { object } = await clients().storage.deleteObject({ objectKey });
    return object?.versionId ?? '';
  };

  const changesOf = async (objectKey: string, count: number) => {
    const rows = await service.sql<{ told: string }>(
      `select concat_ws(' ', kind, revision, version_id,
         array_to_string(changed_fields, ',')) as told
       from storage_changes where object_key = $1 order by seq desc limit $2`,
      [objectKey, count],
    );
    return rows.map(({ told }) => told.trim()).reverse();
  };

  const actionsOf = async (objectKey: string, action: string) => {
    const rows = await service.sql<{ version: string }>(
      `select version_id as version from storage_audit where object_key = $1 and action = $2`,
      [objectKey, action],
    );
    return rows.map(({ version }) => version);
  };

  const CONTENT = 'size,content_type,etag,last_modified,version_id,metadata';

  describe('restoring', () => {
    it('makes a new version that names the old one, with all that it was', async () => {
      const objectKey = await recordVersions('restored', 3);
      const { version, token } = await restore(objectKey, 'v1', { comment: 'as it was' });
      expect(token).not.toBe('');
      expect(version).toMatchObject({
        ...contentOf(1),
        restoredFrom: 'v1',
        isLatest: true,
        comment: 'as it was',
        tags: {},
        revision: 1n,
      });
      const versionId = version?.versionId ?? '';
      expect(await historyOf(objectKey)).toEqual([`${versionId}*`, 'v3', 'v2', 'v1']);
      const object = { ...contentOf(1), owner: 'acme', revision: 4n, versionId };
      expect(await objectOf(objectKey)).toMatchObject(object);
      expect(await changesOf(objectKey, 1)).toEqual([`object.updated 4 ${versionId} ${CONTENT}`]);
      expect(await actionsOf(objectKey, 'RESTORE_VERSION')).toEqual([versionId]);
      const { differences } = await clients().versions.diffVersions({
        objectKey,
        versionId: 'v1',
        freshness: strong,
      });
      expect(differences).toEqual([]);
    });

    it('lets a deleted object live again', async () => {
      const objectKey = await recordVersions('revived', 2);
      await markerOf(objectKey);
      const { version } = await restore(objectKey, 'v1');
      const object = await objectOf(objectKey);
      expect(object).toMatchObject({ ...contentOf(1), revision: 4n });
      expect(object?.deletedAt).toBeUndefined();
      expect(await historyOf(objectKey)).toEqual([`${version?.versionId}*`, '-', 'v2', 'v1']);
      expect(await changesOf(objectKey, 1)).toEqual([
        `object.undeleted 4 ${version?.versionId} ${CONTENT}`,
      ]);
      const page = await clients().storage.listObjects({ prefix: objectKey, freshness: strong });
      expect(page.objects).toEqual([object]);
    });

    it('restores no marker, and nothing that is gone', async () => {
      const objectKey = await recordVersions('unrestorable', 1);
      const marker = await markerOf(objectKey);
      const refused = await failure(restore(objectKey, marker));
      expect(refused).toMatchObject({ reason: 'INVALID_REQUEST' });
      expect(refused.violations).toMatchObject([{ field: 'version_id' }]);
      expect(await failure(restore(objectKey, 'v9'))).toMatchObject({
        reason: 'VERSION_NOT_FOUND',
        metadata: { object_key: objectKey, version_id: 'v9' },
      });
      const held = restore(objectKey, 'v1', { ifRevision: 1n });
      expect(await failure(held)).toMatchObject({ reason: 'REVISION_MISMATCH' });
      expect(await historyOf(objectKey)).toEqual(['-*', 'v1']);
      await clients().storage.purgeObjects({ prefix: objectKey });
      expect(await failure(restore(objectKey, 'v1'))).toMatchObject({
        reason: 'OBJECT_NOT_FOUND',
        metadata: { object_key: objectKey },
      });
    });

    it('is done once under one request id', async () => {
      const objectKey = await recordVersions('restored-once', 2);
      const request = { requestId: randomUUID(), ifRevision: 2n };
      const first = await restore(objectKey, 'v1', request);
      expect((await restore(objectKey, 'v1', request)).version).toEqual(first.version);
      expect(await historyOf(objectKey)).toHaveLength(3);
      expect(await failure(restore(objectKey, 'v2', request))).toMatchObject({
        reason: 'REQUEST_ID_REUSED',
      });
    });
  });

  describe('deleting', () => {
    it('leaves the object as it is where the version is not the latest', async () => {
      const objectKey = await recordVersions('old', 3);
      const before = await objectOf(objectKey);
      const answer = await remove(objectKey, 'v2', { ifRevision: 3n });
      expect(answer.versionId).toBe('v3');
      expect(answer.token).not.toBe('');
      expect(await objectOf(objectKey)).toEqual(before);
      expect(await historyOf(objectKey)).toEqual(['v3*', 'v1']);
      expect(await changesOf(objectKey, 1)).toEqual(['version.deleted 3 v2']);
      expect(await actionsOf(objectKey, 'DELETE_VERSION')).toEqual(['v2']);
      expect(await failure(remove(objectKey, 'v2'))).toMatchObject({
        reason: 'VERSION_NOT_FOUND',
      });
    });

    it('gives the object what the newest version left has', async () => {
      const objectKey = await recordVersions('latest', 2);
      expect((await remove(objectKey, 'v2')).versionId).toBe('v1');
      expect(await objectOf(objectKey)).toMatchObject({
        ...contentOf(1),
        versionId: 'v1',
        revision: 3n,
      });
      expect(await changesOf(objectKey, 2)).toEqual([
        `object.updated 3 v1 ${CONTENT}`,
        'version.deleted 3 v2',
      ]);
      expect(await actionsOf(objectKey, 'DELETE_VERSION')).toEqual(['v2']);
      const refused = await failure(remove(objectKey, 'v1'));
      expect(refused).toMatchObject({
        reason: 'ONLY_VERSION',
        metadata: { object_key: objectKey, version_id: 'v1' },
      });
      expect(await historyOf(objectKey)).toEqual(['v1*']);
    });

    it('deletes the object where a delete marker is the newest left', async () => {
      const objectKey = await recordVersions('marked', 1);
      const marker = await markerOf(objectKey);
      const object = { objectKey, storageBackend: 's3', versionId: 'v2', etag: 'e2', size: 2n };
      await clients().storage.recordObject({ object });
      expect((await remove(objectKey, 'v2')).versionId).toBe(marker);
      const deleted = await objectOf(objectKey);
      expect(deleted).toMatchObject({ ...contentOf(1), versionId: marker, revision: 4n });
      expect(deleted?.deletedAt).toBeDefined();
      expect(await changesOf(objectKey, 2)).toEqual([
        `object.deleted 4 ${marker}`,
        'version.deleted 4 v2',
      ]);
      const page = await clients().storage.listObjects({ prefix: objectKey, freshness: strong });
      expect(page.objects).toEqual([]);
      const { object: back } = await clients().storage.undeleteObject({ objectKey });
      expect(back).toMatchObject({ ...contentOf(1), versionId: 'v1', revision: 5n });
    });

    it('takes a deletion back where its marker is deleted', async () => {
      const objectKey = await recordVersions('unmarked', 2);
      const marker = await markerOf(objectKey);
      expect((await remove(objectKey, marker)).versionId).toBe('v2');
      const object = await objectOf(objectKey);
      expect(object).toMatchObject({ ...contentOf(2), revision: 4n });
      expect(object?.deletedAt).toBeUndefined();
      expect(await changesOf(objectKey, 2)).toEqual([
        'object.undeleted 4 v2 version_id',
        `version.deleted 4 ${marker}`,
      ]);
    });

    it('leaves an object deleted that was deleted twice, until both markers are gone', async () => {
      const objectKey = await recordVersions('twice', 1);
      const first = await markerOf(objectKey);
      await clients().storage.undeleteObject({ objectKey });
      const second = await markerOf(objectKey);
      const before = await objectOf(objectKey);
      expect((await remove(objectKey, second)).versionId).toBe(first);
      expect(await objectOf(objectKey)).toEqual({ ...before, versionId: first, revision: 5n });
      expect(await changesOf(objectKey, 2)).toEqual([
        `object.deleted 5 ${first}`,
        `version.deleted 5 ${second}`,
      ]);
      expect((await remove(objectKey, first)).versionId).toBe('v1');
      expect((await objectOf(objectKey))?.deletedAt).toBeUndefined();
    });

    it('lets nothing be taken back whose version is gone, nor guesses another one', async () => {
      const objectKey = await recordVersions('nothing-left', 2);
      const marker = await markerOf(objectKey);
      await remove(objectKey, 'v2');
      const undelete = () => clients().storage.undeleteObject({ objectKey });
      const refused = await failure(undelete());
      expect(refused).toMatchObject({
        reason: 'VERSION_NOT_FOUND',
        metadata: { object_key: objectKey },
      });
      expect(refused.message).toContain('RestoreVersion');
      await remove(objectKey, 'v1');
      expect(await failure(undelete())).toMatchObject({ reason: 'VERSION_NOT_FOUND' });
      expect(await historyOf(objectKey)).toEqual(['-*']);
      expect(await failure(remove(objectKey, marker))).toMatchObject({ reason: 'ONLY_VERSION' });
    });

    it('takes notes along, and none to a version of the same id', async () => {
      const objectKey = await recordVersions('notes', 2);
      const version = { objectKey, versionId: 'v1', comment: 'said', tags: { a: '1' } };
      await clients().versions.updateVersion({ version, updateMask: { paths: ['*'] } });
      await remove(objectKey, 'v1');
      const again = await clients().versions.recordVersion({
        version: { ...version, comment: '' },
      });
      expect(again).toMatchObject({ created: true, version: { comment: '', revision: 1n } });
      await clients().storage.purgeObjects({ prefix: objectKey, force: true });
      const left = await service.sql(
        `select from storage_version_notes where object_key = $1
         union all select from storage_versions where object_key = $1`,
        [objectKey],
      );
      expect(left).toEqual([]);
    });

    it('refuses what is not there, and another revision', async () => {
      const objectKey = await recordVersions('refusals', 2);
      expect(await failure(remove(keyOf('never'), 'v1'))).toMatchObject({
        reason: 'OBJECT_NOT_FOUND',
      });
      expect(await failure(remove(objectKey, ''))).toMatchObject({ reason: 'INVALID_REQUEST' });
      expect(await failure(remove(objectKey, 'v1', { ifRevision: 1n }))).toMatchObject({
        reason: 'REVISION_MISMATCH',
        metadata: { revision: '2' },
      });
      const elsewhere = { project: 'nowhere' };
      expect(await failure(remove(objectKey, 'v1', elsewhere))).toMatchObject({
        reason: 'PROJECT_NOT_FOUND',
      });
      expect(await historyOf(objectKey)).toEqual(['v2*', 'v1']);
    });

    it('is done once under one request id', async () => {
      const objectKey = await recordVersions('deleted-once', 3);
      const request = { requestId: randomUUID() };
      const first = await remove(objectKey, 'v3', request);
      expect((await remove(objectKey, 'v3', request)).versionId).toBe(first.versionId);
      expect(await failure(remove(objectKey, 'v2', request))).toMatchObject({
        reason: 'REQUEST_ID_REUSED',
      });
      expect(await historyOf(objectKey)).toEqual(['v2*', 'v1']);
    });
  });

  it('an object cannot be recorded as the deletion of itself', async () => {
    const objectKey = await recordVersions('echo', 1);
    await markerOf(objectKey);
    const deleted = await objectOf(objectKey);
    if (deleted === undefined) throw new Error('the object is gone');
    const refused = await failure(clients().storage.recordObject({ object: deleted }));
    expect(refused.violations).toMatchObject([{ field: 'object.version_id' }]);
    const object = { ...deleted, versionId: '' };
    const { object: again } = await clients().storage.recordObject({ object });
    expect(await historyOf(objectKey)).toEqual([`${again?.versionId}*`, '-', 'v1']);
  });

  it('a move leaves the history with the source, and makes one at the destination', async () => {
    const sourceKey = await recordVersions('source', 2);
    const destinationKey = keyOf('destination');
    await clients().storage.moveObject({ sourceKey, destinationKey });
    expect(await historyOf(sourceKey)).toEqual(['-*', 'v2', 'v1']);
    expect(await historyOf(destinationKey)).toEqual(['v2*']);
    await restore(sourceKey, 'v1');
    expect(await objectOf(sourceKey)).toMatchObject(contentOf(1));
  });
});
