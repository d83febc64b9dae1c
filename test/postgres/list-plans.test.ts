// What pages cost on 200 thousand objects and 100 thousand deleted ones, in buffers.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  ComparisonOperator,
  type MetadataComparison,
} from '../../gen/stowage/v1/storage_list_pb.js';
import { addMetadataIndex } from '../../src/postgres/metadata-indexes.js';
import { folderStep } from '../../src/store/list-folders.js';
import { listMatching } from '../../src/store/list-matching.sql.js';
import { parseOrder, startOf } from '../../src/store/list-order.js';
import { SCAN_ROWS } from '../../src/store/list-pages.sql.js';
import type { ListPosition } from '../../src/store/list-position.js';
import { type Scan, scanStep } from '../../src/store/list-scan.js';
import { metadataRange } from '../../src/store/metadata-range.js';
import { prefixCeiling } from '../../src/store/object-keys.js';
import { sliceStatements } from '../../src/store/stream-slices.sql.js';
import { usages } from '../../src/store/usage.sql.js';
import { sharedCluster } from '../support/cluster.js';
import { createTestDatabase, type TestConnection, type TestDatabase } from '../support/database.js';
import { type Explained, explain } from '../support/explain.js';
import { fillManyObjects } from '../support/many-objects.js';

const OBJECTS = 200_000;
const call = { project: 'default' };
const everything = { prefix: '', storageBackend: '', storageClass: '', showDeleted: false };
/** What a page of 100 takes: a row's page each, the index, the project. */
const PAGE_BUFFERS = 120;
/** What a scan that finds nothing takes at most: the bound, and the index's own pages. */
const SCAN_BUFFERS = SCAN_ROWS * 1.1;

let database: TestDatabase;
let service: TestConnection;
let admin: TestConnection;

beforeAll(async () => {
  database = await createTestDatabase(sharedCluster().nodes[0]?.url ?? '');
  admin = await database.connect();
  await fillManyObjects(admin, { objects: OBJECTS, folders: 1000, tombstones: 100_000 });
  service = await database.connect(database.serviceUrl);
});

afterAll(() => database.drop());

interface Asked {
  readonly filter?: Partial<Scan['filter']>;
  readonly orderBy?: string;
  readonly at?: Partial<ListPosition>;
  readonly comparisons?: readonly MetadataComparison[];
}

/** A page of 100 behind a place. */
function page({ filter, orderBy = '', at, comparisons = [] }: Asked = {}): Promise<Explained> {
  const order = parseOrder(orderBy);
  const asked = { ...everything, ...filter };
  const range = metadataRange(comparisons, asked.prefix);
  const start = range?.above ?? startOf(order);
  const position: ListPosition = { way: 'open', ...start, ...at };
  const { statement, params } = scanStep(call, { filter: asked, order, range }, position, 101);
  return explain(service, statement, params);
}

function folders(prefix: string, after = '', filter: Partial<Scan['filter']> = {}) {
  const asked = { ...everything, prefix, ...filter };
  const position: ListPosition = { way: 'open', value: '', key: after };
  const folding = { filter: asked, delimiter: '/' };
  const { statement, params } = folderStep(call, folding, position, 101);
  return explain(service, statement, params);
}

const compare = (
  path: string,
  operator: ComparisonOperator,
  operand: MetadataComparison['operand'],
) => ({ path, operator, operand }) as MetadataComparison;

describe('a page', () => {
  const deep = 'documents/0900/';
  const ways: readonly [string, Asked, Asked][] = [
    ['of keys', {}, { at: { key: deep } }],
    ['of keys backwards', { orderBy: 'object_key desc' }, { at: { key: 'documents/0100/' } }],
    ['of keys with deleted ones', { filter: { showDeleted: true } }, { at: { key: deep } }],
    ['of a backend', { filter: { storageBackend: 's3' } }, { at: { key: deep } }],
    ['by size', { orderBy: 'size' }, { at: { value: '900000' } }],
    ['by size backwards', { orderBy: 'size desc' }, { at: { value: '100000' } }],
    ['by time', { orderBy: 'last_modified' }, { at: { value: '2025-02-01' } }],
    ['by time backwards', { orderBy: 'last_modified desc' }, { at: { value: '2025-01-05' } }],
  ];

  it.each(ways)('%s costs the same at any depth', async (_, first, deeper) => {
    const top = await page(first);
    const far = await page({ ...first, ...deeper });
    expect(top.rows, top.plan).toBe(101);
    expect(far.rows, far.plan).toBe(101);
    expect(top.buffers, top.plan).toBeLessThan(PAGE_BUFFERS);
    expect(far.buffers, far.plan).toBeLessThan(PAGE_BUFFERS);
  });

  it('reads no deleted row, though a hundred thousand lie before it', async () => {
    const { buffers, plan } = await page({ at: { key: 'documents/0000/' } });
    expect(buffers, plan).toBeLessThan(PAGE_BUFFERS);
  });

  const filters: readonly [string, Asked][] = [
    ['a class that nothing has', { filter: { storageClass: 'NONE' } }],
    ['metadata that nothing has', { filter: { metadataFilter: { owner: 'nobody' } } }],
    ['a class under a size', { filter: { storageClass: 'NONE' }, orderBy: 'size desc' }],
    ['a prefix that nothing has by time', { filter: { prefix: 'no/' }, orderBy: 'last_modified' }],
    ['deleted ones of a backend', { filter: { showDeleted: true, storageBackend: 'none' } }],
  ];

  it.each(filters)('that looks for %s stops at its bound', async (_, asked) => {
    const { buffers, rows, plan } = await page(asked);
    expect(rows).toBe(1);
    expect(buffers, plan).toBeLessThan(SCAN_BUFFERS);
  });

  it('that finds enough of a class stops there', async () => {
    const { buffers, rows, plan } = await page({ filter: { storageClass: 'STANDARD' } });
    expect(rows).toBe(101);
    expect(buffers, plan).toBeLessThan(PAGE_BUFFERS);
  });
});

