// Commands on objects over handlers of the test's own: what they ask for, what they print of
// answers that a real service seldom gives, and how they end.

import { describe, expect, it } from 'vitest';
import { StowageError } from '../../src/errors.js';
import type { StorageHandlers } from '../support/doors.js';
import { linesOf, runAt, runOver } from '../support/object-commands.js';

const time = { seconds: 1_700_000_000n, nanos: 123_456_000 };
const object = (objectKey: string, size = 5n) => ({
  ...{ objectKey, size, storageBackend: 's3', lastModified: time },
});

describe('stowage ls', () => {
  it('lists page after page, objects and folders in byte order', async () => {
    const asked: unknown[] = [];
    const handlers: StorageHandlers = {
      listObjects(request) {
        asked.push(request);
        return request.pageToken === ''
          ? { objects: [object('p/\ue000')], folders: ['p/a/', 'p/🎉/'], nextPageToken: 'next' }
          : { objects: [object('p/🎉a', 123_456_789n)] };
      },
    };
    const { stdout, stderr, exitCode } = await runOver(handlers, ['ls', 'p/', '--limit', '9']);
    expect(exitCode).toBe(0);
    expect(stderr).toBe('');
    expect(linesOf(stdout)).toEqual([
      'LAST MODIFIED         SIZE  BACKEND  KEY',
      '                         -           p/a/',
      '2023-11-14T22:13:20Z   5 B  s3       p/\\u{e000}',
      '                         -           p/🎉/',
      '2023-11-14T22:13:20Z  117.7 MiB  s3       p/🎉a',
    ]);
    expect(asked).toMatchObject([
      { prefix: 'p/', delimiter: '/', orderBy: '', pageSize: 9, project: 'default' },
      { prefix: 'p/', delimiter: '/', pageSize: 6, pageToken: 'next' },
    ]);
    expect(asked[0]).toHaveProperty('freshness.demand', { case: 'strong', value: true });
  });

  it.each([
    [['--sort', 'size'], { orderBy: 'size desc', delimiter: '' }],
    [['--sort', 'modified', '--reverse'], { orderBy: 'last_modified', delimiter: '' }],
    [['--reverse'], { orderBy: 'object_key desc', delimiter: '' }],
    [['-r', '--backend', 's3', '--class', 'C'], { storageBackend: 's3', storageClass: 'C' }],
    [['--class', 'C'], { storageClass: 'C', delimiter: '' }],
    [['--backend', 's3'], { storageBackend: 's3', delimiter: '/' }],
    [['--backend', 's3', '--deleted'], { storageBackend: 's3', delimiter: '', showDeleted: true }],
    [['--filter', '{"a":[1]}'], { metadataFilter: { a: [1] }, delimiter: '', showDeleted: false }],
    [
      ['--where', 'metadata.a>=1', '--where', 'metadata.a<2'],
      { metadataComparisons: [{ path: 'a' }, { path: 'a' }], delimiter: '', orderBy: '' },
    ],
    [
      ['--where', 'metadata.a!b=""', '--where', 'metadata.a!b<"=x"'],
      {
        metadataComparisons: [
          { path: 'a!b', operand: { case: 'text', value: '' } },
          { path: 'a!b', operand: { case: 'text', value: '=x' } },
        ],
      },
    ],
  ])('with %j asks for it', async (args, expected) => {
    let asked: unknown;
    const handlers: StorageHandlers = {
      listObjects(request) {
        asked = request;
        return {};
      },
    };
    const { stdout, stderr, exitCode } = await runOver(handlers, ['ls', ...args]);
    expect({ stdout, stderr, exitCode }).toEqual({
      stdout: '',
      stderr: 'Nothing is there.\n',
      exitCode: 0,
    });
    expect(asked).toMatchObject(expected);
  });

  it('prints a JSON document a line', async () => {
    const handlers: StorageHandlers = {
      listObjects: () => ({ objects: [object('a\u009b'), object('b')], folders: ['a/'] }),
    };
    const { stdout } = await runOver(handlers, ['ls', '--json']);
    expect(stdout).not.toContain('\u009b');
    expect(linesOf(stdout).map((line) => JSON.parse(line))).toMatchObject([
      { folder: 'a/' },
      { objectKey: 'a\u009b', size: '5', lastModified: '2023-11-14T22:13:20.123456Z' },
      { objectKey: 'b' },
    ]);
  });

  it.each([
    [['--sort', 'owner']],
    [['--limit', '0']],
    [['--filter', '[]']],
    [['--where', 'owner=a']],
    [['--backend', '']],
    [['a', 'b']],
  ])('is a wrong command line with %j', async (args) => {
    const { exitCode, stdout, stderr } = await runOver({}, ['ls', ...args]);
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
    expect(stderr).toMatch(/^error: /);
  });
});

