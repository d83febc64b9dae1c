// Lists with folders, orders, filters and comparisons through both doors, against the same done in
// JavaScript.
import type { JsonObject, MessageInitShape } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  ComparisonOperator,
  type ListObjectsRequestSchema,
} from '../../gen/stowage/v1/storage_list_pb.js';
import { addMetadataIndex } from '../../src/postgres/metadata-indexes.js';
import { compareKeys } from '../../src/store/object-keys.js';
import { doorNames, startService, strong, type TestService } from '../support/service.js';

type Request = Exclude<MessageInitShape<typeof ListObjectsRequestSchema>, { $typeName: string }>;

interface Made {
  readonly objectKey: string;
  readonly size: bigint;
  readonly lastModified: { readonly seconds: bigint; readonly nanos: number };
  readonly storageBackend: string;
  readonly storageClass: string;
  readonly metadata: JsonObject;
}

const parts = [
  'a',
  'a/',
  'Grüße/',
  'документы/счёт',
  '文件/発票',
  '\u{1F600}/',
  'b//c',
  '\u{FFFD}/x',
];
const tails = ['', '1', '/2', '/deep/er', '\u{10FFFF}', '/\u{10FFFF}\u{10FFFF}', '-', '\u0001'];
const keys = [...new Set(parts.flatMap((part) => tails.map((tail) => `t/${part}${tail}`)))];
const made: readonly Made[] = keys.map((objectKey, at) => ({
  objectKey,
  size: BigInt((at * 7) % 5) * 1_000_000_000_000n,
  lastModified: { seconds: 1_700_000_000n + BigInt((at * 11) % 7), nanos: (at % 3) * 1_000 },
  storageBackend: at % 3 === 0 ? 's3' : 'local',
  storageClass: at % 4 === 0 ? 'GLACIER' : 'STANDARD',
  metadata: {
    owner: ['Ärger', 'владелец', '所有者', '\u{1F600}', ''][at % 5] ?? '',
    camera: { model: `m${at % 6}`, tags: ['x', `t${at % 2}`] },
    rank: at % 7 === 6 ? `${at}` : (at % 9) - 4 + 0.5,
  },
}));
const dead = new Set(keys.filter((_, at) => at % 10 === 9));
const live = made.filter(({ objectKey }) => !dead.has(objectKey));

let service: TestService;

beforeAll(async () => {
  service = await startService();
  const { storage } = service.doors.gRPC;
  await storage.batchRecordObjects({ requests: made.map((object) => ({ object })) });
  for (const objectKey of dead) await storage.deleteObject({ objectKey });
  const { url } = service.database;
  await addMetadataIndex({ database: url, path: 'metadata.owner', type: 'text' });
  await addMetadataIndex({ database: url, path: 'metadata.camera.model', type: 'text' });
  await addMetadataIndex({ database: url, path: 'metadata.rank', type: 'number' });
});

afterAll(async () => {
  await service[Symbol.asyncDispose]();
});

const byKey = (left: Made, right: Made) => compareKeys(left.objectKey, right.objectKey);
const keysOf = (objects: readonly { objectKey: string }[]) =>
  objects.map(({ objectKey }) => objectKey);

/** Objects and folders as they lie among each other. */
function folded(objects: readonly Made[], prefix: string, delimiter: string): string[] {
  const entries = keysOf(objects.filter(({ objectKey }) => objectKey.startsWith(prefix))).map(
    (key) => {
      const at = key.indexOf(delimiter, prefix.length);
      return at < 0 ? key : key.slice(0, at + delimiter.length);
    },
  );
  return [...new Set(entries)].sort(compareKeys);
}

