// DeleteObject, BatchDeleteObjects and UndeleteObject through both doors: what is left, what the
// feed says, and that nothing is half done.
import { randomUUID } from 'node:crypto';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DeleteObjectRequestSchema } from '../../gen/stowage/v1/storage_update_pb.js';
import { doorNames, failure, startService, strong, type TestService } from '../support/service.js';

let service: TestService;

beforeAll(async () => {
  service = await startService();
});

afterAll(async () => {
  await service[Symbol.asyncDispose]();
});

type Deletion = Exclude<MessageInitShape<typeof DeleteObjectRequestSchema>, { $typeName: string }>;

describe.each(doorNames)('deletions through %s', (door) => {
  const clients = () => service.doors[door];
  const key = (name: string) => `${door}/${name}`;

  interface Fields {
    readonly etag?: string;
    readonly versionId?: string;
    readonly lastModified?: { readonly seconds: bigint; readonly nanos: number };
  }

  async function record(objectKey: string, fields: Fields = {}) {
    const object = { objectKey, storageBackend: 's3', owner: 'acme', etag: 'e1', ...fields };
    const recorded = await clients().storage.recordObject({ object });
    if (recorded.object === undefined) throw new Error('nothing was recorded');
    return recorded.object;
  }

  async function recordAll(names: readonly string[]) {
    const keys = names.map(key);
    const requests = keys.map((objectKey) => ({
      object: { objectKey, storageBackend: 's3', etag: 'e1' },
    }));
    await clients().storage.batchRecordObjects({ requests });
    return keys;
  }

  const deleteAll = (requests: Deletion[], requestId = '') =>
    clients().storage.batchDeleteObjects({ requests, requestId });

  async function livingOf(objectKeys: readonly string[]) {
    const request = { objectKeys: [...objectKeys], freshness: strong };
    const { objects } = await clients().storage.batchGetObjects(request);
    return objects.map(({ objectKey }) => objectKey);
  }

  const changesOf = (objectKey: string) =>
    service.sql<{ kind: string; revision: string; version_id: string; owner: string }>(
      `select kind, revision::text, version_id, owner from storage_changes
       where object_key = $1 order by seq`,
      [objectKey],
    );

  const actionsOf = async (objectKey: string) => {
    const rows = await service.sql<{ action: string }>(
      'select action from storage_audit where object_key = $1 order by timestamp, id',
      [objectKey],
    );
    return rows.map(({ action }) => action);
  };

  it('takes what is missing for deleted only where the caller allows it', async () => {
    const { storage } = clients();
    const objectKey = key('missing');
    expect(await failure(storage.deleteObject({ objectKey }))).toMatchObject({
      reason: 'OBJECT_NOT_FOUND',
    });
    const never = await storage.deleteObject({ objectKey, allowMissing: true, ifRevision: 1n });
    expect(never.object).toBeUndefined();
    expect(never.token).not.toBe('');
    await record(objectKey);
    const requestId = randomUUID();
    const first = { objectKey, allowMissing: true, requestId };
    const deleted = await storage.deleteObject(first);
    expect(deleted.object).toMatchObject({ objectKey, revision: 2n });
    const again = await storage.deleteObject({ objectKey, allowMissing: true });
    expect(again.object).toBeUndefined();
    expect((await storage.deleteObject(first)).object).toEqual(deleted.object);
    const other = storage.deleteObject({ ...first, allowMissing: false });
    expect(await failure(other)).toMatchObject({ reason: 'REQUEST_ID_REUSED' });
    expect((await changesOf(objectKey)).map(({ kind }) => kind)).toEqual([
      'object.created',
      'object.deleted',
    ]);
  });

  it('deletes a batch in one commit, with a marker, a change and an event each', async () => {
    const keys = await recordAll(['b/ж', 'b/a', 'b/文件', 'b/🎉']);
    const requests = keys.map((objectKey) => ({ objectKey }));
    const missing = { objectKey: key('b/none'), allowMissing: true };
    const { results, token } = await deleteAll([...requests, missing]);
    expect(token).not.toBe('');
    expect(results.map(({ deleted, revision }) => [deleted, revision])).toEqual([
      ...keys.map(() => [true, 2n]),
      [false, 0n],
    ]);
    expect(await livingOf(keys)).toEqual([]);
    for (const objectKey of keys) {
      expect(await actionsOf(objectKey)).toEqual(['RECORD_OBJECT', 'DELETE_OBJECT']);
      const [, change] = await changesOf(objectKey);
      const latest = await service.sql(
        `select o.version_id, v.delete_marker, o.xid = v.xid as together
         from storage_objects o join storage_versions v using (project_id, object_key, version_id)
         where o.object_key = $1 and deleted_at is not null`,
        [objectKey],
      );
      expect(latest).toEqual([
        { version_id: change?.version_id, delete_marker: true, together: true },
      ]);
      expect(change).toMatchObject({ kind: 'object.deleted', revision: '2' });
    }
    const [{ commits } = { commits: 0 }] = await service.sql<{ commits: number }>(
      `select count(distinct xid)::int as commits from storage_objects where object_key = any($1)`,
      [keys],
    );
    expect(commits).toBe(1);
  });

  it('deletes 1000 objects at once, and answers the repeat as before', async () => {
    const names = Array.from({ length: 1000 }, (_, at) => `k/${String(at).padStart(4, '0')}`);
    const keys = await recordAll(names.map((name) => name.padEnd(900, 'x')));
    const requests = keys.toReversed().map((objectKey) => ({ objectKey, ifRevision: 1n }));
    const requestId = randomUUID();
    const first = await deleteAll(requests, requestId);
    expect(first.results.every(({ deleted, revision }) => deleted && revision === 2n)).toBe(true);
    expect((await deleteAll(requests, requestId)).results).toEqual(first.results);
    const other = deleteAll(requests.slice(1), requestId);
    expect(await failure(other)).toMatchObject({ reason: 'REQUEST_ID_REUSED' });
  });

  const spoilt: readonly (readonly [
    reason: string,
    deletion: Partial<Deletion>,
    facts: Record<string, string>,
  ])[] = [
    ['ETAG_MISMATCH', { ifMatchEtag: 'no' }, { etag: 'e1' }],
    ['REVISION_MISMATCH', { ifRevision: 3n, allowMissing: true }, { revision: '1' }],
  ];

  it.each(spoilt)('deletes nothing of a batch with %s', async (reason, deletion, facts) => {
    const keys = await recordAll(['s1', 's2', 's3']);
    const requests = keys.map((objectKey) => ({ objectKey }) as Deletion);
    const spoiling = { objectKey: keys[1] ?? '', ...deletion };
    requests[1] = spoiling;
    expect(await failure(deleteAll(requests))).toMatchObject({
      reason,
      metadata: { object_key: keys[1], field: 'requests[1]', ...facts },
    });
    expect(await livingOf(keys)).toEqual(keys);
  });

  it('deletes nothing of a batch with a missing object', async () => {
    const keys = await recordAll(['m1', 'm2']);
    const none = key('m/none');
    const requests = [...keys, none].map((objectKey) => ({ objectKey }));
    expect(await failure(deleteAll(requests))).toMatchObject({
      reason: 'OBJECT_NOT_FOUND',
      metadata: { object_key: none, field: 'requests[2]', project: 'default' },
    });
    expect(await livingOf(keys)).toEqual(keys);
  });

  it('refuses a batch that says things twice', async () => {
    const [first = '', second = ''] = await recordAll(['t1', 't2']);
    const attempts: readonly (readonly [Deletion[], string])[] = [
      [
        [{ objectKey: first }, { objectKey: second }, { objectKey: first }],
        'requests[2].object_key',
      ],
      [[{ objectKey: first }, { objectKey: second, project: 'other' }], 'requests[1]'],
      [[{ objectKey: first, requestId: randomUUID() }], 'requests[0]'],
      [[{ objectKey: first, ifRevision: 1n, ifMatchEtag: 'e1' }], 'requests[0]'],
      [[], 'requests'],
      [Array.from({ length: 1001 }, (_, at) => ({ objectKey: `${at}` })), 'requests'],
    ];
    for (const [requests, field] of attempts) {
      const refused = await failure(deleteAll(requests));
      expect(refused.reason).toBe('INVALID_REQUEST');
      expect(refused.violations.map((violation) => violation.field)).toEqual([field]);
    }
    expect(await livingOf([first, second])).toEqual([first, second]);
  });

  it('lets batches of the same keys in other orders wait for each other', async () => {
    const keys = await recordAll(Array.from({ length: 40 }, (_, at) => `order/${at}`));
    const requests = keys.map((objectKey) => ({ objectKey, allowMissing: true }));
    const answers = await Promise.all([
      deleteAll(requests),
      deleteAll(requests.toReversed()),
      deleteAll([...requests.slice(20), ...requests.slice(0, 20)]),
    ]);
    const deleted = answers.flatMap(({ results }) => results).filter((result) => result.deleted);
    expect(deleted).toHaveLength(40);
  });

  it('takes a deletion back with the version that the object had', async () => {
    const { storage } = clients();
    const before = await record(key('back'));
    const { objectKey } = before;
    const { object: gone } = await storage.deleteObject({ objectKey });
    expect(gone?.versionId).not.toBe(before.versionId);
    const { object, token } = await storage.undeleteObject({ objectKey, ifRevision: 2n });
    expect(token).not.toBe('');
    expect(object).toEqual({ ...before, revision: 3n });
    const read = await storage.getObject({ objectKey, freshness: strong });
    expect(read.object).toEqual(object);
    expect((await changesOf(objectKey)).at(-1)).toEqual({
      kind: 'object.undeleted',
      revision: '3',
      version_id: before.versionId,
      owner: 'acme',
    });
    expect((await actionsOf(objectKey)).at(-1)).toBe('UNDELETE_OBJECT');
    const page = await storage.listObjects({ prefix: objectKey, freshness: strong });
    expect(page.objects).toEqual([object]);
    const versions = await service.sql(
      'select delete_marker from storage_versions where object_key = $1 order by seq',
      [objectKey],
    );
    expect(versions).toEqual([{ delete_marker: false }, { delete_marker: true }]);
  });

  it('comes back to the version of its content after any history', async () => {
    const { storage } = clients();
    const objectKey = key('history');
    await record(objectKey, { etag: 'one', versionId: 'v1' });
    await record(objectKey, { etag: 'two', versionId: 'v2' });
    await storage.deleteObject({ objectKey });
    expect((await storage.undeleteObject({ objectKey })).object?.versionId).toBe('v2');
    await storage.deleteObject({ objectKey });
    expect((await storage.undeleteObject({ objectKey })).object?.versionId).toBe('v2');
    await record(objectKey, { etag: 'one', versionId: 'v1' });
    await storage.deleteObject({ objectKey });
    const { object } = await storage.undeleteObject({ objectKey });
    expect(object).toMatchObject({ versionId: 'v1', etag: 'one', revision: 9n });
  });

  it('comes back to the version of its time where two have the same content', async () => {
    const { storage } = clients();
    const objectKey = key('twins');
    const first = { versionId: 'v1', lastModified: { seconds: 1_700_000_000n, nanos: 1_000 } };
    await record(objectKey, first);
    await record(objectKey, {
      versionId: 'v2',
      lastModified: { seconds: 1_700_000_001n, nanos: 0 },
    });
    // Its store has removed the second one.
    const before = await record(objectKey, first);
    await storage.deleteObject({ objectKey });
    const { object } = await storage.undeleteObject({ objectKey });
    expect(object).toEqual({ ...before, revision: 5n });
  });

  it('does not take a marker for the version of an empty object', async () => {
    const { storage } = clients();
    const { objectKey, versionId } = await record(key('empty'), { etag: '' });
    await storage.deleteObject({ objectKey });
    const { object } = await storage.undeleteObject({ objectKey });
    expect(object).toMatchObject({ versionId, etag: '', size: 0n });
  });

  it('takes back only what is deleted', async () => {
    const { storage } = clients();
    const before = await record(key('alive'));
    const { objectKey } = before;
    const live = await failure(storage.undeleteObject({ objectKey }));
    expect(live).toMatchObject({
      reason: 'ALREADY_EXISTS',
      metadata: { object_key: objectKey, revision: '1' },
    });
    expect(live.message).toContain('nothing to take back');
    const never = storage.undeleteObject({ objectKey: key('never') });
    expect(await failure(never)).toMatchObject({
      reason: 'OBJECT_NOT_FOUND',
      metadata: { object_key: key('never') },
    });
    await storage.deleteObject({ objectKey });
    const held = storage.undeleteObject({ objectKey, ifRevision: 1n });
    expect(await failure(held)).toMatchObject({
      reason: 'REVISION_MISMATCH',
      metadata: { object_key: objectKey, revision: '2' },
    });
    expect(await livingOf([objectKey])).toEqual([]);
    const elsewhere = storage.undeleteObject({ objectKey, project: 'no-such' });
    expect(await failure(elsewhere)).toMatchObject({ reason: 'PROJECT_NOT_FOUND' });
  });

  it('answers a repeated undeletion as before', async () => {
    const { storage } = clients();
    const { objectKey } = await record(key('undeleted'));
    await storage.deleteObject({ objectKey });
    const request = { objectKey, requestId: randomUUID() };
    const first = await storage.undeleteObject(request);
    expect((await storage.undeleteObject(request)).object).toEqual(first.object);
    expect(await changesOf(objectKey)).toHaveLength(3);
    const other = storage.undeleteObject({ ...request, ifRevision: 2n });
    expect(await failure(other)).toMatchObject({ reason: 'REQUEST_ID_REUSED' });
  });
});