describe('stowage ls --where', () => {
  it.each([
    ['metadata.rank!=1', '!= is no operator'],
    ['metadata.rank==1', '== is no operator'],
    ['metadata.rank=>1', '=> is no operator'],
    ['metadata.rank<>1', '<> is no operator'],
    ['metadata.rank>=', 'no value stands behind >='],
    ['metadata.rank= ', 'no value stands behind ='],
    ['metadata.rank', 'must be like metadata.owner>=a'],
  ])('says what is wrong with %j', async (comparison, sentence) => {
    const { exitCode, stderr } = await runOver({}, ['ls', '--where', comparison]);
    expect(exitCode).toBe(2);
    expect(stderr).toContain(sentence);
  });
});

describe('stowage search', () => {
  const hit = (objectKey: string, score: number, highlight = '') => ({
    ...{ object: object(objectKey), score, highlight },
  });

  it('shows what matched below each hit, and says what it leaves out', async () => {
    const asked: unknown[] = [];
    const handlers: StorageHandlers = {
      searchObjects(request) {
        asked.push(request);
        const hits = [hit('a.pdf', 1.5, 'an «invoice»\u001b[2J'), hit('b/发票.pdf', 0.01)];
        return { hits, nextPageToken: 'next', truncated: true };
      },
    };
    const { stdout, stderr } = await runOver(handlers, [
      'search',
      'invoice',
      'tax',
      '--limit',
      '2',
    ]);
    expect(linesOf(stdout)).toEqual([
      ' SCORE  LAST MODIFIED         SIZE  KEY',
      '1.5000  2023-11-14T22:13:20Z   5 B  a.pdf',
      '        an «invoice»\\x1b[2J',
      '0.0100  2023-11-14T22:13:20Z   5 B  b/发票.pdf',
    ]);
    expect(linesOf(stderr)).toEqual([
      'More match than these 2: --limit shows more.',
      'So many match that not all were ranked: more words, or --prefix, find the best ones.',
    ]);
    expect(asked).toMatchObject([
      { query: 'invoice tax', pageSize: 2, highlight: true, syntax: 1 },
    ]);
  });

  it('shows what matched in bold on a terminal', async () => {
    const handlers: StorageHandlers = {
      searchObjects: () => ({ hits: [hit('a', 1, '«ab» «c»'), hit('x', 1, '«x»')] }),
    };
    const { stdout } = await runOver(handlers, ['search', 'x'], { isTerminal: true });
    expect(stdout).toContain('        \u001b[1mab\u001b[22m \u001b[1mc\u001b[22m\n');
    expect(stdout).toMatch(/x\n$/);
    expect(stdout).not.toContain('\u001b[1mx');
  });

  it('points at the place of a query that cannot be read', async () => {
    const handlers: StorageHandlers = {
      searchObjects() {
        throw new StowageError('INVALID_REQUEST', { metadata: { position: '4' } });
      },
    };
    const { stderr, exitCode } = await runOver(handlers, [
      'search',
      '--syntax',
      'tsquery',
      'a & & b',
    ]);
    expect(exitCode).toBe(1);
    expect(linesOf(stderr)).toEqual([
      expect.stringMatching(/^stowage search: INVALID_REQUEST: /),
      '  a & & b',
      '     ^',
    ]);
  });

  it('says that nothing matches', async () => {
    const { stdout, stderr, exitCode } = await runOver({ searchObjects: () => ({}) }, [
      'search',
      'x',
    ]);
    expect({ stdout, stderr, exitCode }).toEqual({
      stdout: '',
      stderr: 'Nothing matches.\n',
      exitCode: 0,
    });
  });
});

describe('stowage du', () => {
  it.each([
    [['--limit', '3'], '--limit is for --duplicates'],
    [['--duplicates', '--sort', 'size'], '--sort is for folders'],
  ])('refuses %j, which would do nothing', async (args, sentence) => {
    const { exitCode, stderr } = await runOver({}, ['du', ...args]);
    expect(exitCode).toBe(2);
    expect(stderr).toContain(sentence);
  });

  const usage = {
    objects: 1_300n,
    bytes: 10_000_000_000_000n,
    folders: [
      { folder: 'p/a/', objects: 1n, bytes: 512n },
      { folder: 'p/发/', objects: 1_200n, bytes: 9_999_999_999_000n },
    ],
    truncated: true,
  };

  it('has the total last, and the largest folder first where asked', async () => {
    const { stdout, stderr } = await runOver({ getUsage: () => usage }, [
      'du',
      'p/',
      '--sort',
      'size',
    ]);
    expect(linesOf(stdout)).toEqual([
      '   SIZE  OBJECTS  FOLDER',
      '9.1 TiB    1,200  p/发/',
      '  512 B        1  p/a/',
      '9.1 TiB    1,300  total',
    ]);
    expect(stderr).toBe('Only the first 2 folders are shown: a longer prefix has less.\n');
  });

  it('has every byte where asked, and the document of the API as JSON', async () => {
    const exact = await runOver({ getUsage: () => usage }, ['du', 'p/', '--bytes']);
    expect(linesOf(exact.stdout)[3]).toBe('10,000,000,000,000    1,300  total');
    const json = await runOver({ getUsage: () => usage }, ['du', '--json']);
    expect(JSON.parse(json.stdout)).toMatchObject({
      bytes: '10000000000000',
      folders: [{ folder: 'p/a/' }, { objects: '1200' }],
      truncated: true,
    });
  });
});

