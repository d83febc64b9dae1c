// Searches through both doors: syntaxes, languages, ranks, pages, bounds, and what is refused.
import type { JsonObject } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SearchSyntax } from '../../gen/stowage/v1/storage_search_pb.js';
import { doorNames, failure, startService, strong, type TestService } from '../support/service.js';

const { WEB, TSQUERY, KEY_SUBSTRING, KEY_SIMILAR } = SearchSyntax;

/** Keys with the metadata that they are recorded with. */
const recorded: readonly (readonly [objectKey: string, metadata?: JsonObject])[] = [
  ['documents/invoice-2024-001.pdf', { owner: 'ACME Corp', department: 'Finance' }],
  ['documents/invoice-2024-002.pdf', { note: 'Draft', department: 'Finance' }],
  ['documents/contract.pdf', { about: 'the invoice of ACME', parts: [{ pages: 17 }, true] }],
  ['other/tax_return.txt', { department: 'tax', rate: -2.5, path: 'C:\\new\nlines' }],
  ['archiv/Müller/Straßenkarte.pdf'],
  ['архив/Документ-Счёт.pdf', { город: 'Москва' }],
  ['合同/二零二四年发票扫描件.pdf', { 部门: '财务部' }],
  ['fotos/👍🏽-party-🎉.jpg', { mood: '😀' }],
  ['decomposed/cafe\u0301.txt'],
  ['wild/50%_of\\it.txt'],
];
const many = Array.from({ length: 2_100 }, (_, at) => `many/${at % 7}/common-${at}.log`);

let service: TestService;

beforeAll(async () => {
  service = await startService();
  const { storage, projects } = service.doors.gRPC;
  const objects = [...recorded, ...many.map((key) => [key] as const)].map(
    ([objectKey, metadata = {}], at) => ({
      objectKey,
      metadata,
      contentType: objectKey.endsWith('.pdf') ? 'application/pdf' : 'text/plain',
      storageBackend: at % 2 === 0 ? 's3' : 'local',
    }),
  );
  for (let at = 0; at < objects.length; at += 1000) {
    const requests = objects.slice(at, at + 1000).map((object) => ({ object }));
    await storage.batchRecordObjects({ requests });
  }
  await projects.createProject({ project: { project: 'small' } });
  const object = { objectKey: 'common-of-small', storageBackend: 's3' };
  await storage.recordObject({ project: 'small', object });
});

afterAll(async () => {
  await service[Symbol.asyncDispose]();
});