describe.each(doorNames)('a list through %s', (door) => {
  const storage = () => service.doors[door].storage;

  async function pagesOf(request: Request) {
    const pages: { objects: string[]; folders: string[] }[] = [];
    let pageToken = '';
    do {
      const page = await storage().listObjects({ ...request, pageToken, freshness: strong });
      pages.push({ objects: keysOf(page.objects), folders: page.folders });
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    return pages;
  }
  const listed = async (request: Request) =>
    (await pagesOf({ pageSize: 4, ...request })).flatMap(({ objects }) => objects);

  it.each([
    ['', '/'],
    ['t/', '/'],
    ['t/a', '/'],
    ['t/a/', '/'],
    ['t/Grüße/', '/'],
    ['t/', 'ü'],
    ['t/', '文件'],
    ['t/', '\u{1F600}'],
    ['t/', '//'],
    ['t/', '\u{10FFFF}'],
    ['none/', '/'],
  ])(
    'folds %j by %j, each folder once, in byte order, whatever the page',
    async (prefix, delimiter) => {
      const wanted = folded(live, prefix, delimiter);
      // Where pages end is the store's business: the second door takes a part of it.
      for (const pageSize of door === 'gRPC' ? [1, 2, 5, 100] : [5]) {
        const pages = await pagesOf({ prefix, delimiter, pageSize });
        const got = pages.flatMap(({ objects, folders }) =>
          [...objects, ...folders].sort(compareKeys),
        );
        expect(got).toEqual(wanted);
        expect(pages.every((page) => page.objects.length + page.folders.length <= pageSize)).toBe(
          true,
        );
      }
    },
  );

  it('folds one backend, and deleted objects where asked', async () => {
    const flat = async (request: Request) =>
      (await pagesOf({ delimiter: '/', pageSize: 3, prefix: 't/', ...request })).flatMap(
        ({ objects, folders }) => [...objects, ...folders].sort(compareKeys),
      );
    const s3 = live.filter(({ storageBackend }) => storageBackend === 's3');
    expect(await flat({ storageBackend: 's3' })).toEqual(folded(s3, 't/', '/'));
    expect(await flat({ showDeleted: true })).toEqual(folded(made, 't/', '/'));
  });

  it.each(['object_key', 'last_modified', 'size'] as const)(
    'orders by %s, both ways',
    async (field) => {
      const instant = ({ lastModified: { seconds, nanos } }: Made) =>
        seconds * 10n ** 9n + BigInt(nanos);
      const value = (object: Made) =>
        field === 'object_key' ? 0n : field === 'size' ? object.size : instant(object);
      const sorted = live.toSorted(
        (left, right) => Number(value(left) - value(right)) || byKey(left, right),
      );
      expect(await listed({ orderBy: field })).toEqual(keysOf(sorted));
      expect(await listed({ orderBy: `${field} desc` })).toEqual(keysOf(sorted.toReversed()));
      const below = sorted.filter(({ objectKey }) => objectKey.startsWith('t/Grüße'));
      expect(await listed({ orderBy: field, prefix: 't/Grüße' })).toEqual(keysOf(below));
      expect(await listed({ orderBy: `${field} desc`, prefix: 't/Grüße' })).toEqual(
        keysOf(below.toReversed()),
      );
    },
  );

  it('filters by backend, class and metadata, alone and together, in every order', async () => {
    const isContained = ({ metadata }: Made) =>
      (metadata['camera'] as { tags: string[] }).tags.includes('t1');
    const metadataFilter = { camera: { tags: ['t1'] } };
    const both = live.filter(
      (object) => object.storageBackend === 'local' && object.storageClass === 'STANDARD',
    );
    const sorted = (objects: readonly Made[]) => keysOf(objects.toSorted(byKey));
    expect(await listed({ storageBackend: 'local', storageClass: 'STANDARD' })).toEqual(
      sorted(both),
    );
    expect(await listed({ metadataFilter })).toEqual(sorted(live.filter(isContained)));
    const all = { storageBackend: 'local', storageClass: 'STANDARD', metadataFilter };
    const wanted = sorted(both.filter(isContained));
    expect(wanted.length).toBeGreaterThan(4);
    expect(await listed(all)).toEqual(wanted);
    expect(await listed({ ...all, orderBy: 'object_key desc' })).toEqual(wanted.toReversed());
    for (const orderBy of ['size', 'size desc', 'last_modified', 'last_modified desc']) {
      expect((await listed({ ...all, orderBy })).sort(compareKeys)).toEqual(wanted);
    }
    const deleted = await listed({ storageBackend: 's3', showDeleted: true });
    expect(deleted).toEqual(sorted(made.filter(({ storageBackend }) => storageBackend === 's3')));
    expect(await listed({ metadataFilter: {} })).toEqual(sorted(live));
    expect(await listed({ storageClass: 'none' })).toEqual([]);
  });

  const { EQUAL, GREATER, GREATER_OR_EQUAL, LESS, LESS_OR_EQUAL } = ComparisonOperator;
  const holds = (operator: ComparisonOperator, difference: number) =>
    ({
      [ComparisonOperator.UNSPECIFIED]: false,
      [EQUAL]: difference === 0,
      [LESS]: difference < 0,
      [LESS_OR_EQUAL]: difference <= 0,
      [GREATER]: difference > 0,
      [GREATER_OR_EQUAL]: difference >= 0,
    })[operator];

  it.each([EQUAL, LESS, LESS_OR_EQUAL, GREATER, GREATER_OR_EQUAL])(
    'compares texts and numbers by operator %i, in the order of the values',
    async (operator) => {
      for (const text of ['владелец', '', 'Ärger', 'm']) {
        const operand = { case: 'text', value: text } as const;
        const owner = (object: Made) => object.metadata['owner'] as string;
        const found = live
          .filter((object) => holds(operator, compareKeys(owner(object), text)))
          .sort((left, right) => compareKeys(owner(left), owner(right)) || byKey(left, right));
        const metadataComparisons = [{ path: 'owner', operator, operand }];
        expect(await listed({ metadataComparisons })).toEqual(keysOf(found));
        const below = found.filter(({ objectKey }) => objectKey.startsWith('t/a'));
        expect(await listed({ metadataComparisons, prefix: 't/a' })).toEqual(keysOf(below));
      }
      for (const number of [-0.5, 0.5, 1, 1e-7]) {
        const operand = { case: 'number', value: number } as const;
        const rank = (object: Made) => object.metadata['rank'] as number;
        const found = live
          .filter((object) => typeof object.metadata['rank'] === 'number')
          .filter((object) => holds(operator, rank(object) - number))
          .sort((left, right) => rank(left) - rank(right) || byKey(left, right));
        const metadataComparisons = [{ path: 'rank', operator, operand }];
        expect(await listed({ metadataComparisons })).toEqual(keysOf(found));
      }
    },
  );

  it('compares within two bounds, of a path that is deep, beside other filters', async () => {
    const of = (operator: ComparisonOperator, value: string) => ({
      ...{ path: 'camera.model', operator },
      operand: { case: 'text', value } as const,
    });
    const model = ({ metadata }: Made) => (metadata['camera'] as { model: string }).model;
    const found = live
      .filter((object) => model(object) >= 'm2' && model(object) < 'm4')
      .filter(({ storageBackend }) => storageBackend === 'local')
      .sort((left, right) => compareKeys(model(left), model(right)) || byKey(left, right));
    expect(found.length).toBeGreaterThan(4);
    const metadataComparisons = [
      ...[of(GREATER_OR_EQUAL, 'm2'), of(LESS, 'm4')],
      ...[of(LESS_OR_EQUAL, 'm5'), of(GREATER, 'm1')],
    ];
    const request = { metadataComparisons, storageBackend: 'local' };
    expect(await listed(request)).toEqual(keysOf(found));
    expect(await listed({ metadataComparisons: [of(LESS, 'm1'), of(GREATER, 'm4')] })).toEqual([]);
    expect(await listed({ metadataComparisons: [of(EQUAL, 'm1'), of(EQUAL, 'm2')] })).toEqual([]);
    const equal = { metadataComparisons: [of(EQUAL, 'm1')], orderBy: 'object_key' };
    const ones = live.filter((object) => model(object) === 'm1').sort(byKey);
    expect(await listed(equal)).toEqual(keysOf(ones));
  });
});