describe('stowage du --duplicates', () => {
  const group = (etag: string, copies: number) => ({
    ...{
      etag,
      size: 2_048n,
      objects: BigInt(copies),
      reclaimableBytes: 2_048n * BigInt(copies - 1),
    },
    objectKeys: Array.from(
      { length: Math.min(copies, 100) },
      (_, index) => `${etag}/\u001b${index}`,
    ),
  });
  const handlers: StorageHandlers = {
    async *findDuplicates({ prefix, storageBackend }) {
      yield { groups: [group(`${prefix}${storageBackend}`, 1_200)] };
      yield {};
      yield { groups: [group('b', 2), group('c', 3)] };
    },
  };

  it('shows each group with its first keys, as many as it may', async () => {
    const args = ['p', '--backend', 's3', '--limit', '2'];
    const { stdout, stderr, exitCode } = await runOver(handlers, ['du', '--duplicates', ...args]);
    expect(linesOf(stdout)).toEqual([
      '   SIZE  COPIES    SPARE  ETAG',
      '2.0 KiB   1,200  2.3 MiB  ps3',
      ...[0, 1, 2, 3, 4].map((index) => `    ps3/\\x1b${index}`),
      '    and 1,195 more',
      '2.0 KiB       2  2.0 KiB  b',
      '    b/\\x1b0',
      '    b/\\x1b1',
    ]);
    expect(stderr).toBe('More are duplicates than these 2: --limit shows more.\n');
    expect(exitCode).toBe(0);
  });

  it('prints a group a line as JSON, or says that there are none', async () => {
    const json = await runOver(handlers, ['du', '--duplicates', '--json']);
    const groups = linesOf(json.stdout).map((line) => JSON.parse(line));
    expect(groups.map(({ objects }) => objects)).toEqual(['1200', '2', '3']);
    const none: StorageHandlers = {
      async *findDuplicates() {
        yield { summary: {} };
      },
    };
    const ran = await runOver(none, ['du', '--duplicates']);
    expect(ran).toEqual({
      exitCode: 0,
      stdout: '',
      stderr: 'Nothing is there more than once.\n',
    });
  });

  it('is no success where the stream is cut', async () => {
    const ran = await runOver(handlers, ['du', '--duplicates', '--json']);
    expect(ran.exitCode).toBe(1);
    expect(ran.stderr).toMatch(/does not answer: the duplicates ended without their summary\n$/);
  });
});

describe('stowage stats', () => {
  const exact = (value: bigint) => ({ value, exact: true });
  const about = (value: bigint) => ({ value, exact: false });

  it('marks what is estimated and says what the mark means', async () => {
    const statistics = {
      backends: [
        { storageBackend: 's3', objects: about(1_234_567n), bytes: about(5_000_000_000n) },
        { storageBackend: 'локально', objects: exact(3n), bytes: exact(12n) },
      ],
      objects: about(1_234_570n),
      bytes: about(5_000_000_012n),
      versions: about(2_000_000n),
      auditEvents24h: exact(12n),
      hookExecutions24h: exact(0n),
    };
    const { stdout } = await runOver({ getStatistics: () => statistics }, ['stats']);
    expect(linesOf(stdout)).toEqual([
      'BACKEND      OBJECTS      SIZE',
      's3        ~1,234,567  ~4.7 GiB',
      'локально           3      12 B',
      'total     ~1,234,570  ~4.7 GiB',
      '',
      'FIGURE                           COUNT',
      'versions                    ~2,000,000',
      'audit events, last 24 h             12',
      'hook executions, last 24 h           0',
      '',
      '~ estimated from a sample',
    ]);
  });

  it('has no footnote where all is counted', async () => {
    const statistics = { objects: exact(0n), bytes: exact(0n), versions: exact(0n) };
    const { stdout } = await runOver({ getStatistics: () => statistics }, ['stats']);
    expect(stdout).not.toContain('~');
  });
});

describe('stowage get', () => {
  it('shows a field a line and lets nothing act on the terminal', async () => {
    const handlers: StorageHandlers = {
      getObject: ({ objectKey }) => ({
        object: {
          ...object(objectKey, 2_048n),
          owner: 'o\u001b[2J',
          metadata: { 'k\u009b': ['a\nb'] },
          revision: 3n,
        },
      }),
    };
    const { stdout } = await runOver(handlers, ['get', 'a\u001b]0;x\u0007\nb']);
    expect(linesOf(stdout)).toEqual([
      'key            a\\x1b]0;x\\x07\\nb',
      'size           2.0 KiB (2,048 bytes)',
      'backend        s3',
      'owner          o\\x1b[2J',
      'last modified  2023-11-14T22:13:20.123456Z',
      'revision       3',
      'metadata       {',
      '                 "k\\u009b": [',
      '                   "a\\nb"',
      '                 ]',
      '               }',
    ]);
  });

  it('ends with 1 and one sentence where a server does not answer', async () => {
    const { exitCode, stderr } = await runAt('127.0.0.1:1', ['get', 'a']);
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/^stowage get: 127\.0\.0\.1:1 does not answer: [^\n]+\n$/);
  });
});
