/** A tsquery is refused exactly where PostgreSQL refuses it, and else means the same. */

import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { StowageError } from '../../src/errors.js';
import { readWebQuery } from '../../src/store/search-query.js';
import { readTsquery } from '../../src/store/search-tsquery.js';
import { sharedCluster } from '../support/cluster.js';
import { createTestDatabase, type TestConnection, type TestDatabase } from '../support/database.js';

let database: TestDatabase;
let connection: TestConnection;

beforeAll(async () => {
  database = await createTestDatabase(sharedCluster().nodes[0]?.url ?? '');
  connection = await database.connect();
  await connection.query(`set client_min_messages = 'error'`);
});

afterAll(() => database.drop());

/** What PostgreSQL makes of a tsquery: the query in its own form, or undefined. */
async function readByPostgres(query: string): Promise<string | undefined> {
  try {
    const [row] = await connection.query<{ read: string }>(
      `select to_tsquery('simple', $1)::text as read`,
      [query],
    );
    return row?.read;
  } catch (error) {
    // 42601: syntax; 22023: a distance out of range; 22026: a word too long.
    expect(error).toMatchObject({ code: expect.stringMatching(/^(?:42601|22023)$/) });
    return undefined;
  }
}

/** What our form of it is to PostgreSQL; undefined where we refuse it, with the position told. */
async function readByUs(query: string): Promise<string | undefined> {
  let tsquery: string;
  try {
    ({ tsquery } = readTsquery(query));
  } catch (error) {
    if (!(error instanceof StowageError)) throw error;
    const position = Number(error.metadata['position']);
    expect(position).toBeGreaterThanOrEqual(1);
    expect(position).toBeLessThanOrEqual(Array.from(query).length + 1);
    return undefined;
  }
  const read = await readByPostgres(tsquery);
  expect(read, `${tsquery} is accepted`).toBeDefined();
  return read;
}

const pieces = [
  ...['a', 'b', 'foo', 'ü', 'счёт', '发票', '1', '*', '%', '.', '-', '"', ';'],
  ...["'", "''", "'a b'", '\\', '!', '&', '|', '(', ')', '<', '>', '<->', '<2>', '<0>'],
  ...['<16384>', '<16385>', '<99999999999999999999>', '<x>', ':', ':*', ':A', ':bD*', ' ', '  '],
];
const text = (maxLength: number) =>
  fc.array(fc.constantFrom(...pieces), { maxLength }).map((parts) => parts.join(''));

/** Queries without a broken part, of words that are one word to everybody. */
const { query: sound } = fc.letrec<{ query: string }>((tie) => ({
  query: fc.oneof(
    { maxDepth: 5 },
    fc.constantFrom('a', "'b'", 'foo:*', 'ü:A', "'счёт':BC"),
    fc
      .tuple(tie('query'), fc.constantFrom('&', ' | ', '<->', ' <3> '), tie('query'))
      .map((parts) => parts.join('')),
    tie('query').map((inner) => `(${inner})`),
    tie('query').map((inner) => `!${inner}`),
  ),
}));

describe('a tsquery', () => {
  it('is refused where PostgreSQL refuses it', async () => {
    await fc.assert(
      fc.asyncProperty(text(10), async (query) => {
        const wanted = await readByPostgres(query);
        const read = await readByUs(query);
        expect(read === undefined).toBe(wanted === undefined);
      }),
      { numRuns: 4_000 },
    );
  });

  it('means what PostgreSQL takes it for', async () => {
    await fc.assert(
      fc.asyncProperty(sound, async (query) => {
        const [row] = await connection.query<{ same: boolean }>(
          `select to_tsquery('simple', $1) = to_tsquery('simple', $2) as same`,
          [query.replaceAll('!!', ''), readTsquery(query).tsquery],
        );
        expect(row).toEqual({ same: true });
      }),
      { numRuns: 1_000 },
    );
  });

  it('may be nested as deep as its length allows', async () => {
    const nested = `${'('.repeat(511)}a${')'.repeat(511)}`;
    expect(await readByUs(nested)).toBe("'a'");
    expect(await readByUs(`${'!'.repeat(1023)}a`)).toBe("!'a'");
  });
});

describe('a web query', () => {
  it('is accepted whatever it is', async () => {
    const any = fc.oneof(text(20), fc.string({ unit: 'binary', maxLength: 200 }));
    await fc.assert(
      fc.asyncProperty(
        any.map((query) => query.replaceAll('\0', '').toWellFormed()),
        async (query) => {
          expect(await readByPostgres(readWebQuery(query).tsquery)).toBeDefined();
        },
      ),
      { numRuns: 2_000 },
    );
  });
});
