// What searches cost on 100 thousand objects, in buffers, as the service and under generic plans;
// and that nothing an object may hold keeps it from being indexed.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Statement } from '../../src/postgres/statement.js';
import { prefixCeiling } from '../../src/store/object-keys.js';
import {
  searchCharacters,
  searchClose,
  searchFirstKeys,
  searchLoose,
  searchSubstring,
  searchWords,
} from '../../src/store/search.sql.js';
import { indexKeys } from '../../src/store/search-index.sql.js';
import { wholeWordsOf } from '../../src/store/search-words.js';
import { sharedCluster } from '../support/cluster.js';
import { createTestDatabase, type TestConnection, type TestDatabase } from '../support/database.js';
import { explain } from '../support/explain.js';
import { fillSearchableObjects } from '../support/searchable-objects.js';

const OBJECTS = 100_000;
const FILL_TIMEOUT_MS = 180_000;
/** What is read beside rows: the project, and the upper pages of the indexes. */
const FEW = 40;
/** What a page of 51 hits takes of `storage_objects`. */
const PAGE = 51 * 4;

let database: TestDatabase;
let admin: TestConnection;
let service: TestConnection;

beforeAll(async () => {
  database = await createTestDatabase(sharedCluster().nodes[0]?.url ?? '');
  admin = await database.connect();
  await fillSearchableObjects(admin, OBJECTS);
  service = await database.connect(database.serviceUrl);
  await service.query(`set client_min_messages = 'error'`);
}, FILL_TIMEOUT_MS);

afterAll(() => database.drop());

interface Asked {
  readonly scope?: string;
  readonly prefix?: string;
  readonly help?: string;
}

/** Runs a search for a first page under a plan of the mode and says what that took. */
async function search(
  statement: Statement<unknown>,
  query: string,
  { scope = 'default', prefix = '', help }: Asked = {},
  plan: 'generic' | 'custom' = 'generic',
) {
  const values = ['default', scope, query, prefix, prefixCeiling(prefix), null, null, 51];
  const params = help === undefined ? values : [...values, help];
  const explained = await explain(service, statement, params, { plan, runFirst: true });
  const { buffers, nodes, given } = explained;
  const hits = given.filter((row) => row['object_key'] !== null).length;
  return { buffers, nodes, hits, bound: given[0]?.['bound'] };
}

const words = { help: '' };

describe.each(['generic', 'custom'] as const)('a search for words, by a %s plan,', (mode) => {
  const find = (query: string, asked: Asked = words) =>
    search(searchWords.plain, query, asked, mode);

  it.each([
    ['one object', `'case77777'`, 1, null, FEW],
    ['a thousandth of all', `'group77'`, 51, null, FEW + PAGE + OBJECTS / 1000],
    ['no object', `'nowhere'`, 0, null, FEW],
    ['a tenth of all and a thousandth', `'archived' & 'group770'`, 51, null, 700],
    ['a phrase', `'group77' & 'documents' <-> '0077'`, 51, null, 700],
    // 2001 rows of the index table, and the list of objects that have the word.
    ['a tenth of all', `'archived'`, 51, 'ranked', 2_001 + PAGE + FEW],
    ['all', `'pdf'`, 51, 'ranked', 2_001 + PAGE + 2 * FEW],
    ['a beginning that all have', `'doc':*`, 51, 'ranked', 2_001 + PAGE + 2 * FEW],
  ])('of %s reads so many pages', async (_name, query, hits, bound, buffersMax) => {
    const found = await find(query);
    expect(found).toMatchObject({ hits, bound });
    expect(found.buffers).toBeLessThanOrEqual(buffersMax);
    expect(found.nodes).not.toContain('Seq Scan');
  });

  it.each([
    ['a phrase', `'pdf' <-> 'documents'`],
    ['a weight', `'documents':B`],
    ['a phrase and a weight beside what must not be', `'pdf' <-> !'x' & 'pdf' <2> 'doc':*C`],
  ])('of words that all have stops at 8000 where %s is in none', async (_name, query) => {
    const found = await find(query);
    expect(found).toMatchObject({ hits: 0, bound: 'inspected' });
    expect(found.buffers).toBeLessThanOrEqual(8_001 + 2 * FEW);
  });

  it('of all below a prefix reads what is below', async () => {
    const prefix = 'documents/0042/';
    const found = await find(`'pdf'`, { prefix, help: wholeWordsOf(prefix) });
    expect(found).toMatchObject({ hits: 51, bound: null });
    expect(found.buffers).toBeLessThanOrEqual(OBJECTS / 1000 + PAGE + 5 * FEW);
  });
});