describe('a page by the index of the metadata', () => {
  const matching = (metadata: string) => {
    const range = ['default', '', prefixCeiling(''), 101];
    return explain(service, listMatching, [
      ...[...range, '', '', metadata],
      ...['', '', 'object_key', false, false],
    ]);
  };

  it('reads what matches and no more', async () => {
    const { buffers, rows, indexes, plan } = await matching('{"rare": true}');
    expect(rows).toBe(4);
    expect(indexes).toContain('storage_objects_metadata');
    expect(buffers, plan).toBeLessThan(60);
  });

  it('gives up at its bound where half of all matches', async () => {
    const { buffers, rows, plan } = await matching('{"kind": "a"}');
    expect(rows).toBe(1);
    expect(buffers, plan).toBeLessThan(SCAN_BUFFERS);
  });
});

describe('a page of folders', () => {
  it('takes a probe a folder, whatever is in them', async () => {
    const wide = await folders('documents/');
    expect(wide.rows).toBe(101);
    expect(wide.buffers, wide.plan).toBeLessThan(101 * 5);
    // One folder with everything in it, and then ten with a few rows each.
    const one = await folders('');
    expect(one.rows).toBe(1);
    expect(one.buffers, one.plan).toBeLessThan(20);
  });

  it.each([
    ['of a backend', { storageBackend: 's3' }],
    ['with deleted objects', { showDeleted: true }],
  ])('%s takes a probe a folder too', async (_, filter) => {
    const { buffers, rows, plan } = await folders('documents/', 'documents/0500/zzz', filter);
    expect(rows).toBe(101);
    expect(buffers, plan).toBeLessThan(101 * 5);
  });

  it('takes no more for a hundred thousand deleted objects before the first live one', async () => {
    const first = await folders('documents/0000/');
    const second = await folders('documents/0001/');
    expect(first.rows).toBe(second.rows);
    expect(first.buffers, first.plan).toBeLessThan(second.buffers * 1.2);
  });
});

describe('a comparison of metadata', () => {
  it('reads its index, and nothing at all without one', async () => {
    const owner = { case: 'text', value: 'user-7' } as const;
    const equal = [compare('owner', ComparisonOperator.EQUAL, owner)];
    const without = await page({ comparisons: equal });
    // The one row says that there is no index, or that nothing was found in it.
    expect(without.rows).toBe(1);
    expect(without.buffers, without.plan).toBeLessThan(50);

    await addMetadataIndex({ database: database.url, path: 'metadata.owner', type: 'text' });
    await addMetadataIndex({ database: database.url, path: 'metadata.rank', type: 'number' });
    const found = await page({ comparisons: equal });
    expect(found.rows).toBe(101);
    expect(found.buffers, found.plan).toBeLessThan(PAGE_BUFFERS + 20);
    const below = await page({ comparisons: equal, filter: { prefix: 'documents/0007/' } });
    expect(below.rows).toBe(101);
    const nowhere = await page({ comparisons: equal, filter: { prefix: 'documents/0008/' } });
    expect(nowhere.rows).toBe(1);
    expect(nowhere.buffers, nowhere.plan).toBeLessThan(20);

    const rank = { case: 'number', value: 4_000 } as const;
    const greater = [compare('rank', ComparisonOperator.GREATER_OR_EQUAL, rank)];
    const top = await page({ comparisons: greater });
    const far = await page({ comparisons: greater, at: { value: '4900', key: '' } });
    expect([top.rows, far.rows]).toEqual([101, 101]);
    expect(top.buffers, top.plan).toBeLessThan(PAGE_BUFFERS + 20);
    expect(far.buffers, far.plan).toBeLessThan(PAGE_BUFFERS + 20);
  });
});

describe('a slice of a filtered stream', () => {
  it('passes the rows of its range and no others, whatever matches', async () => {
    const end = 'documents/0010/';
    for (const metadata of ['{"rare": true}', '{"kind": "a"}', '{"owner": "nobody"}']) {
      const range = ['default', '', '', end, 5_000];
      const params = [...range, '', '', metadata];
      const { buffers, plan } = await explain(service, sliceStatements.live.filtered, params);
      expect(buffers, plan).toBeLessThan(2_100);
    }
  });

  it('finds its end in the index alone', async () => {
    const params = ['default', '', '', prefixCeiling(''), 19_999];
    const { buffers, rows, plan } = await explain(service, sliceStatements.live.boundary, params);
    expect(rows).toBe(1);
    expect(buffers, plan).toBeLessThan(600);
  });
});

describe('usage', () => {
  it('is counted in the index alone', async () => {
    const range = (prefix: string) => ['default', prefix, prefixCeiling(prefix)];
    for (const [statement, more] of [
      [usages.all, []],
      [usages.ofBackend, ['s3']],
    ] as const) {
      const folder = await explain(service, statement, [
        ...range('documents/0900/'),
        ...['/', 1001, ...more],
      ]);
      expect(folder.nodes).toContain('Index Only Scan');
      expect(folder.buffers, folder.plan).toBeLessThan(20);
    }
    const all = await explain(service, usages.all, [...range(''), '', 1001]);
    expect(all.buffers, all.plan).toBeLessThan(4_000);
  });
});
