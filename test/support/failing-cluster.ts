/**
 * A cluster of a file's own whose nodes fail, with a migrated database: what is done to it beside
 * the verbs of the embedded cluster, and how it is mended.
 */
import { chown, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import type { EmbeddedCluster } from '../../src/embedded/index.js';
import { until } from '../../src/lib/wait.js';
import { startTestCluster, type TestCluster } from './cluster.js';
import {
  asLogin,
  atDatabase,
  createTestDatabase,
  openConnection,
  type TestConnection,
  type TestDatabase,
} from './database.js';

const WAIT = { timeoutMs: 20_000 };

/** A primary and two standbys, `a` to `c` by their first roles; there once the tests run. */
export interface FailingCluster {
  readonly cluster: EmbeddedCluster;
  /** In it the service's tables; `url` and `serviceUrl` lead to the first primary. */
  readonly database: TestDatabase;
  /** The letter of a node by its address; undefined for another. */
  nameOf(address: string): string | undefined;
  /** `127.0.0.1:port`. */
  addressOf(name: string): string;
  /** Runs SQL as the superuser in the service's database, on a connection of its own. */
  sql<Row extends Record<string, unknown>>(
    name: string,
    text: string,
    values?: readonly unknown[],
  ): Promise<Row[]>;
  /** A connection to the service's database; who calls it ends it. */
  connect(name: string, as: 'superuser' | 'service'): Promise<TestConnection>;
  /** Changes a setting with ALTER SYSTEM; processes take it in one by one. */
  alter(name: string, text: string): Promise<void>;
  /** Resolves once a backend of the service's database on the node waits so. */
  untilWaiting(name: string, waitEvent: string): Promise<void>;
  /** Cuts the standbys off and lets every commit wait for one. */
  holdCommits(): Promise<void>;
  /** Ends the waits of commits, as an administrator does; they stand on the primary alone. */
  cancelHeldCommits(): Promise<number>;
  /** Undoes `holdCommits`. */
  releaseCommits(): Promise<void>;
  /**
   * Starts a node as a standby on the data that it has, as an operator in a hurry does. It follows
   * where nothing in them is beyond the present primary's history; else it stands there, says
   * nothing, and serves what it has.
   */
  rejoinNaively(name: string): Promise<void>;
  /** Brings back one primary, the last that was promoted, with every other node following it. */
  mend(): Promise<void>;
}

/** Registers the hooks that start and stop the cluster. */
export function useFailingCluster(): FailingCluster {
  let test: TestCluster | undefined;
  let database: TestDatabase | undefined;
  beforeAll(async () => {
    // What vacuums and when, a test decides.
    test = await startTestCluster({ standbys: 2, settings: { autovacuum: 'off' } });
    database = await createTestDatabase(test.cluster.superuserUrl());
  });
  afterAll(async () => {
    await test?.stop();
  });
  return failingCluster(
    () => known(test).cluster,
    () => known(database),
  );
}

function known<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('the cluster is there once the tests run');
  return value;
}

function failingCluster(
  clusterOf: () => EmbeddedCluster,
  databaseOf: () => TestDatabase,
): FailingCluster {
  const connect: FailingCluster['connect'] = (name, as) => {
    const { serviceUrl, name: database } = databaseOf();
    const url = atDatabase(clusterOf().superuserUrl(name), database);
    if (as === 'superuser') return openConnection(url);
    const { username: user, password } = new URL(serviceUrl ?? '');
    return openConnection(asLogin(url, { user, password }));
  };
  const sql: FailingCluster['sql'] = async (name, text, values) => {
    const connection = await connect(name, 'superuser');
    try {
      return await connection.query(text, values);
    } finally {
      await connection.end();
    }
  };
  const alter: FailingCluster['alter'] = async (name, text) => {
    await sql(name, text);
    await sql(name, 'select pg_reload_conf()');
  };
  const held = new HeldCommits(clusterOf, sql, alter);
  return {
    get cluster() {
      return clusterOf();
    },
    get database() {
      return databaseOf();
    },
    nameOf: (address) =>
      clusterOf().nodes.find(({ port }) => address === `127.0.0.1:${port}`)?.name,
    addressOf: (name) => `127.0.0.1:${clusterOf().node(name).port}`,
    sql,
    connect,
    alter,
    untilWaiting: async (name, waitEvent) => {
      const connection = await connect(name, 'superuser');
      const isWaiting = async () => {
        const rows = await connection.query(
          'select from pg_stat_activity where datname = current_database() and wait_event = $1',
          [waitEvent],
        );
        return rows.length > 0;
      };
      await until(isWaiting, { ...WAIT, what: `a backend of ${name} waits in ${waitEvent}` });
      await connection.end();
    },
    holdCommits: () => held.hold(),
    cancelHeldCommits: () => held.cancel(),
    releaseCommits: () => held.release(),
    rejoinNaively: (name) => rejoinNaively(clusterOf(), name),
    mend: () => mend(clusterOf()),
  };
}

