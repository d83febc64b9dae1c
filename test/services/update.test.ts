// UpdateObject through both doors: masks, merged metadata, preconditions, repeats and refusals.
import { randomUUID } from 'node:crypto';
import type { JsonObject, MessageInitShape } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { StorageObjectSchema } from '../../gen/stowage/v1/storage_object_pb.js';
import { doorNames, failure, startService, strong, type TestService } from '../support/service.js';

let service: TestService;

beforeAll(async () => {
  service = await startService();
});

afterAll(async () => {
  await service[Symbol.asyncDispose]();
});

type ObjectInit = Exclude<MessageInitShape<typeof StorageObjectSchema>, { $typeName: string }>;

const invoice = {
  size: 7n,
  etag: 'e1',
  contentType: 'application/pdf',
  storageBackend: 's3',
  storageClass: 'STANDARD',
  owner: 'acme',
  metadata: { department: 'Finance', pages: 12, Straße: { Größe: '大', '🎉': ['ж'] } },
} satisfies ObjectInit;

describe.each(doorNames)('updates through %s', (door) => {
  const clients = () => service.doors[door];
  const key = (name: string) => `${door}/${name}`;

  async function record(name: string, fields: ObjectInit = {}) {
    const object = { ...invoice, objectKey: key(name), ...fields };
    const { object: recorded } = await clients().storage.recordObject({ object });
    if (recorded === undefined) throw new Error('nothing was recorded');
    return recorded;
  }

  const update = (paths: string[], object: ObjectInit, others: object = {}) =>
    clients().storage.updateObject({ object, updateMask: { paths }, ...others });

  async function read(objectKey: string) {
    const { object } = await clients().storage.getObject({ objectKey, freshness: strong });
    return object;
  }

  const changesOf = (objectKey: string) =>
    service.sql<{ kind: string; revision: string; changed_fields: string[] }>(
      `select kind, revision::text, changed_fields from storage_changes
       where object_key = $1 order by seq`,
      [objectKey],
    );

  it('changes what the mask names and nothing else', async () => {
    const before = await record('masked');
    const { objectKey } = before;
    const purgeAt = { seconds: 4_000_000_000n, nanos: 5_000 };
    const { object, token } = await update(['owner', 'purge_at'], {
      objectKey,
      owner: 'Jürgen',
      purgeAt,
      contentType: 'ignored/too',
      size: 99n,
      etag: 'ignored',
    });
    expect(token).not.toBe('');
    expect(object).toEqual({ ...before, owner: 'Jürgen', purgeAt: object?.purgeAt, revision: 2n });
    expect(object?.purgeAt).toMatchObject(purgeAt);
    expect(await read(objectKey)).toEqual(object);
    const [, change] = await changesOf(objectKey);
    expect(change).toEqual({
      kind: 'object.updated',
      revision: '2',
      changed_fields: ['owner', 'purge_at'],
    });
    const cleared = await update(['purge_at', 'storage_class'], { objectKey });
    expect(cleared.object).toMatchObject({ storageClass: '', owner: 'Jürgen', revision: 3n });
    expect(cleared.object?.purgeAt).toBeUndefined();
  });

  it('takes * for everything that can be changed', async () => {
    const before = await record('star');
    const { objectKey } = before;
    const { object } = await update(['*'], { objectKey, storageBackend: 'local', etag: 'other' });
    expect(object).toMatchObject({
      contentType: 'application/octet-stream',
      storageBackend: 'local',
      storageClass: '',
      owner: '',
      etag: 'e1',
      size: 7n,
      revision: 2n,
    });
    expect(object?.metadata).toBeUndefined();
    expect((await changesOf(objectKey)).at(-1)?.changed_fields).toEqual([
      'content_type',
      'storage_backend',
      'storage_class',
      'metadata',
      'owner',
    ]);
  });

  it('sets, adds and removes single members of metadata', async () => {
    const { objectKey } = await record('members', { metadata: { a: 1, b: 2, 'c.d': 3, ё: 4 } });
    const paths = ['metadata.a', 'metadata.b', 'metadata.c.d', 'metadata.文件', 'metadata.none'];
    const metadata = { a: { deep: [1, null] }, 'c.d': 5, 文件: '🎉', unnamed: true };
    const { object } = await update(paths, { objectKey, metadata });
    const merged: JsonObject = { a: { deep: [1, null] }, 'c.d': 5, ё: 4, 文件: '🎉' };
    expect(object).toMatchObject({ revision: 2n });
    expect(object?.metadata).toEqual(merged);
    expect((await changesOf(objectKey)).at(-1)?.changed_fields).toEqual(['metadata']);
    const replaced = await update(['metadata'], { objectKey, metadata: { only: 1 } });
    expect(replaced.object?.metadata).toEqual({ only: 1 });
  });

  it('appends no version and leaves the content alone', async () => {
    const { objectKey, versionId } = await record('versions');
    const { object } = await update(['content_type'], { objectKey, contentType: 'text/plain' });
    expect(object).toMatchObject({ versionId, etag: 'e1', contentType: 'text/plain' });
    const versions = await service.sql(
      'select version_id from storage_versions where object_key = $1',
      [objectKey],
    );
    expect(versions).toEqual([{ version_id: versionId }]);
  });

  it('writes nothing where everything is just so already', async () => {
    const before = await record('same');
    const { objectKey } = before;
    const { object } = await update(['owner', 'metadata', 'content_type'], {
      ...invoice,
      objectKey,
      metadata: { Straße: invoice.metadata['Straße'], pages: 12, department: 'Finance' },
    });
    expect(object).toEqual(before);
    const removed = await update(['metadata.not_there'], { objectKey });
    expect(removed.object).toEqual(before);
    expect(await changesOf(objectKey)).toHaveLength(1);
  });

  it('is audited as UPDATE_OBJECT', async () => {
    const { objectKey } = await record('audited');
    await update(['owner'], { objectKey, owner: 'b' });
    const audited = await service.sql(
      'select action, version_id from storage_audit where object_key = $1 order by timestamp',
      [objectKey],
    );
    expect(audited.map(({ action }) => action)).toEqual(['RECORD_OBJECT', 'UPDATE_OBJECT']);
  });

  it('answers a repeat as before, and refuses another update under its id', async () => {
    const { objectKey } = await record('repeat');
    const others = { requestId: randomUUID(), ifRevision: 1n };
    const first = await update(['owner'], { objectKey, owner: 'b' }, others);
    const again = await update(['owner'], { objectKey, owner: 'b' }, others);
    expect(again.object).toEqual(first.object);
    expect(await changesOf(objectKey)).toHaveLength(2);
    for (const attempt of [
      () => update(['owner'], { objectKey, owner: 'c' }, others),
      () => update(['owner', 'storage_class'], { objectKey, owner: 'b' }, others),
      () => update(['owner'], { objectKey, owner: 'b' }, { requestId: others.requestId }),
    ]) {
      expect(await failure(attempt())).toMatchObject({ reason: 'REQUEST_ID_REUSED' });
    }
  });

  it('remembers the largest answer there can be', async () => {
    const fill = (bytes: number) => 'ä'.repeat(bytes / 2);
    const { objectKey } = await record('large'.padEnd(1000, 'x'), {
      etag: fill(256),
      versionId: fill(1024),
    });
    const object = {
      objectKey,
      contentType: fill(254),
      storageBackend: fill(64),
      storageClass: fill(64),
      owner: fill(256),
      metadata: { digits: Array.from({ length: 32_700 }, () => 1) },
    };
    const others = { requestId: randomUUID() };
    const first = await update(['*'], object, others);
    expect(first.object?.metadata).toEqual(object.metadata);
    expect((await update(['*'], object, others)).object).toEqual(first.object);
  });

  it('holds preconditions and finds live objects only', async () => {
    const { objectKey } = await record('held');
    const object = { objectKey, owner: 'b' };
    const attempts = [
      [{ ifMatchEtag: 'no' }, { reason: 'ETAG_MISMATCH', metadata: { etag: 'e1' } }],
      [{ ifRevision: 9n }, { reason: 'REVISION_MISMATCH', metadata: { revision: '1' } }],
      [{ ifRevision: 1n, ifMatchEtag: 'e1' }, { reason: 'INVALID_REQUEST' }],
      [{ project: 'no-such' }, { reason: 'PROJECT_NOT_FOUND' }],
    ] as const;
    for (const [others, expected] of attempts) {
      expect(await failure(update(['owner'], object, others))).toMatchObject(expected);
    }
    expect(await read(objectKey)).toMatchObject({ owner: 'acme', revision: 1n });
    const done = await update(['owner'], object, { ifMatchEtag: 'e1' });
    expect(done.object).toMatchObject({ owner: 'b', revision: 2n });
    await clients().storage.deleteObject({ objectKey });
    const gone = { reason: 'OBJECT_NOT_FOUND', metadata: { object_key: objectKey } };
    expect(await failure(update(['owner'], object))).toMatchObject(gone);
    const never = update(['owner'], { ...object, objectKey: key('never') });
    expect(await failure(never)).toMatchObject({ reason: 'OBJECT_NOT_FOUND' });
  });

  const refusals: readonly (readonly [paths: string[], words: RegExp])[] = [
    [['id'], /"id" is set by the service; name some of content_type, .*purge_at/],
    [['owner', 'revision'], /"revision" is set by the service/],
    [['created_at'], /"created_at" is set by the service/],
    [['deleted_at'], /"deleted_at" is set by the service/],
    [['size'], /"size" is of the content: record the new content with RecordObject/],
    [['etag'], /"etag" is of the content/],
    [['last_modified'], /"last_modified" is of the content/],
    [['version_id'], /"version_id" is of the content/],
    [['object_key'], /MoveObject/],
    [['colour'], /"colour" is no field to change; name some of content_type/],
    [['owner.name'], /"owner.name" is no field to change/],
    [['metadata', 'metadata.a'], /metadata and "metadata.a"; name one of the two/],
    [['*', 'owner'], /"\*" names everything and stands alone/],
    [Array.from({ length: 101 }, () => 'owner'), /101 paths, at most 100/],
    [[], /update_mask/],
  ];

  it.each(refusals)('refuses the mask %j', async (paths, words) => {
    const objectKey = key('refused');
    const before = await record('refused');
    const refused = await failure(update(paths, { ...invoice, objectKey, owner: 'b' }));
    expect(refused).toMatchObject({ reason: 'INVALID_REQUEST', retry: 'never' });
    expect(refused.message).toMatch(words);
    expect(refused.violations.map(({ field }) => field)).toEqual(['update_mask']);
    expect(await read(objectKey)).toEqual(before);
  });

  it('refuses a call without a mask, and a path of any length', async () => {
    const { objectKey } = await record('maskless');
    const object = { objectKey, owner: 'b' };
    const without = await failure(clients().storage.updateObject({ object }));
    expect(without.violations.map(({ field }) => field)).toEqual(['update_mask']);
    const long = await failure(update(['ж'.repeat(100_000)], object));
    expect(long).toMatchObject({ reason: 'INVALID_REQUEST' });
    expect(long.message.length).toBeLessThan(400);
  });

  it('refuses an empty backend only where the mask names it', async () => {
    const { objectKey } = await record('backend');
    const refused = await failure(update(['storage_backend'], { objectKey }));
    expect(refused).toMatchObject({ reason: 'INVALID_REQUEST' });
    expect(refused.violations[0]?.field).toBe('object.storage_backend');
    const { object } = await update(['storage_class'], { objectKey, storageClass: 'COLD' });
    expect(object).toMatchObject({ storageClass: 'COLD', storageBackend: 's3' });
  });

  it('refuses metadata that only the merge makes too large', async () => {
    const { objectKey } = await record('bounds', { metadata: { a: 'x'.repeat(40_000) } });
    const metadata = { b: 'ж'.repeat(15_000) };
    const refused = await failure(update(['metadata.b'], { objectKey, metadata }));
    expect(refused).toMatchObject({ reason: 'INVALID_REQUEST' });
    expect(refused.violations[0]?.field).toBe('object.metadata');
    expect(await read(objectKey)).toMatchObject({ revision: 1n });
    const exactly = { b: 'x'.repeat(65_536 - 40_000 - '{"a":"","b":""}'.length) };
    const { object } = await update(['metadata.b'], { objectKey, metadata: exactly });
    expect(object?.revision).toBe(2n);
    const over = { b: `${exactly.b}x` };
    expect(await failure(update(['metadata.b'], { objectKey, metadata: over }))).toMatchObject({
      reason: 'INVALID_REQUEST',
    });
  });

  it('loses no member when two callers set different ones at once', async () => {
    const { objectKey } = await record('together', { metadata: {} });
    const members = Array.from({ length: 8 }, (_, at) => `k${at}`);
    await Promise.all(
      members.map((name) => update([`metadata.${name}`], { objectKey, metadata: { [name]: 1 } })),
    );
    const object = await read(objectKey);
    expect(object?.revision).toBe(9n);
    expect(Object.keys(object?.metadata ?? {}).sort()).toEqual(members);
  });
});

describe('a mask in JSON', () => {
  async function post(body: object) {
    const response = await fetch(`${service.httpUrl}/stowage.v1.StorageService/UpdateObject`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    return { status: response.status, body: await response.text() };
  }

  it('names keys in lower-case words, and no other by accident', async () => {
    const { storage } = service.doors.gRPC;
    const objectKey = 'json/mask';
    const metadata = { doc_type: 'Invoice', docType: 'Old' };
    await storage.recordObject({ object: { ...invoice, objectKey, metadata } });
    const named = await post({
      object: { objectKey, metadata: { doc_type: 'Bill' } },
      updateMask: 'metadata.docType',
    });
    expect(named.status).toBe(200);
    const misread = await post({
      object: { objectKey, metadata: { docType: 'New' } },
      updateMask: 'metadata.docType',
    });
    expect(misread.status).toBe(400);
    expect(misread.body).toContain('replace metadata as a whole');
    const read = await storage.getObject({ objectKey, freshness: strong });
    expect(read.object?.metadata).toEqual({ doc_type: 'Bill', docType: 'Old' });
  });
});
