// Bad input through both doors: a typed error that names the field, the connection up, nothing
// half written.
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

const nested = (depth: number): JsonObject => (depth === 0 ? {} : { a: nested(depth - 1) });

const spoilt: readonly (readonly [name: string, object: ObjectInit, field: string])[] = [
  ['a negative size', { size: -1n }, 'object.size'],
  ['an empty key', { objectKey: '' }, 'object.object_key'],
  ['a key of 1025 bytes', { objectKey: `${'é'.repeat(512)}x` }, 'object.object_key'],
  ['a NUL in a key', { objectKey: 'a\0b' }, 'object.object_key'],
  ['a NUL in an owner', { owner: '\0' }, 'object.owner'],
  ['no backend', { storageBackend: '' }, 'object.storage_backend'],
  ['a backend of 65 bytes', { storageBackend: 'x'.repeat(65) }, 'object.storage_backend'],
  ['metadata over 64 KiB', { metadata: { a: 'x'.repeat(65_536) } }, 'object.metadata'],
  ['metadata 33 deep', { metadata: nested(33) }, 'object.metadata'],
  ['an integer past 2^53', { metadata: { a: { b: [2 ** 53] } } }, 'object.metadata.a.b[0]'],
  ['a NUL in metadata', { metadata: { a: 'x\0' } }, 'object.metadata.a'],
  ['a NUL in a metadata key', { metadata: { 'x\0': 1 } }, 'object.metadata'],
];

describe.each(doorNames)('bad input through %s', (door) => {
  const clients = () => service.doors[door];
  const good = { objectKey: `${door}/ok`, storageBackend: 's3' };

  it.each(spoilt)('refuses %s and names the field', async (_name, fields, field) => {
    const { storage } = clients();
    const refused = await failure(storage.recordObject({ object: { ...good, ...fields } }));
    expect(refused).toMatchObject({ reason: 'INVALID_REQUEST', retry: 'never' });
    expect(refused.requestId).toMatch(/^[0-9a-f-]{36}$/);
    const named = refused.violations.map((violation) => violation.field);
    expect(named).toHaveLength(1);
    expect(named[0]?.startsWith(field), `${named[0]} is at ${field}`).toBe(true);
    const read = storage.getObject({ objectKey: good.objectKey, freshness: strong });
    expect(await failure(read)).toMatchObject({ reason: 'OBJECT_NOT_FOUND' });
  });

  it('accepts what is just within the bounds', async () => {
    const { storage } = clients();
    const object = {
      ...good,
      objectKey: `${door}/${'x'.repeat(1024 - door.length - 1)}`,
      size: 2n ** 63n - 1n,
      metadata: { deep: nested(30), integer: Number.MAX_SAFE_INTEGER, text: 'x'.repeat(60_000) },
    };
    const { object: recorded } = await storage.recordObject({ object });
    expect(recorded).toMatchObject(object);
  });

  it('refuses a message of 5 MiB, and the connection stays up', async () => {
    const { storage } = clients();
    const metadata = { a: 'x'.repeat(60_000) };
    const requests = Array.from({ length: 88 }, (_, at) => ({
      object: { ...good, objectKey: `${door}/large/${at}`, metadata },
    }));
    const refused = await failure(storage.batchRecordObjects({ requests }));
    expect(refused).toMatchObject({ reason: 'MESSAGE_TOO_LARGE' });
    const page = await storage.listObjects({ prefix: `${door}/large/`, freshness: strong });
    expect(page.objects).toEqual([]);
  });

  it('refuses bad arguments of reads', async () => {
    const { storage } = clients();
    const attempts = [
      [() => storage.listObjects({ pageSize: 1001 }), 'page_size'],
      [() => storage.listObjects({ pageSize: -1 }), 'page_size'],
      [() => storage.listObjects({ project: 'No/Such' }), 'project'],
      [() => storage.batchGetObjects({ objectKeys: [] }), 'object_keys'],
      [() => storage.batchGetObjects({ objectKeys: ['a', 'a'] }), 'object_keys'],
      [
        () =>
          storage.getObject({
            objectKey: 'a',
            freshness: { demand: { case: 'maxStaleness', value: { seconds: -1n, nanos: 0 } } },
          }),
        'freshness.max_staleness',
      ],
    ] as const;
    for (const [attempt, field] of attempts) {
      const refused = await failure(attempt());
      expect(refused).toMatchObject({ reason: 'INVALID_REQUEST' });
      expect(refused.violations.map((violation) => violation.field)).toEqual([field]);
    }
  });

  it('refuses freshness tokens that are none', async () => {
    const { storage } = clients();
    const freshness = { demand: { case: 'atLeast', value: 'nonsense' } } as const;
    const read = storage.getObject({ objectKey: 'a', freshness });
    expect(await failure(read)).toMatchObject({ reason: 'TOKEN_MALFORMED' });
  });
});
