/** The database of one lane: a cluster of its own, with fsync, migrated, in a temporary folder. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { type EmbeddedCluster, removeCluster, startCluster } from '../../src/embedded/index.js';
import { migrateUp } from '../../src/postgres/migrate.js';
import { createServiceLogin } from '../../src/postgres/service-login.js';

const LOGIN = { user: 'stowage_bench', password: 'stowage_bench' };
const DATABASE = 'stowage';

/** A migrated database. */
export interface BenchDatabase {
  /** Its nodes, and what may be done to them. */
  readonly cluster: EmbeddedCluster;
  /** The superuser's, on the primary. */
  readonly adminUrl: string;
  /** The service's, with all nodes. */
  readonly serviceUrl: string;
  /** The service's, on the primary alone. */
  readonly primaryUrl: string;
  /** The service's, on these ports of this machine: of some nodes, or of proxies before them. */
  urlAt(ports: readonly number[]): string;
  /** Resolves once every standby has what was committed. */
  whenReplicated(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts the cluster, migrates it and makes the service's login. */
export async function startDatabase(standbys: number): Promise<BenchDatabase> {
  const dataDirectory = await mkdtemp(join(tmpdir(), 'stowage-bench-'));
  const cluster = await startCluster({ dataDirectory, standbys, database: DATABASE });
  const stop = async () => {
    await cluster.stop();
    await removeCluster(dataDirectory);
    await rm(dataDirectory, { recursive: true, force: true });
  };
  try {
    const adminUrl = cluster.superuserUrl();
    await migrateUp({ database: adminUrl });
    await createServiceLogin(adminUrl, LOGIN);
    return {
      cluster,
      adminUrl,
      serviceUrl: urlAt([cluster.primary, ...cluster.standbys].map(({ port }) => port)),
      primaryUrl: urlAt([cluster.primary.port]),
      urlAt,
      whenReplicated: async () => {
        await Promise.all(cluster.standbys.map(({ name }) => cluster.waitUntilCaughtUp(name)));
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

function urlAt(ports: readonly number[]): string {
  const hosts = ports.map((port) => `127.0.0.1:${port}`).join(',');
  return `postgres://${LOGIN.user}:${LOGIN.password}@${hosts}/${DATABASE}`;
}

/** Opens a connection. The rig closes it. */
export async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, application_name: 'stowage bench' });
  await client.connect();
  return client;
}