describe.each(doorNames)('search through %s', (door) => {
  const clients = () => service.doors[door];

  interface Asked {
    readonly project?: string;
    readonly prefix?: string;
    readonly storageBackend?: string;
    readonly pageSize?: number;
    readonly pageToken?: string;
    readonly highlight?: boolean;
  }

  const search = (query: string, syntax: SearchSyntax, asked: Asked = {}) =>
    clients().storage.searchObjects({ query, syntax, freshness: strong, ...asked });

  async function keys(query: string, syntax: SearchSyntax, asked: Asked = {}) {
    const { hits } = await search(query, syntax, asked);
    return hits.map(({ object }) => object?.objectKey);
  }

  const [first, second, contract, tax] = recorded.map(([key]) => key);

  it.each([
    ['invoice & finance', [first, second]],
    ['invoice & !draft', [first, contract]],
    ['invoice & (draft | acme) & !corp', [contract, second].sort()],
    ['invoic:*', [first, second, contract]],
    ['invoice:A', [first, second]],
    ['invoice:B', [contract]],
    ['invoice <-> 2024', [first, second]],
    ['2024 <2> pdf & 1', []],
    ["'invoice-2024-002'", [second]],
    ["'invoice 2024' & !finance:C & !draft:B", [first]],
    ['(invoice <-> 2024 | tax:B) & !draft', [first, tax]],
    ['!invoice <-> pdf & 001:*A', [first]],
    ['pages | 17 & true', [contract]],
    ['2 <-> 5', [tax]],
  ])('reads the tsquery %s', async (query, wanted) => {
    expect((await keys(query, TSQUERY)).sort()).toEqual([...wanted].sort());
  });

  it.each([
    ['invoice finance', [first, second]],
    ['"invoice 2024" -draft', [first]],
    ['draft or tax', [second, tax]],
    ['Invoice-2024-001.PDF', [first]],
    ['documents/invoice-2024-001.pdf', [first]],
    ["'; & | ! draft", [second]],
    ['new lines', [tax]],
    ['invoice & finance', [first, second]],
  ])('reads the web query %s', async (query, wanted) => {
    expect((await keys(query, WEB)).sort()).toEqual([...wanted].sort());
    expect(await keys(query, SearchSyntax.UNSPECIFIED)).toEqual(await keys(query, WEB));
  });

  it.each([
    ['müller', 'archiv/Müller/Straßenkarte.pdf'],
    ['STRAßENKARTE', 'archiv/Müller/Straßenkarte.pdf'],
    ['документ', 'архив/Документ-Счёт.pdf'],
    ['москва', 'архив/Документ-Счёт.pdf'],
    ['发票', '合同/二零二四年发票扫描件.pdf'],
    ['财务部', '合同/二零二四年发票扫描件.pdf'],
    ['扫描 合同', '合同/二零二四年发票扫描件.pdf'],
    ['🎉', 'fotos/👍🏽-party-🎉.jpg'],
    ['👍', 'fotos/👍🏽-party-🎉.jpg'],
    ['😀 party', 'fotos/👍🏽-party-🎉.jpg'],
    ['café', 'decomposed/cafe\u0301.txt'],
  ])('finds %s', async (query, wanted) => {
    expect(await keys(query, WEB)).toEqual([wanted]);
    const operands = query.split(' ').join(' & ');
    expect(await keys(operands, TSQUERY)).toEqual([wanted]);
  });

  it('takes a run of Han for a phrase', async () => {
    expect(await keys('票发', WEB)).toEqual([]);
  });

  it('ranks the key before metadata before the content type, and equal ones by key', async () => {
    expect(await keys('invoice', WEB)).toEqual([first, second, contract]);
    const { hits } = await search('pdf', WEB, { prefix: 'documents/' });
    const scores = hits.map(({ score }) => score);
    expect(scores).toEqual(scores.toSorted((left, right) => right - left));
    expect(scores.every((score) => score > 0)).toBe(true);
    expect(await keys('plain', WEB, { prefix: 'other/' })).toEqual([tax]);
  });

  it.each([
    [WEB, 'invoice -zebra', 'invoice'],
    [WEB, 'invoice -"zebra crossing"', 'invoice'],
    [TSQUERY, 'invoice & !zebra', 'invoice'],
    [TSQUERY, 'invoic:* & !(zebra | lion)', 'invoic:*'],
    [TSQUERY, 'invoice:AB & !zebra:A', 'invoice:AB'],
    [TSQUERY, 'invoice & pdf & !zebra', 'invoice & pdf'],
  ])('scores a hit by what must be there (%s, %s)', async (syntax, query, without) => {
    const scores = async (asked: string) =>
      (await search(asked, syntax)).hits.map(({ object, score }) => [object?.objectKey, score]);
    const found = await scores(query);
    expect(found.map(([key]) => key).sort()).toEqual([first, second, contract].sort());
    expect(found.at(-1)?.[1]).toBeGreaterThan(0);
    expect(found).toEqual(await scores(without));
  });

  it.each([
    ['VOICE-2024-00', [first, second]],
    ['contract.pdf', [contract]],
    ['straßen', ['archiv/Müller/Straßenkarte.pdf']],
    ['ДОКУМЕНТ', ['архив/Документ-Счёт.pdf']],
    ['四年发票', ['合同/二零二四年发票扫描件.pdf']],
    ['票扫', ['合同/二零二四年发票扫描件.pdf']],
    ['🎉.', ['fotos/👍🏽-party-🎉.jpg']],
    ['50%_', ['wild/50%_of\\it.txt']],
    ['%_', ['wild/50%_of\\it.txt']],
    ['f\\i', ['wild/50%_of\\it.txt']],
    ['c_ntract', []],
    ['con%act', []],
  ])('finds %s as a part of keys', async (query, wanted) => {
    expect((await keys(query, KEY_SUBSTRING)).sort()).toEqual([...wanted].sort());
  });

  it('ranks a key the higher the more of it the part is', async () => {
    const { hits } = await search('documents/contract.pdf', KEY_SUBSTRING);
    expect(hits.map(({ score }) => score)).toEqual([1]);
    expect((await keys('.pdf', KEY_SUBSTRING, { prefix: 'documents/' }))[0]).toBe(contract);
  });

  it.each([
    ['invoice-2023', first],
    ['invioce', first],
    ['kontract', contract],
    ['strassenkarte', 'archiv/Müller/Straßenkarte.pdf'],
    ['докумемт', 'архив/Документ-Счёт.pdf'],
    ['发票扫描', '合同/二零二四年发票扫描件.pdf'],
  ])('finds keys that are like %s', async (query, wanted) => {
    const { hits } = await search(query, KEY_SIMILAR);
    expect(hits[0]?.object?.objectKey).toBe(wanted);
    expect(hits[0]?.score).toBeGreaterThanOrEqual(0.3);
    expect(hits[0]?.score).toBeLessThanOrEqual(1);
  });

  it('filters by prefix and backend', async () => {
    expect(await keys('invoice', WEB, { storageBackend: 'local' })).toEqual([second]);
    expect(await keys('pdf', WEB, { prefix: 'documents/c' })).toEqual([contract]);
    expect(await keys('pdf', WEB, { prefix: 'arch' })).toEqual(['archiv/Müller/Straßenkarte.pdf']);
    expect(await keys('invoice', WEB, { prefix: 'invoice' })).toEqual([]);
    const local = { storageBackend: 'local', prefix: 'documents/' };
    expect(await keys('.pdf', KEY_SUBSTRING, local)).toEqual([second]);
    expect(await keys('-0', KEY_SUBSTRING, local)).toEqual([second]);
    expect(await keys('invoice', KEY_SIMILAR, local)).toEqual([second]);
  });

  it.each([
    [WEB, 'common', 'many/0/'],
    [TSQUERY, 'common & log', 'many/'],
    [KEY_SUBSTRING, 'ommon-1', 'many/'],
    [KEY_SIMILAR, 'comon', 'many/1/'],
    [KEY_SUBSTRING, 'n-', 'many/3'],
  ])('gives every ranked hit once over pages (%s, %s)', async (syntax, query, prefix) => {
    const found: (string | undefined)[] = [];
    const scores: number[] = [];
    let pageToken = '';
    do {
      const page = await search(query, syntax, { prefix, pageSize: 150, pageToken });
      found.push(...page.hits.map(({ object }) => object?.objectKey));
      scores.push(...page.hits.map(({ score }) => score));
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    const below = many.filter((key) => key.startsWith(prefix));
    const wanted = query === 'ommon-1' ? below.filter((key) => key.includes(query)) : below;
    expect(new Set(found).size).toBe(found.length);
    expect(found).toHaveLength(Math.min(wanted.length, 2_000));
    expect(scores).toEqual(scores.toSorted((left, right) => right - left));
  });

  it('goes on behind a key of nothing but control characters', async () => {
    const { storage } = clients();
    const prefix = `control/${door}/`;
    const wanted = ['\u{1}', '\u{2}'].map((character) => prefix + character.repeat(900));
    for (const objectKey of wanted) {
      await storage.recordObject({ object: { objectKey, storageBackend: 's3' } });
    }
    const first = await search('control', WEB, { prefix, pageSize: 1 });
    const second = await search('control', WEB, {
      ...{ prefix, pageSize: 1, pageToken: first.nextPageToken },
    });
    const found = [...first.hits, ...second.hits].map(({ object }) => object?.objectKey);
    expect(found).toEqual(wanted);
  });

  it('goes on behind index rows whose objects another program has removed', async () => {
    const prefix = `stale/${door}/`;
    const wanted = ['a', 'c'].map((name) => prefix + name);
    for (const objectKey of wanted) {
      await clients().storage.recordObject({ object: { objectKey, storageBackend: 's3' } });
    }
    await service.sql(
      `insert into storage_search
       select project_id, $1, storage_backend, search_vector, indexed_revision
       from storage_search where object_key = $2`,
      [`${prefix}b`, wanted[0]],
    );
    const asked = { prefix, pageSize: 1 };
    const first = await search('stale', WEB, asked);
    const second = await search('stale', WEB, { ...asked, pageToken: first.nextPageToken });
    expect([first, second].map(({ hits }) => hits[0]?.object?.objectKey)).toEqual(wanted);
  });

  it('ranks 2000 matches and says that there were more', async () => {
    const common = await search('common', WEB);
    expect(common.truncated).toBe(true);
    expect(common.hits).toHaveLength(50);
    expect((await search('common', WEB, { prefix: 'many/2/' })).truncated).toBe(false);
    expect((await search('invoice', WEB)).truncated).toBe(false);
    expect((await search('nowhere', WEB)).truncated).toBe(false);
    expect((await search('-', KEY_SUBSTRING)).truncated).toBe(true);
  });

  it('shows where it matches', async () => {
    const shown = async (query: string, syntax: SearchSyntax) => {
      const { hits } = await search(query, syntax, { highlight: true });
      return hits.map((hit) => hit.highlight);
    };
    expect(await shown('invoice & finance & 001', TSQUERY)).toEqual([
      'documents/«invoice»-2024-«001».pdf · department: «Finance»',
    ]);
    expect(await shown('"invoice 2024" -draft', WEB)).toEqual(['documents/«invoice-2024»-001.pdf']);
    expect(await shown('17 & true', TSQUERY)).toEqual(['parts.0.pages: «17» · parts.1: «true»']);
    expect(await shown('发票 财务', WEB)).toEqual([
      '合同/二零二四年«发票»扫描件.pdf · 部门: «财务»部',
    ]);
    expect(await shown('🎉 PARTY', WEB)).toEqual(['fotos/👍🏽-«party»-«🎉».jpg']);
    expect(await shown('straßenK', KEY_SUBSTRING)).toEqual(['archiv/Müller/«Straßenk»arte.pdf']);
    // What was searched are keys, though the content type has it too.
    expect(await shown('contract.pdf', KEY_SUBSTRING)).toEqual(['documents/«contract.pdf»']);
    expect(await shown('F', KEY_SUBSTRING)).toContain('documents/contract.pd«f»');
    expect((await search('invoice', WEB)).hits.map((hit) => hit.highlight)).toEqual(['', '', '']);
  });

  it('finds what is live, as it is now', async () => {
    const { storage } = clients();
    const objectKey = `live/${door}-zebra`;
    const object = { objectKey, storageBackend: 's3', metadata: { animal: 'okapi' } };
    await storage.recordObject({ object });
    expect(await keys('okapi', WEB, { prefix: objectKey })).toEqual([objectKey]);
    await storage.recordObject({ object: { ...object, metadata: { animal: 'gnu' } } });
    expect(await keys('okapi', WEB, { prefix: objectKey })).toEqual([]);
    expect(await keys('gnu', WEB, { prefix: objectKey })).toEqual([objectKey]);
    await storage.deleteObject({ objectKey });
    expect(await keys('gnu', WEB, { prefix: objectKey })).toEqual([]);
    expect(await keys(`${door}-zeb`, KEY_SUBSTRING, { prefix: objectKey })).toEqual([]);
    await storage.recordObject({ object });
    expect(await keys('okapi', WEB, { prefix: objectKey })).toEqual([objectKey]);
    const [row] = await service.sql(
      `select s.indexed_revision = o.revision as same from storage_search s
       join storage_objects o using (project_id, object_key) where object_key = $1`,
      [objectKey],
    );
    expect(row).toEqual({ same: true });
  });

  it('keeps projects apart', async () => {
    expect(await keys('common', WEB, { project: 'small' })).toEqual(['common-of-small']);
    expect(await keys('common of small', WEB)).toEqual([]);
    const refused = await failure(search('common', WEB, { project: 'none' }));
    expect(refused).toMatchObject({ reason: 'PROJECT_NOT_FOUND' });
  });

  it.each([
    ['invoice & & finance', 11, 'a word is missing before "&"'],
    ['invoice finance', 9, 'an operator is missing'],
    ['(invoice | tax', 1, 'a parenthesis is not closed'],
    ['invoice)', 8, 'a parenthesis is closed'],
    ['счёт &', 7, 'a word is missing at the end'],
    ["发票 & 'a", 6, 'a quote is not closed'],
    ['👍 <99999> a', 3, 'a distance is at most 16384'],
    ['a <x> b', 3, '"<" begins an operator'],
  ])('tells where the tsquery %s is broken', async (query, position, what) => {
    const refused = await failure(search(query, TSQUERY));
    expect(refused).toMatchObject({
      reason: 'INVALID_REQUEST',
      message: expect.stringContaining(`at character ${position} ${what}`),
      metadata: { position: String(position) },
      violations: [{ field: 'query' }],
    });
  });

  it.each([
    [WEB, '-invoice'],
    [WEB, '!?.'],
    [WEB, '—'],
    [TSQUERY, '!invoice'],
    [TSQUERY, 'invoice | !tax'],
    [TSQUERY, ' '],
    [TSQUERY, "'.'"],
    [KEY_SIMILAR, '🎉'],
  ])('refuses a query that asks for no word (%s, %s)', async (syntax, query) => {
    const refused = await failure(search(query, syntax));
    expect(refused).toMatchObject({
      reason: 'INVALID_REQUEST',
      violations: [{ field: 'query', description: expect.stringContaining('no word') }],
    });
  });

  it('refuses arguments beyond their bounds, and tokens of other searches', async () => {
    const { nextPageToken } = await search('common', WEB, { pageSize: 1 });
    const attempts = [
      [search('', WEB), 'query'],
      [search('x'.repeat(1025), WEB), 'query'],
      [search('x'.repeat(65), KEY_SIMILAR), 'query'],
      [search('x', 9 as SearchSyntax), 'syntax'],
      [search('x', WEB, { pageSize: 201 }), 'page_size'],
    ] as const;
    for (const [attempt, field] of attempts) {
      expect(await failure(attempt)).toMatchObject({ violations: [{ field }] });
    }
    const asked = { pageSize: 1, pageToken: nextPageToken };
    expect((await search('common', WEB, asked)).hits).toHaveLength(1);
    for (const other of [
      search('commons', WEB, asked),
      search('common', TSQUERY, asked),
      search('common', WEB, { ...asked, prefix: 'many/' }),
      search('common', WEB, { ...asked, storageBackend: 's3' }),
      search('common', WEB, { ...asked, pageToken: 'nonsense' }),
    ]) {
      expect(await failure(other)).toMatchObject({ reason: 'PAGE_TOKEN_INVALID' });
    }
  });
});
