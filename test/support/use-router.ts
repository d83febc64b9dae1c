/** A migrated database and a router on it, for all tests of a file. */

import { afterAll, afterEach, beforeAll } from 'vitest';
import type { PostgresSettings } from '../../src/config.js';
import { until } from '../../src/lib/wait.js';
import type { RouterHandle, RouterOptions } from '../../src/postgres/router-handle.js';
import { sharedCluster } from './cluster.js';
import { createTestDatabase, type TestConnection, type TestDatabase } from './database.js';
import { settled, startTestRouter } from './router.js';

/** What the tests of a file share; there once `beforeAll` has run. */
export interface RouterFixture {
  readonly router: RouterHandle;
  readonly database: TestDatabase;
  /** The superuser, on the primary. */
  readonly admin: TestConnection;
}

/** How the file wants it. */
export interface RouterFixtureOptions {
  readonly settings?: Partial<PostgresSettings>;
  readonly router?: RouterOptions;
  /** Statements that the superuser runs in the fresh database. */
  readonly prepare?: readonly string[];
}

/**
 * Registers the hooks. After each test all leases must come back and no backend may be left in a
 * transaction.
 */
export function useRouter(options: RouterFixtureOptions = {}): RouterFixture {
  const made: Partial<{ -readonly [Key in keyof RouterFixture]: RouterFixture[Key] }> = {};
  beforeAll(async () => {
    const { nodes } = sharedCluster();
    made.database = await createTestDatabase(nodes[0]?.url ?? '');
    made.admin = await made.database.connect();
    for (const text of options.prepare ?? []) await made.admin.query(text);
    const target = { url: made.database.serviceUrl ?? '', nodes };
    const router = await startTestRouter(target, options.settings, options.router);
    made.router = router;
    // Until they have replayed the row of the timeline, standbys are read by nobody.
    const areKnown = () => router.topology().nodes.every(({ state }) => state !== 'unknown');
    await until(areKnown, { timeoutMs: 20_000, what: 'all nodes are known' });
  });
  afterEach(async () => {
    const { router, admin, database } = made;
    if (router === undefined || admin === undefined) return;
    await settled(router);
    const left = await admin.query(
      `select query from pg_stat_activity
       where datname = $1 and state like 'idle in transaction%'`,
      [database?.name],
    );
    if (left.length > 0) throw new Error(`left in a transaction: ${JSON.stringify(left)}`);
  });
  afterAll(async () => {
    await made.router?.close();
    await made.database?.drop();
  });
  const get = <Key extends keyof RouterFixture>(key: Key): RouterFixture[Key] => {
    const value = made[key];
    if (value === undefined) throw new Error(`${key} is there once the tests run`);
    return value;
  };
  return {
    get router() {
      return get('router');
    },
    get database() {
      return get('database');
    },
    get admin() {
      return get('admin');
    },
  };
}
