/**
 * A cluster whose nodes are to fail, with a server on it that tells what it sees of them, and what
 * callers do meanwhile.
 */

import { createStowage, type Stowage } from '../../src/client/index.js';
import type { EmbeddedCluster, EmbeddedNode } from '../../src/embedded/index.js';
import { connect } from './database.js';
import { NodeStates } from './node-states.js';
import { fillObjects, objectKey, PROJECT } from './objects.js';
import { PacedLoad } from './paced-load.js';
import type { Rig } from './rig.js';

const STANDBYS = 2;
const OBJECTS = 1_000;
const READS_PER_WRITE = 5;
const tap = new URL('./topology-tap.js', import.meta.url);

/** What the server calls a node. */
export function nameOf({ port }: Pick<EmbeddedNode, 'port'>): string {
  return `127.0.0.1:${port}`;
}

/** A primary, two standbys, the server, its callers. */
export class Stage {
  readonly cluster: EmbeddedCluster;
  readonly states: NodeStates;
  readonly #rig: Rig;
  readonly #grpc: string;
  #written = 0;

  private constructor(rig: Rig, cluster: EmbeddedCluster, states: NodeStates, grpc: string) {
    this.#rig = rig;
    this.cluster = cluster;
    this.states = states;
    this.#grpc = grpc;
  }

  /** Starts all of it; it ends with the lane. */
  static async open(rig: Rig): Promise<Stage> {
    const database = await rig.startDatabase(STANDBYS);
    // Not the rig's: its node is to die, and a session of the rig's must live as long as the lane.
    const admin = await connect(database.adminUrl);
    await fillObjects(admin, OBJECTS).finally(() => admin.end());
    await database.whenReplicated();
    const states = new NodeStates();
    const server = await rig.startServer(database, {
      preload: tap,
      onMessage: (message) => states.take(message),
    });
    return new Stage(rig, database.cluster, states, server.grpc);
  }

  /** Says what went wrong in an episode, to whoever waits. */
  progress(step: string): void {
    this.#rig.progress(step);
  }

  /** A client of a caller's own: the tokens of one are not those of another. Who asks closes it. */
  client(): Stowage {
    return createStowage({ endpoints: this.#grpc });
  }

  /** Reads that ask for nothing special. */
  reads({ storage }: Stowage): PacedLoad {
    const { rows } = this.#rig;
    return new PacedLoad(rows, (n) =>
      storage.getObject({ project: PROJECT, objectKey: objectKey(1 + (n % OBJECTS)) }),
    );
  }

  /** Writes, each of a new object; none is repeated. */
  writes(client: Stowage): PacedLoad {
    return new PacedLoad(this.#rig.rows / READS_PER_WRITE, () => this.write(client));
  }

  /** Records a new object. */
  async write({ storage }: Stowage): Promise<void> {
    this.#written += 1;
    const objectKey = `new/${this.#written}`;
    const object = { objectKey, size: 4096n, storageBackend: 's3', etag: 'bench' };
    await storage.recordObject({ project: PROJECT, object });
  }

  /** Waits until every standby has all of the primary's log, and the server knows each node. */
  async whenSteady(): Promise<void> {
    await this.cluster.waitUntilCaughtUp();
    await this.whenKnown();
  }

  /** Waits until the server holds each node for what it is: a busy machine makes it doubt one. */
  async whenKnown(): Promise<void> {
    const { cluster } = this;
    const wanted = cluster.nodes.map((node) => {
      return [nameOf(node), node === cluster.primary ? 'primary' : 'standby'] as const;
    });
    await this.states.whenAre(Object.fromEntries(wanted));
  }
}
