// Every statement of the registry on a real cluster, as the service's own role: each is prepared,
// each `read` runs on a standby, each `write` is refused there.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { NEVER } from '../src/lib/interruption.js';
import { until } from '../src/lib/wait.js';
import type { Lease } from '../src/postgres/lease.js';
import { ConnectionPool } from '../src/postgres/pool.js';
import { type Statement, statements } from '../src/postgres/statement.js';
import { TEXT_MAX } from '../src/store/admin/slow-statements.sql.js';
import { statementName } from '../src/store/admin/statement-text.js';
import { sharedCluster } from './support/cluster.js';
import { atDatabase, createTestDatabase, type TestDatabase } from './support/database.js';
import { testSettings } from './support/router.js';

const source = join(import.meta.dirname, '../src');
const files: string[] = [];
for (const file of await readdir(source, { recursive: true })) {
  if (!file.endsWith('.ts')) continue;
  const path = join(source, file);
  if (/= statement[<(]/.test(await readFile(path, 'utf8'))) files.push(path);
}
await Promise.all(files.map((path) => import(pathToFileURL(path).href)));

const limits = () => ({ signal: NEVER, deadlineMs: performance.now() + 10_000 });
const READ_ONLY = '25006';

/** How many parameters a statement has. */
function parameterCount({ text }: Statement<unknown>): number {
  return Math.max(0, ...[...text.matchAll(/\$(\d+)/g)].map(([, number]) => Number(number)));
}

/** Runs a statement with nulls: whether it runs is asked, not what it finds. */
async function runWithNulls(lease: Lease, statement: Statement<unknown>): Promise<unknown> {
  const params = Array(parameterCount(statement)).fill(null);
  try {
    await lease.run([{ statement, params }], limits());
    return undefined;
  } catch (error) {
    return error;
  }
}

describe('The statements', () => {
  let database: TestDatabase;
  let pools: readonly [ConnectionPool, ConnectionPool];

  beforeAll(async () => {
    const [primary, standby] = sharedCluster().nodes;
    if (primary === undefined || standby === undefined) throw new Error('a node is missing');
    database = await createTestDatabase(primary.url);
    // The schema does without it, and the service sends what names it only where it is there.
    const connection = await database.connect();
    await connection.query('create extension pg_stat_statements');
    const nodes = [primary, standby];
    const settings = testSettings({ url: database.serviceUrl ?? '', nodes });
    const options = { purpose: 'unary', sizeMax: 1, sizeMin: 0 } as const;
    pools = [
      new ConnectionPool(settings, primary, options),
      new ConnectionPool(settings, standby, options),
    ];
    await until(() => isReady(pools[1]), {
      timeoutMs: 20_000,
      what: 'the standby has replayed the database, its login and its extension',
    });
  });

  afterAll(async () => {
    await Promise.all((pools ?? []).map((pool) => pool.close(1_000)));
    await database?.drop();
  });

  const onPrimary = async (statement: Statement<unknown>) => {
    const lease = await pools[0].acquire(limits());
    const run = (name: string, text: string) =>
      lease.run([{ statement: { name, text }, params: [] }], limits());
    try {
      await run(`prepare ${statement.name}`, `prepare tested as ${statement.text}`);
      await run('deallocate', 'deallocate tested');
    } finally {
      lease.release('clean');
    }
  };
  const onStandby = async (statement: Statement<unknown>) => {
    const lease = await pools[1].acquire(limits());
    try {
      return await runWithNulls(lease, statement);
    } finally {
      lease.release('clean');
    }
  };
  const withIntent = (intent: Statement['intent']) =>
    statements().filter((statement) => statement.intent === intent);
  /** Transaction control has no plan to prepare. */
  const planned = statements().filter(({ text }) => !/^(?:begin|commit|rollback)\b/.test(text));

  it('are found in every file of statements', () => {
    expect(statements().length).toBeGreaterThan(files.length);
  });

  it.each(planned)('$name is prepared by the role of the service', onPrimary);

  it.each(withIntent('read'))('$name runs on a standby', async (statement) => {
    expect(await onStandby(statement)).toBeUndefined();
  });

  it('are known by name in what PostgreSQL counts, behind its changes to their text', async () => {
    const standby = await database.connect(
      atDatabase(sharedCluster().nodes[1]?.url ?? '', database.name),
    );
    const counted = await standby.query<{ query: string }>(
      `select query from pg_stat_statements
       where dbid = (select oid from pg_database where datname = current_database())`,
    );
    const known = new Set(counted.flatMap(({ query }) => statementName(query).split(', ')));
    const unknown = withIntent('read').filter(({ name }) => !known.has(name));
    expect(unknown.map(({ name }) => name)).toEqual([]);
    expect(statementName('COMMIT')).toBe('');
    expect(statementName(' commit;').split(', ').sort()).toEqual(['commit', 'commit-read']);
    expect(statements().every(({ text }) => text.length < TEXT_MAX)).toBe(true);
  });

  it.each(withIntent('write'))('$name is refused by a standby', async (statement) => {
    expect(await onStandby(statement)).toMatchObject({ code: READ_ONLY });
  });
});

async function isReady(pool: ConnectionPool): Promise<boolean> {
  try {
    const lease = await pool.acquire(limits());
    try {
      const text = `select from pg_extension where extname = 'pg_stat_statements'`;
      const [found] = await lease.run(
        [{ statement: { name: 'find extension', text }, params: [] }],
        limits(),
      );
      return found?.rows.length === 1;
    } finally {
      lease.release('clean');
    }
  } catch {
    return false;
  }
}