describe('a search', () => {
  it('stops at 8000 rows that are not its own, and is narrowed to them by the index', async () => {
    const asked = { scope: 'default/gcs', help: '' };
    const plain = await search(searchWords.plain, `'pdf'`, asked);
    expect(plain).toMatchObject({ hits: 0, bound: 'inspected' });
    expect(plain.buffers).toBeLessThanOrEqual(8_001 + 2 * FEW);
    const scoped = await search(searchWords.scoped, `'pdf'`, asked);
    expect(scoped).toMatchObject({ hits: 0, bound: null });
    expect(scoped.buffers).toBeLessThanOrEqual(FEW);
  });

  it.each([
    ['a part of one key', searchSubstring.plain, '-00077777', 51, 300],
    ['a part of a folder of keys', searchSubstring.plain, 's/0042/', 51, 1_000],
    ['a part of every key', searchSubstring.plain, 'documents/', 51, 2_001 + PAGE + 10 * FEW],
    ['a part of no key', searchSubstring.plain, 'zzzqq', 0, FEW],
    ['a character of no key', searchCharacters.plain, '票', 0, FEW],
    ['what no key is like', searchClose.plain, 'zebra', 0, FEW],
    ['what a third of keys are like', searchClose.plain, 'invoice', 51, 2_001 + PAGE + 10 * FEW],
    ['a word with letters swapped', searchLoose.plain, 'invioce', 51, 2_001 + PAGE + 10 * FEW],
  ])('for %s reads so many pages', async (_name, statement, query, hitsMax, buffersMax) => {
    const help = statement === searchCharacters.plain ? query : '';
    const found = await search(statement, query, { help });
    expect(found.hits).toBeLessThanOrEqual(hitsMax);
    expect(found.hits > 0).toBe(hitsMax > 0);
    expect(found.buffers).toBeLessThanOrEqual(buffersMax);
    expect(found.nodes).not.toContain('Seq Scan');
  });

  it('for what no index helps to find looks at the first 8000 keys', async () => {
    const found = await search(searchFirstKeys, '/x');
    expect(found).toMatchObject({ hits: 0, bound: 'inspected' });
    expect(found.buffers).toBeLessThanOrEqual(8_001 + 3 * FEW);
    const below = await search(searchFirstKeys, '/x', { prefix: 'documents/0042/' });
    expect(below).toMatchObject({ hits: 0, bound: null });
    expect(below.buffers).toBeLessThanOrEqual(OBJECTS / 1000 + FEW);
    const rare = await search(searchFirstKeys, '/x', { scope: 'default/gcs' });
    expect(rare).toMatchObject({ hits: 0, bound: 'inspected' });
    expect(rare.buffers).toBeLessThanOrEqual(8_001 + 3 * FEW);
  });
});

describe('the index', () => {
  /** Of `count` values, each by its number. */
  const values = (count: number, value: string) => `
    select jsonb_build_object('v', jsonb_agg(${value})) as metadata
    from generate_series(1, ${count}) as n`;

  it.each([
    ['64 KiB of one word', values(1, `repeat('x', 65000)`)],
    ['31 words over 2 KB', values(31, `repeat(chr((96 + n % 26)::int), 2050)`)],
    ['32 thousand words of a letter', values(32_000, `to_jsonb(n % 10)`)],
    ['12 thousand words', values(12_000, 'to_jsonb(n)')],
    ['numbers of 300 digits', values(9_000, `('1e300'::jsonb::numeric + n)`)],
    ['21 thousand Han characters', values(1, `repeat('发票扫描件', 4300)`)],
    [
      '21 thousand different ones',
      values(
        1,
        `(select string_agg(chr(19968 + (m % 20900)::int), '')
        from generate_series(1, 21500) as m)`,
      ),
    ],
    [
      '16 thousand emoji',
      values(
        1,
        `(select string_agg(chr(127744 + (m % 700)::int), '')
        from generate_series(1, 16000) as m)`,
      ),
    ],
    ['escapes', values(8_000, `E'"\\\\\\n\\t'::text`)],
    ['letters that grow when composed', values(1, `repeat(U&'\\FDFA\\0390\\1E9B\\0323', 6000)`)],
    ['empty values', values(1, `null::text`)],
  ])('takes metadata of %s', async (_name, text) => {
    await admin.query(
      `insert into storage_objects (project_id, object_key, id, size, storage_backend, metadata)
       select 'default', 'extreme', gen_random_uuid(), 1, 's3', metadata from (${text}) as made
       on conflict (project_id, object_key) do update set metadata = excluded.metadata`,
    );
    await service.query(indexKeys.text, ['default', ['extreme']]);
    const [row] = await service.query<{ found: boolean }>(
      `select search_vector @@ 'extreme' as found from storage_search
       where object_key = 'extreme'`,
    );
    expect(row).toEqual({ found: true });
  });

  it('takes keys of 1024 bytes of anything', async () => {
    const keys = ['x'.repeat(1024), '发'.repeat(341), '👍'.repeat(256), '/'.repeat(1024), '\u{1}'];
    await admin.query(
      `insert into storage_objects (project_id, object_key, id, size, storage_backend)
       select 'default', key, gen_random_uuid(), 1, 's3' from unnest($1::text[]) as key`,
      [keys],
    );
    await service.query(indexKeys.text, ['default', keys]);
    const rows = await service.query(
      'select from storage_search where object_key = any($1::text[])',
      [keys],
    );
    expect(rows).toHaveLength(keys.length);
  });

  it('follows what a key is: live, deleted, live again, purged', async () => {
    const states: string[] = [];
    const changes = [
      `insert into storage_objects (project_id, object_key, id, size, storage_backend)
       values ('default', 'followed', gen_random_uuid(), 1, 's3')`,
      `update storage_objects set deleted_at = now() where object_key = 'followed'`,
      `update storage_objects set deleted_at = null, storage_backend = 'local', revision = 3
       where object_key = 'followed'`,
      `delete from storage_objects where object_key = 'followed'`,
    ];
    for (const change of changes) {
      await admin.query(change);
      await service.query(indexKeys.text, ['default', ['followed', 'never there']]);
      const rows = await service.query<{ state: string }>(
        `select storage_backend || ' ' || indexed_revision as state from storage_search
         where object_key in ('followed', 'never there')`,
      );
      states.push(rows.map(({ state }) => state).join());
    }
    expect(states).toEqual(['s3 1', '', 'local 3', '']);
  });
});