/** Commits that wait for a standby, where none is there. */
class HeldCommits {
  readonly #clusterOf: () => EmbeddedCluster;
  readonly #sql: FailingCluster['sql'];
  readonly #alter: FailingCluster['alter'];

  constructor(
    clusterOf: () => EmbeddedCluster,
    sql: FailingCluster['sql'],
    alter: FailingCluster['alter'],
  ) {
    this.#clusterOf = clusterOf;
    this.#sql = sql;
    this.#alter = alter;
  }

  async hold(): Promise<void> {
    const cluster = this.#clusterOf();
    await Promise.all(cluster.standbys.map(({ name }) => cluster.cutReplication(name)));
    const { name } = cluster.primary;
    await this.#sql(name, 'create table if not exists held_probe (at timestamptz)');
    await this.#alter(name, "alter system set synchronous_standby_names = '*'");
    const isHeld = () => this.#isProbeHeld(name);
    await until(isHeld, { ...WAIT, what: 'the setting has reached every process' });
  }

  /** A reload is taken in process by process: a commit of the test's own tells. */
  async #isProbeHeld(name: string): Promise<boolean> {
    let isThrough = false;
    const commit = this.#sql(name, 'insert into held_probe values (now())').then(() => {
      isThrough = true;
    });
    const isSeen = async () => isThrough || (await this.cancel()) > 0;
    await until(isSeen, { ...WAIT, what: 'a commit is held or through' });
    const isHeld = !isThrough;
    await commit;
    return isHeld;
  }

  async cancel(): Promise<number> {
    const cancelled = await this.#sql(
      this.#clusterOf().primary.name,
      `select pg_cancel_backend(pid) from pg_stat_activity
       where datname = current_database() and wait_event = 'SyncRep'`,
    );
    return cancelled.length;
  }

  async release(): Promise<void> {
    const cluster = this.#clusterOf();
    const { name } = cluster.primary;
    await this.#alter(name, 'alter system reset synchronous_standby_names');
    const standbys = cluster.standbys.filter((node) => node.isRunning && node.role === 'standby');
    for (const standby of standbys) await cluster.repoint(standby.name, name);
    await cluster.waitUntilCaughtUp();
  }
}

async function rejoinNaively(cluster: EmbeddedCluster, name: string): Promise<void> {
  const node = cluster.node(name);
  if (node.isRunning) await node.stop();
  const signal = join(node.folder, 'standby.signal');
  await writeFile(signal, '', { mode: 0o600 });
  const { uid, gid } = await stat(node.folder);
  await chown(signal, uid, gid);
  await node.configure({ port: cluster.primary.port });
  await cluster.restart(name);
}

async function mend(cluster: EmbeddedCluster): Promise<void> {
  const { primary } = cluster;
  const alive = cluster.nodes.filter(({ isRunning }) => isRunning);
  await Promise.all(alive.map((node) => node.signal('SIGCONT')));
  if (!primary.isRunning) await cluster.restart(primary.name);
  // On one connection each, and all at once: it is done before every test.
  const running = cluster.nodes.filter(({ isRunning }) => isRunning);
  await Promise.all(
    running.map((node) =>
      node.connect(async (sql) => {
        await sql('alter system reset all');
        await sql('select pg_reload_conf()');
        if (node.role === 'standby') await sql('select pg_wal_replay_resume()');
      }),
    ),
  );
  // One that has diverged connects again and again, and never streams.
  const following = await primary.query<{ name: string }>(
    "select application_name as name from pg_stat_replication where state = 'streaming'",
  );
  const names = following.map(({ name }) => name);
  const missing = cluster.standbys.filter(({ name }) => !names.includes(name));
  await Promise.all(missing.map(({ name }) => cluster.rejoin(name)));
  await cluster.waitUntilCaughtUp();
}
