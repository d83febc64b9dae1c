// Objects through both doors: recorded, read, repeated, refused and deleted.
import { randomUUID } from 'node:crypto';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { StorageObjectSchema } from '../../gen/stowage/v1/storage_object_pb.js';
import { RecordOutcome } from '../../gen/stowage/v1/storage_record_pb.js';
import { doorNames, failure, startService, strong, type TestService } from '../support/service.js';

let service: TestService;

beforeAll(async () => {
  service = await startService();
});

afterAll(async () => {
  await service[Symbol.asyncDispose]();
});

type ObjectInit = MessageInitShape<typeof StorageObjectSchema>;

const invoice = (objectKey: string, fields: Partial<ObjectInit> = {}) =>
  ({
    objectKey,
    size: 524_288n,
    contentType: 'application/pdf',
    etag: 'd8e8fca2dc0f896fd7cb4cb0031ba249',
    storageBackend: 's3',
    storageClass: 'STANDARD',
    owner: 'acme',
    metadata: { department: 'Finance', pages: 12, tags: ['a', 'b'], nested: { ok: true } },
    ...fields,
  }) as ObjectInit & { objectKey: string };

describe.each(doorNames)('objects through %s', (door) => {
  const clients = () => service.doors[door];
  const key = (name: string) => `${door}/${name}`;

  /** What the change feed and the audit trail say of a key. */
  async function traces(objectKey: string) {
    const [row] = await service.sql<{ kinds: string[]; revisions: string[]; actions: string[] }>(
      `select array(select kind from storage_changes where object_key = $1 order by seq) as kinds,
         array(select revision::text from storage_changes where object_key = $1 order by seq)
           as revisions,
         array(select action from storage_audit where object_key = $1 order by timestamp)
           as actions`,
      [objectKey],
    );
    return row;
  }

  it('records an object and reads the same', async () => {
    const { storage } = clients();
    const object = invoice(key('a.pdf'), {
      lastModified: { seconds: 1_700_000_000n, nanos: 1_000 },
    });
    const recorded = await storage.recordObject({ object });
    expect(recorded.outcome).toBe(RecordOutcome.CREATED);
    expect(recorded.token).not.toBe('');
    expect(recorded.object).toMatchObject({ ...object, revision: 1n });
    const read = await storage.getObject({ objectKey: object.objectKey, freshness: strong });
    expect(read.object).toEqual(recorded.object);
  });

  it('says who served and gives a token with every answer', async () => {
    const { storage } = clients();
    const headers = new Map<string, string>();
    const onHeader = (received: Headers) => {
      for (const [name, value] of received) headers.set(name, value);
    };
    const recorded = await storage.recordObject({ object: invoice(key('served')) }, { onHeader });
    expect(headers.get('stowage-served-by')).toMatch(/role=primary; lag-ms=0/);
    expect(headers.get('stowage-token')).toBe(recorded.token);
    const freshness = { demand: { case: 'atLeast', value: recorded.token } } as const;
    const read = await storage.getObject({ objectKey: key('served'), freshness }, { onHeader });
    expect(read.object?.revision).toBe(1n);
    expect(headers.get('stowage-served-by')).toMatch(
      /^node=[^;]+; role=(primary|standby); lag-ms=/,
    );
  });

  it('writes data, version, change and audit event in one commit', async () => {
    const { storage } = clients();
    const objectKey = key('traced');
    await storage.recordObject({ object: invoice(objectKey) });
    await storage.recordObject({ object: invoice(objectKey) });
    await storage.recordObject({ object: invoice(objectKey, { etag: 'other' }) });
    await storage.recordObject({ object: invoice(objectKey, { etag: 'other', owner: 'b' }) });
    await storage.deleteObject({ objectKey });
    expect(await traces(objectKey)).toEqual({
      kinds: ['object.created', 'object.updated', 'object.updated', 'object.deleted'],
      revisions: ['1', '2', '3', '4'],
      actions: ['RECORD_OBJECT', 'RECORD_OBJECT', 'RECORD_OBJECT', 'DELETE_OBJECT'],
    });
    const versions = await service.sql(
      `select etag, delete_marker from storage_versions where object_key = $1 order by seq`,
      [objectKey],
    );
    expect(versions).toEqual([
      { etag: 'd8e8fca2dc0f896fd7cb4cb0031ba249', delete_marker: false },
      { etag: 'other', delete_marker: false },
      { etag: '', delete_marker: true },
    ]);
  });

  it('leaves alone what is recorded just so', async () => {
    const { storage } = clients();
    const object = invoice(key('same'), { metadata: { b: 1, a: { d: 2, c: 3 } } });
    const first = await storage.recordObject({ object });
    const metadata = { a: { c: 3, d: 2 }, b: 1 };
    const second = await storage.recordObject({ object: { ...object, metadata } });
    expect(second.outcome).toBe(RecordOutcome.UNCHANGED);
    expect(second.object).toEqual(first.object);
  });

  it('answers a repeated request as before, and writes nothing', async () => {
    const { storage } = clients();
    const requestId = randomUUID();
    const request = { requestId, object: invoice(key('repeat')), ifAbsent: true };
    const first = await storage.recordObject(request);
    const again = await storage.recordObject(request);
    expect(again.outcome).toBe(RecordOutcome.CREATED);
    expect(again.object).toEqual(first.object);
    expect((await traces(key('repeat')))?.kinds).toEqual(['object.created']);
    const other = { ...request, object: invoice(key('repeat'), { size: 1n }) };
    expect(await failure(storage.recordObject(other))).toMatchObject({
      reason: 'REQUEST_ID_REUSED',
    });
  });

  it('remembers an answer of any size that an object can have', async () => {
    const { storage } = clients();
    const fill = (bytes: number) => 'ä'.repeat(bytes / 2);
    const object = invoice(key('large').padEnd(1024, 'x'), {
      contentType: fill(254),
      etag: fill(256),
      versionId: fill(1024),
      storageBackend: fill(64),
      storageClass: fill(64),
      owner: fill(256),
      metadata: { digits: Array.from({ length: 32_700 }, () => 1) },
    });
    const request = { requestId: randomUUID(), object };
    const first = await storage.recordObject(request);
    expect((await storage.recordObject(request)).object).toEqual(first.object);
  });

  it('holds preconditions', async () => {
    const { storage } = clients();
    const object = invoice(key('held'));
    await storage.recordObject({ object });
    const attempts = [
      [{ ifAbsent: true }, 'ALREADY_EXISTS'],
      [{ ifMatchEtag: 'no' }, 'ETAG_MISMATCH'],
      [{ ifRevision: 9n }, 'REVISION_MISMATCH'],
      [{ ifRevision: 1n, ifAbsent: true }, 'INVALID_REQUEST'],
    ] as const;
    for (const [precondition, reason] of attempts) {
      const attempt = storage.recordObject({ object: { ...object, size: 7n }, ...precondition });
      expect(await failure(attempt)).toMatchObject({ reason });
    }
    const changed = await storage.recordObject({ object: { ...object, size: 7n }, ifRevision: 1n });
    expect(changed.object?.revision).toBe(2n);
  });

  it('records a batch whole or not at all', async () => {
    const { storage } = clients();
    const keys = ['b2', 'b1', 'b3'].map(key);
    const requests = keys.map((objectKey) => ({ object: invoice(objectKey) }));
    const { results } = await storage.batchRecordObjects({ requests });
    expect(results.map(({ outcome, revision }) => [outcome, revision])).toEqual(
      keys.map(() => [RecordOutcome.CREATED, 1n]),
    );
    const [first, ...others] = requests.map((request) => ({
      object: { ...request.object, size: 1n },
    }));
    const spoilt = [...others, { ...first, ifAbsent: true }] as typeof requests;
    expect(await failure(storage.batchRecordObjects({ requests: spoilt }))).toMatchObject({
      reason: 'ALREADY_EXISTS',
      metadata: { object_key: keys[0], field: 'requests[2].object' },
    });
    const read = await storage.batchGetObjects({ objectKeys: keys, freshness: strong });
    expect(read.objects.map(({ objectKey, revision }) => [objectKey, revision])).toEqual(
      keys.map((each) => [each, 1n]),
    );
    const twice = storage.batchRecordObjects({ requests: [...requests, ...requests.slice(0, 1)] });
    expect(await failure(twice)).toMatchObject({ reason: 'INVALID_REQUEST' });
  });

  it('answers a repeated batch as before', async () => {
    const { storage } = clients();
    const requests = [{ object: invoice(key('rb1')) }, { object: invoice(key('rb2')) }];
    const request = { requestId: randomUUID(), requests };
    const first = await storage.batchRecordObjects(request);
    expect((await storage.batchRecordObjects(request)).results).toEqual(first.results);
  });

  it('tells missing keys from those that did not fit into 1 MiB', async () => {
    const { storage } = clients();
    const keys = Array.from({ length: 24 }, (_, at) => key(`big/${String(at).padStart(2, '0')}`));
    for (const objectKey of keys) {
      const metadata = { text: 'x'.repeat(60_000) };
      await storage.recordObject({ object: invoice(objectKey, { metadata }) });
    }
    const missing = key('big/none');
    const objectKeys = [missing, ...keys.toReversed()];
    const answer = await storage.batchGetObjects({ objectKeys, freshness: strong });
    const found = answer.objects.map(({ objectKey }) => objectKey);
    expect(found.length).toBeGreaterThan(10);
    expect(found.length).toBeLessThan(24);
    expect([...found, ...answer.remainingObjectKeys].sort()).toEqual([...keys, missing].sort());
    const rest = await storage.batchGetObjects({
      objectKeys: answer.remainingObjectKeys,
      freshness: strong,
    });
    expect(rest.missingObjectKeys).toEqual([missing]);
    expect([...found, ...rest.objects.map(({ objectKey }) => objectKey)].sort()).toEqual(keys);
    const page = { prefix: key('big/'), pageSize: 1000, freshness: strong };
    const first = await storage.listObjects(page);
    expect(first.objects.length).toBeLessThan(24);
    const second = await storage.listObjects({ ...page, pageToken: first.nextPageToken });
    expect([...first.objects, ...second.objects].map(({ objectKey }) => objectKey)).toEqual(keys);
    expect(second.nextPageToken).toBe('');
  });

  it('deletes softly and records again', async () => {
    const { storage } = clients();
    const objectKey = key('gone');
    await storage.recordObject({ object: invoice(objectKey) });
    expect(await failure(storage.deleteObject({ objectKey, ifRevision: 5n }))).toMatchObject({
      reason: 'REVISION_MISMATCH',
      metadata: { revision: '1' },
    });
    const requestId = randomUUID();
    const deleted = await storage.deleteObject({ objectKey, requestId });
    expect(deleted.object).toMatchObject({ revision: 2n });
    expect(deleted.object?.deletedAt).toBeDefined();
    const repeated = await storage.deleteObject({ objectKey, requestId });
    expect(repeated.object).toEqual(deleted.object);
    const gone = { reason: 'OBJECT_NOT_FOUND', metadata: { object_key: objectKey } };
    expect(await failure(storage.deleteObject({ objectKey }))).toMatchObject(gone);
    expect(await failure(storage.getObject({ objectKey, freshness: strong }))).toMatchObject(gone);
    const shown = await storage.getObject({ objectKey, showDeleted: true, freshness: strong });
    expect(shown.object).toEqual(deleted.object);
    const back = await storage.recordObject({ object: invoice(objectKey), ifAbsent: true });
    expect(back).toMatchObject({ outcome: RecordOutcome.CREATED, object: { revision: 3n } });
    expect(back.object?.deletedAt).toBeUndefined();
    expect(back.object?.id).toBe(deleted.object?.id);
  });
});
