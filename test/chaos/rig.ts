/**
 * What a run runs on: a cluster of its own, two servers, and a line from each server to each node.
 * All of it in temporary folders and on loopback; closing it leaves nothing behind.
 */

import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type EmbeddedCluster, removeCluster, startCluster } from '../../src/embedded/index.js';
import { migrateUp } from '../../src/postgres/migrate.js';
import { createServiceLogin } from '../../src/postgres/service-login.js';
import { nativeFolderForTests } from '../support/postgres-version.js';
import { quickFolder } from '../support/quick-folder.js';
import { openProxy, type TcpProxy } from '../support/tcp-proxy.js';
import { Caller } from './caller.js';
import { ServerProcess } from './server-process.js';

/** The database, and how the service logs in to it. */
export const DATABASE = 'stowage';
const LOGIN = { user: 'stowage_chaos', password: 'stowage_chaos' };

const STANDBYS = 2;
const SERVERS = 2;

/** A running rig. */
export class Rig {
  readonly cluster: EmbeddedCluster;
  readonly servers: readonly ServerProcess[];
  /** One a server. */
  readonly callers: readonly Caller[];
  /** For each server the lines to the nodes, by the node's name. */
  readonly lines: readonly ReadonlyMap<string, TcpProxy>[];
  readonly #dataDirectory: string;

  private constructor(
    cluster: EmbeddedCluster,
    dataDirectory: string,
    lines: readonly ReadonlyMap<string, TcpProxy>[],
    mutant: string | undefined,
  ) {
    this.cluster = cluster;
    this.#dataDirectory = dataDirectory;
    this.lines = lines;
    this.servers = lines.map((own, index) => {
      const name = `server-${index}`;
      const hosts = [...own.values()].map(({ address }) => address).join(',');
      const databaseUrl = `postgres://${LOGIN.user}:${LOGIN.password}@${hosts}/${DATABASE}`;
      const logFile = join(dataDirectory, `${name}.log`);
      return new ServerProcess({ name, databaseUrl, logFile, mutant });
    });
    this.callers = [];
  }

  /** Starts everything. @param mutant the planted bug of the servers, if any */
  static async start(mutant: string | undefined): Promise<Rig> {
    const dataDirectory = await mkdtemp(join(quickFolder(), 'stowage-test-chaos-'));
    const nativeFolder = await nativeFolderForTests();
    const cluster = await startCluster({
      ...{ dataDirectory, nativeFolder, standbys: STANDBYS, database: DATABASE, fsync: false },
      // Beside a loaded machine the nodes still end and follow in moments.
      settings: { wal_receiver_timeout: '5s', wal_sender_timeout: '5s' },
    });
    const lines = await Promise.all(Array.from({ length: SERVERS }, () => openLines(cluster)));
    const rig = new Rig(cluster, dataDirectory, lines, mutant);
    try {
      await migrateUp({ database: cluster.superuserUrl() });
      await createServiceLogin(cluster.superuserUrl(), LOGIN);
      await cluster.waitUntilCaughtUp();
      await Promise.all(rig.servers.map((server) => server.start()));
      return rig.#connected();
    } catch (error) {
      await rig.stop();
      throw error;
    }
  }

  #connected(): Rig {
    const callers = this.servers.map(({ address }) => new Caller(address));
    return Object.assign(this, { callers });
  }

  /** The name under which a server knows a node. */
  nodeName(server: number, node: string): string {
    return this.lines[server]?.get(node)?.address ?? '';
  }

  /** The lines of every server to a node. */
  linesTo(node: string): TcpProxy[] {
    return this.lines.flatMap((own) => own.get(node) ?? []);
  }

  /** Where the logs of the servers are. */
  get folder(): string {
    return this.#dataDirectory;
  }

  /** Ends everything and removes its data. @param keepsLogs whether the servers' logs stay */
  async stop(keepsLogs = false): Promise<void> {
    for (const caller of this.callers) caller.close();
    await Promise.all(this.servers.map((server) => server.stop('SIGKILL')));
    for (const server of this.servers) server.close();
    const lines = this.lines.flatMap((own) => [...own.values()]);
    await Promise.all(lines.map((line) => line[Symbol.asyncDispose]()));
    await this.cluster.stop();
    await removeCluster(this.#dataDirectory);
    if (!keepsLogs) await rm(this.#dataDirectory, { recursive: true, force: true });
  }
}

/** A line to each node, by the node's name. */
async function openLines({ nodes }: EmbeddedCluster): Promise<ReadonlyMap<string, TcpProxy>> {
  const open = async ({ name, port }: EmbeddedCluster['nodes'][number]) =>
    [name, await openProxy(`tcp://127.0.0.1:${port}`)] as const;
  return new Map(await Promise.all(nodes.map(open)));
}
