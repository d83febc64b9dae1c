/**
 * One server of the cluster: its folder, port, process and settings. Knows nothing of the other
 * nodes; what concerns two of them is the cluster's.
 */
import type { ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { open, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { QueryResultRow } from 'pg';
import { pause, until } from '../lib/wait.js';
import { renderSettings, SETTINGS_NAME, SUPERUSER, type Upstream } from './configuration.js';
import { type RunSql, withConnection } from './connection.js';
import type { ClusterContext } from './context.js';
import { EmbeddedError } from './embedded-error.js';
import { exists, replaceFile } from './files.js';
import {
  findPostmaster,
  hasEnded,
  killPostmaster,
  readPostmasterFile,
  removeForeignPidFile,
  signalAll,
  spawnPostmaster,
  stopPostmaster,
} from './postmaster.js';

const READY_TIMEOUT_MS = 60_000;
const LEFTOVER_TIMEOUT_MS = 10_000;
const LOG_BYTES_MAX = 8 * 1024 * 1024;
const LOG_TAIL_BYTES = 1_500;

/** A node's part in replication, read from its data: what it is or would start as. */
export type NodeRole = 'primary' | 'standby';

/** One PostgreSQL server of an embedded cluster. */
export class EmbeddedNode {
  /** A letter, `a` to `i`. */
  readonly name: string;
  /** Absolute path of the node's data. */
  readonly folder: string;
  readonly #context: ClusterContext;
  #port = 0;
  #child: ChildProcess | undefined;

  constructor(name: string, context: ClusterContext) {
    this.name = name;
    this.folder = join(context.folder, name);
    this.#context = context;
  }

  /** TCP port on 127.0.0.1; the same until the cluster stops. */
  get port(): number {
    return this.#port;
  }

  get isRunning(): boolean {
    return this.#child !== undefined && !hasEnded(this.#child);
  }

  get role(): NodeRole {
    return existsSync(join(this.folder, 'standby.signal')) ? 'standby' : 'primary';
  }

  /** URL for the superuser, with the password; `database` defaults to the cluster's. */
  url(database: string = this.#context.database): string {
    const { password } = this.#context;
    const path = encodeURIComponent(database);
    return `postgres://${SUPERUSER}:${password}@127.0.0.1:${this.#port}/${path}`;
  }

  /** Runs one statement as superuser, on a connection of its own, in the database `postgres`. */
  async query<Row extends QueryResultRow>(
    text: string,
    parameters: readonly unknown[] = [],
  ): Promise<Row[]> {
    return this.connect((sql) => sql<Row>(text, parameters));
  }

  /** Opens a connection as superuser to the database `postgres` and closes it after `use`. */
  async connect<T>(use: (sql: RunSql) => Promise<T>): Promise<T> {
    return withConnection(this.url('postgres'), use);
  }

  /** Writes the node's settings; a running server takes them at its next `reload`. */
  async configure(upstream: Upstream | undefined): Promise<void> {
    const { account, binaries, fsync, passFile, settings } = this.#context;
    const text = renderSettings({
      nodeName: this.name,
      majorVersion: binaries.majorVersion,
      fsync,
      passFile,
      upstream,
      extra: settings,
    });
    await replaceFile(join(this.folder, SETTINGS_NAME), text, account);
  }

  /** Makes the server read its settings again. */
  async reload(): Promise<void> {
    await this.query('select pg_reload_conf()');
  }

  /**
   * Starts the server and resolves once it accepts connections.
   *
   * @throws {EmbeddedError} NODE_STATE when it runs already, PORT_TAKEN, START_FAILED with the end
   * of its log
   */
  async start(port: number): Promise<void> {
    if (this.isRunning) {
      throw new EmbeddedError('NODE_STATE', `the node ${this.name} is running already`);
    }
    const { account, binaries } = this.#context;
    const logFile = `${this.folder}.log`;
    await rotateLog(logFile);
    await removeForeignPidFile(this.folder);
    const giveUpAt = performance.now() + LEFTOVER_TIMEOUT_MS;
    for (;;) {
      const logOffset = await sizeOf(logFile);
      const child = await spawnPostmaster({
        postgres: binaries.postgres,
        folder: this.folder,
        port,
        logFile,
        account,
      });
      this.#child = child;
      this.#port = port;
      if (await this.#becomesReady(child)) {
        return;
      }
      const log = await readFrom(logFile, logOffset);
      if (!isLeftover(log) || performance.now() > giveUpAt) {
        throw this.#startError(port, log);
      }
      // After a kill the processes of the former server live on for some milliseconds.
      await pause(50);
    }
  }

  async #becomesReady(child: ChildProcess): Promise<boolean> {
    try {
      await until(
        async () => {
          const file = await readPostmasterFile(this.folder);
          return hasEnded(child) || (file?.pid === child.pid && file?.isReady === true);
        },
        { timeoutMs: READY_TIMEOUT_MS, what: `the node ${this.name} accepts connections` },
      );
    } catch (error) {
      await killPostmaster(this.folder);
      throw error;
    }
    return !hasEnded(child);
  }

  #startError(port: number, log: string): EmbeddedError {
    if (/Address already in use|could not bind|could not create any TCP/.test(log)) {
      return new EmbeddedError(
        'PORT_TAKEN',
        `port ${port} of 127.0.0.1, meant for the node ${this.name}, is taken by another process`,
      );
    }
    return new EmbeddedError(
      'START_FAILED',
      `the node ${this.name} did not start; the end of ${this.folder}.log:\n` +
        log.slice(-LOG_TAIL_BYTES),
    );
  }

  /** Stops the server in order; one that does not run is no error. */
  async stop(): Promise<void> {
    await stopPostmaster(this.folder, this.#context.binaries.pgCtl);
    await this.#awaitExit();
  }

  /** Kills the server with all of its processes, as a power failure would. */
  async kill(): Promise<void> {
    await killPostmaster(this.folder);
    await this.#awaitExit();
  }

  /** Stops (`SIGSTOP`) or continues (`SIGCONT`) all processes of the server. */
  async signal(signal: 'SIGSTOP' | 'SIGCONT'): Promise<void> {
    const pid = await findPostmaster(this.folder);
    if (pid === undefined) {
      throw new EmbeddedError('NODE_STATE', `the node ${this.name} is not running`);
    }
    await signalAll(pid, signal);
  }

  async #awaitExit(): Promise<void> {
    await until(() => !this.isRunning, {
      timeoutMs: LEFTOVER_TIMEOUT_MS,
      what: `the node ${this.name} has ended`,
    });
  }
}

/** Says whether a server gave up because the processes of its predecessor were still there. */
function isLeftover(log: string): boolean {
  return /pre-existing shared memory block|lock file "postmaster.pid" already exists/.test(log);
}

async function sizeOf(file: string): Promise<number> {
  return (await exists(file)) ? (await stat(file)).size : 0;
}

async function rotateLog(file: string): Promise<void> {
  if ((await sizeOf(file)) > LOG_BYTES_MAX) {
    await rename(file, `${file}.1`);
  }
}

async function readFrom(file: string, offset: number): Promise<string> {
  const handle = await open(file, 'r');
  try {
    const buffer = Buffer.alloc(64 * 1024);
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, offset);
    return buffer.toString('utf8', 0, bytesRead);
  } finally {
    await handle.close();
  }
}
