// Arguments of lists that are refused, through both doors, and what page tokens are bound to.
import type { MessageInitShape } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  ComparisonOperator,
  type ListObjectsRequestSchema,
} from '../../gen/stowage/v1/storage_list_pb.js';
import { addMetadataIndex } from '../../src/postgres/metadata-indexes.js';
import { doorNames, failure, startService, strong, type TestService } from '../support/service.js';

type Request = Exclude<MessageInitShape<typeof ListObjectsRequestSchema>, { $typeName: string }>;

let service: TestService;

beforeAll(async () => {
  service = await startService();
  const requests = ['t/a', 't/b'].map((objectKey) => ({
    object: { objectKey, storageBackend: 's3', metadata: { owner: 'x', rank: 1 } },
  }));
  await service.doors.gRPC.storage.batchRecordObjects({ requests });
  const { url } = service.database;
  await addMetadataIndex({ database: url, path: 'metadata.owner', type: 'text' });
  await addMetadataIndex({ database: url, path: 'metadata.rank', type: 'number' });
});

afterAll(async () => {
  await service[Symbol.asyncDispose]();
});

describe.each(doorNames)('the arguments of a list through %s', (door) => {
  const storage = () => service.doors[door].storage;
  const { EQUAL, GREATER } = ComparisonOperator;
  const text = { case: 'text', value: 'x' } as const;
  const equal = (path: string) => ({ path, operator: EQUAL, operand: text });
  const owner = equal('owner');
  const number = { case: 'number', value: 1 } as const;
  const greater = { ...owner, operator: GREATER };
  it.each<readonly [name: string, request: Request, field: string]>([
    ['an unknown order', { orderBy: 'etag' }, 'order_by'],
    ['an order with two fields', { orderBy: 'size, object_key' }, 'order_by'],
    ['an order in an unknown direction', { orderBy: 'size down' }, 'order_by'],
    ['an order that is a space', { orderBy: ' ' }, 'order_by'],
    ['a folder by size', { delimiter: '/', orderBy: 'size' }, 'order_by'],
    ['a folder backwards', { delimiter: '/', orderBy: 'object_key desc' }, 'order_by'],
    ['a folder of a class', { delimiter: '/', storageClass: 'x' }, 'storage_class'],
    ['a folder by metadata', { delimiter: '/', metadataFilter: { a: 1 } }, 'metadata_filter'],
    [
      'a folder by comparison',
      { delimiter: '/', metadataComparisons: [owner] },
      'metadata_comparisons',
    ],
    [
      'a folder of a backend with deleted ones',
      { delimiter: '/', storageBackend: 's3', showDeleted: true },
      'storage_backend',
    ],
    ['a delimiter of 17 bytes', { delimiter: '/'.repeat(17) }, 'delimiter'],
    ['deleted ones by size', { showDeleted: true, orderBy: 'size' }, 'order_by'],
    [
      'deleted ones by comparison',
      { showDeleted: true, metadataComparisons: [owner] },
      'show_deleted',
    ],
    ['a comparison by size', { metadataComparisons: [owner], orderBy: 'size' }, 'order_by'],
    ['a range by key', { metadataComparisons: [greater], orderBy: 'object_key' }, 'order_by'],
    [
      'a path of 256 bytes',
      { metadataComparisons: [equal('ü'.repeat(128))] },
      'metadata_comparisons[0].path',
    ],
    [
      'a path of nine names',
      { metadataComparisons: [equal('a.b.c.d.e.f.g.h.i')] },
      'metadata_comparisons[0].path',
    ],
    [
      'a path with an empty name',
      { metadataComparisons: [equal('a..b')] },
      'metadata_comparisons[0].path',
    ],
    ['two paths', { metadataComparisons: [owner, equal('rank')] }, 'metadata_comparisons[1].path'],
    [
      'two types',
      { metadataComparisons: [owner, { ...owner, operand: number }] },
      'metadata_comparisons[1]',
    ],
    ['five comparisons', { metadataComparisons: Array(5).fill(owner) }, 'metadata_comparisons'],
    [
      'no operator',
      { metadataComparisons: [{ path: 'owner', operand: text }] },
      'metadata_comparisons[0].operator',
    ],
    ['metadata over 64 KiB', { metadataFilter: { a: 'x'.repeat(65_536) } }, 'metadata_filter'],
    ['a page of 1001', { pageSize: 1001 }, 'page_size'],
  ])('refuses %s and names the field', async (_, request, field) => {
    const refused = await failure(storage().listObjects({ freshness: strong, ...request }));
    expect(refused).toMatchObject({ reason: 'INVALID_REQUEST', violations: [{ field }] });
  });

  it('says which command makes an index that is missing', async () => {
    const attempts = [
      { ...equal('camera'), command: 'stowage index add metadata.camera --type text' },
      { ...equal('rank'), command: 'stowage index add metadata.rank --type text' },
      {
        ...equal("größe of 'it'"),
        command: String.raw`stowage index add 'metadata.größe of '\''it'\''' --type text`,
      },
      {
        ...equal('owner'),
        operand: number,
        command: 'stowage index add metadata.owner --type number',
      },
    ];
    for (const { command, ...comparison } of attempts) {
      const request = { metadataComparisons: [comparison], freshness: strong };
      const refused = await failure(storage().listObjects(request));
      expect(refused).toMatchObject({ reason: 'INVALID_REQUEST' });
      expect(refused.message).toContain(command);
    }
    const project = 'nowhere';
    const unknown = failure(storage().listObjects({ project, metadataComparisons: [owner] }));
    expect(await unknown).toMatchObject({ reason: 'PROJECT_NOT_FOUND' });
  });

  it('binds page tokens to every argument', async () => {
    const request = { pageSize: 1, orderBy: 'size', freshness: strong };
    const { nextPageToken: pageToken } = await storage().listObjects(request);
    const others: Request[] = [
      ...[{ orderBy: 'size desc' }, { orderBy: '' }, { storageClass: 'STANDARD' }],
      ...[{ metadataFilter: { a: 1 } }, { prefix: 't/' }, { orderBy: '', delimiter: '/' }],
      { orderBy: '', metadataComparisons: [owner] },
    ];
    for (const other of others) {
      const refused = await failure(storage().listObjects({ ...request, ...other, pageToken }));
      expect(refused).toMatchObject({ reason: 'PAGE_TOKEN_INVALID' });
    }
  });
});
