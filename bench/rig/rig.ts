/**
 * What a lane measures with, started when it is asked for and ended with the lane: a database, the
 * server, peers in processes of their own, connections.
 */

import { fileURLToPath } from 'node:url';
import type pg from 'pg';
import { MeasuredChild } from './child.js';
import { type BenchDatabase, connect, startDatabase } from './database.js';
import { type BenchServer, type BenchServerOptions, startServer } from './server.js';
import type { SharedDatabases } from './shared-databases.js';

const tsx = import.meta.resolve('tsx');

/** What a rig is told. */
export interface RigOptions {
  /** Work of one repetition: rows, or calls. */
  readonly rows: number;
  readonly standbys: number;
  /** Folder for a CPU profile of the server; undefined: none. */
  readonly profile: string | undefined;
  /** Told each step that takes time, as a phrase. */
  readonly onProgress: (step: string) => void;
  /** Of the whole run. */
  readonly shared: SharedDatabases;
}

/** A peer of ours that serves gRPC, in a process of its own. */
export interface Peer {
  readonly child: MeasuredChild;
  /** `127.0.0.1:port`. */
  readonly grpc: string;
}

export class Rig {
  readonly rows: number;
  readonly #options: RigOptions;
  readonly #endings: (() => Promise<unknown>)[] = [];

  constructor(options: RigOptions) {
    this.rows = options.rows;
    this.#options = options;
  }

  /** Says what is done, to whoever waits. */
  progress(step: string): void {
    this.#options.onProgress(step);
  }

  /** Has `end` run when the lane ends; the last one first. */
  defer(end: () => Promise<unknown>): void {
    this.#endings.push(end);
  }

  /**
   * Starts the lane's database: one call a lane.
   * @param standbys where the lane needs a number of its own
   */
  async startDatabase(standbys: number = this.#options.standbys): Promise<BenchDatabase> {
    this.progress('starting the cluster');
    const database = await startDatabase(standbys);
    this.defer(() => database.stop());
    return database;
  }

  /**
   * The run's database of that name, which other lanes read too: the first one starts and fills it,
   * and no lane changes it.
   */
  sharedDatabase(
    name: string,
    fill: (admin: pg.Client, database: BenchDatabase) => Promise<void>,
  ): Promise<BenchDatabase> {
    return this.#options.shared.get(`${name} ${this.rows}`, async () => {
      this.progress('starting the cluster');
      const database = await startDatabase(this.#options.standbys);
      try {
        const admin = await connect(database.adminUrl);
        await fill(admin, database).finally(() => admin.end());
        return database;
      } catch (error) {
        await database.stop();
        throw error;
      }
    });
  }

  /** Opens a connection. */
  async connect(url: string): Promise<pg.Client> {
    const client = await connect(url);
    this.defer(() => client.end());
    return client;
  }

  /** Starts the built server on the database. */
  async startServer(
    database: BenchDatabase,
    options: BenchServerOptions = {},
  ): Promise<BenchServer> {
    this.progress('starting the server');
    const server = await startServer(database, this.#options.profile, options);
    this.defer(() => server.child.stop());
    return server;
  }

  /** Starts a file of `bench/peers`, which says its port once it listens. */
  async startPeer(file: URL, env: Readonly<Record<string, string>>): Promise<Peer> {
    const path = fileURLToPath(file);
    const child = new MeasuredChild({ name: path, args: ['--import', tsx, path], env });
    this.defer(() => child.stop());
    return { child, grpc: `127.0.0.1:${String(await child.firstMessage())}` };
  }

  /** Ends all of it, the last first, whatever fails on the way. */
  async close(): Promise<void> {
    const failures: unknown[] = [];
    for (const end of this.#endings.splice(0).reverse()) {
      try {
        await end();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, 'the lane did not end cleanly');
  }
}
