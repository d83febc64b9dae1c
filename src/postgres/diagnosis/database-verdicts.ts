/** Whether the database is made for the texts that it is to hold: encoding, ctype, collation. */

import type { NodeFacts } from './facts.js';
import { type Finding, fail, ok, sqlName, warn } from './finding.js';

type DatabaseFacts = NodeFacts['database'];

const made = (name: string): string =>
  `create database ${name} encoding 'UTF8' template template0 locale_provider builtin ` +
  "builtin_locale 'C.UTF-8' lc_collate 'C' lc_ctype 'C.UTF-8';";

/** A change of either takes a new database, because every index depends on it. */
const anew =
  'Make a new database and move the data with pg_dump and pg_restore. PostgreSQL 15 and 16 have ' +
  'no locale_provider builtin: leave it and builtin_locale out there.';

/** The check `encoding`. */
export function encodingVerdict({ encoding }: DatabaseFacts, database: string): Finding {
  if (encoding === 'UTF8') return ok('encoding', 'UTF8');
  return fail(
    'encoding',
    `the database's encoding is ${encoding}, which cannot hold every name`,
    anew,
    made(sqlName(`${database}_utf8`)),
  );
}

const providers: Readonly<Record<string, string>> = { b: 'builtin', c: 'libc', i: 'icu' };

/**
 * The check `ctype`. With ctype C PostgreSQL knows letters of ASCII only: Ü is no capital of ü, and
 * a Cyrillic word has no trigrams at all. The latter goes by lc_ctype whoever provides the locale.
 */
export function ctypeVerdict(facts: DatabaseFacts, database: string): Finding {
  const provider = providers[facts.provider] ?? facts.provider;
  const locale = facts.provider === 'c' ? facts.ctype : (facts.locale ?? facts.ctype);
  const plain = [locale, facts.ctype].find((each) => each === 'C' || each === 'POSIX');
  if (plain === undefined) return ok('ctype', `${locale} (${provider})`);
  return warn(
    'ctype',
    `the ctype is ${plain}: search finds words beyond ASCII badly or not at all`,
    anew,
    made(sqlName(`${database}_utf8`)),
  );
}

/** The check `collation`: has the system changed its order since the indexes were made? */
export function collationVerdict(facts: DatabaseFacts, database: string): Finding {
  const { recorded_version: recorded, actual_version: actual } = facts;
  if (recorded === null || recorded === actual) {
    return ok('collation', recorded === null ? 'has no version' : `version ${recorded}, as made`);
  }
  const name = sqlName(database);
  return warn(
    'collation',
    `indexes were made with collation version ${recorded}, the system has ${actual ?? 'none'}`,
    'Rows may not be found by their text. Make the indexes anew, on the primary:',
    `reindex database ${name};`,
    `alter database ${name} refresh collation version;`,
  );
}
