/**
 * A running embedded cluster and its verbs. Verbs do one thing each and nothing behind it: a
 * `promote` points nobody to the new primary and stops nobody, so that tests can make every
 * situation there is, a split brain included.
 */
import { rebuildFrom } from './backup.js';
import { SUPERUSER, type Upstream } from './configuration.js';
import type { ClusterContext } from './context.js';
import { EmbeddedError } from './embedded-error.js';
import type { EmbeddedNode } from './node.js';
import {
  ensureSlot,
  readFlushLsn,
  renewSlot,
  waitForPause,
  waitForReceiverEnd,
  waitForReplay,
} from './replication.js';
import { writeState } from './state.js';

const CATCH_UP_TIMEOUT_MS = 60_000;
const PROMOTE_TIMEOUT_S = 30;

/** What a cluster holds besides its nodes, and how to give it up. */
export interface ClusterHold {
  readonly context: ClusterContext;
  /** Ends the guardian and gives the data folder free; called once, after the servers stopped. */
  readonly release: () => Promise<void>;
}

/** A PostgreSQL primary and its standbys. `startCluster` makes one. */
export class EmbeddedCluster implements AsyncDisposable {
  /** All nodes, by name. */
  readonly nodes: readonly EmbeddedNode[];
  readonly #hold: ClusterHold;
  #primaryName: string;
  #stopped: Promise<void> | undefined;

  constructor(nodes: readonly EmbeddedNode[], primaryName: string, hold: ClusterHold) {
    this.nodes = nodes;
    this.#primaryName = primaryName;
    this.#hold = hold;
  }

  /** Absolute path of the folder that holds the data and the logs (`a.log` and so on). */
  get folder(): string {
    return this.#hold.context.folder;
  }

  /** Major version of PostgreSQL, for example 18. */
  get majorVersion(): number {
    return this.#hold.context.binaries.majorVersion;
  }

  /** The node that is the primary by the last `promote`, running or not. */
  get primary(): EmbeddedNode {
    return this.node(this.#primaryName);
  }

  /** All nodes but the primary. */
  get standbys(): readonly EmbeddedNode[] {
    return this.nodes.filter((node) => node.name !== this.#primaryName);
  }

  /**
   * Finds a node by its name.
   *
   * @throws {EmbeddedError} NODE_UNKNOWN
   */
  node(name: string): EmbeddedNode {
    const found = this.nodes.find((node) => node.name === name);
    if (found === undefined) {
      const names = this.nodes.map((node) => node.name).join(', ');
      throw new EmbeddedError('NODE_UNKNOWN', `there is no node ${name}, only ${names}`);
    }
    return found;
  }

  /**
   * The superuser's URL, password included, of a node (default: the primary) and a database
   * (default: the cluster's).
   */
  superuserUrl(name: string = this.#primaryName, database?: string): string {
    return this.node(name).url(database);
  }

  /** Where the superuser's password lies, in PostgreSQL's form; only its owner may read it. */
  get passFile(): string {
    return this.#hold.context.passFile;
  }

  /** The superuser's URL of all nodes and the cluster's database, for use with `passFile`. */
  get loginUrl(): string {
    const nodes = this.nodes.map(({ port }) => `127.0.0.1:${port}`).join(',');
    const path = encodeURIComponent(this.#hold.context.database);
    return `postgres://${SUPERUSER}@${nodes}/${path}`;
  }

  /** Kills a node with all of its processes at once, as a power failure would. */
  async crash(name: string): Promise<void> {
    await this.node(name).kill();
  }

  /**
   * Starts a node that does not run, on its data and port as they are: a former primary comes back
   * as a primary. A running node is stopped in order first.
   */
  async restart(name: string): Promise<void> {
    const node = this.node(name);
    if (node.isRunning) {
      await node.stop();
    }
    await node.start(node.port);
  }

  /**
   * Makes a running standby the primary, on the next timeline; resolves once it accepts writes. The
   * former primary and the other standbys stay as they are: `repoint` and `rejoin` them.
   *
   * @throws {EmbeddedError} NODE_STATE when it is no running standby
   */
  async promote(name: string): Promise<void> {
    const node = this.#runningStandby(name);
    const former = this.#primaryName;
    // Remembered first: after a death between the two steps, the next start promotes again, while
    // the other order would throw away what the promoted node has written.
    await this.#remember(name);
    try {
      await node.query('select pg_promote(true, $1)', [PROMOTE_TIMEOUT_S]);
      if (node.role !== 'primary') {
        throw new EmbeddedError('NODE_STATE', `the node ${name} did not finish its promotion`);
      }
    } catch (error) {
      await this.#remember(former);
      throw error;
    }
    for (const other of this.nodes.filter((each) => each !== node)) {
      await ensureSlot(node, other.name);
    }
    await this.#follow(node, undefined);
  }

  /**
   * Makes a running standby follow another node, without a restart; undoes `cutReplication`.
   * Resolves once the setting is taken, not once it streams: that is `waitUntilCaughtUp`'s.
   *
   * @throws {EmbeddedError} NODE_STATE when it is no running standby or both are the same
   */
  async repoint(name: string, toName: string): Promise<void> {
    const node = this.#runningStandby(name);
    const upstream = this.node(toName);
    if (node === upstream) {
      throw new EmbeddedError('NODE_STATE', `the node ${name} cannot follow itself`);
    }
    if (upstream.isRunning) {
      await ensureSlot(upstream, name);
    }
    await this.#follow(node, { port: upstream.port });
  }

  /**
   * Rebuilds a node, running or not, as a standby of the present primary; what only it had is lost.
   * Resolves once it streams.
   *
   * @throws {EmbeddedError} NODE_STATE when it is the primary or the primary does not run
   */
  async rejoin(name: string): Promise<void> {
    const node = this.node(name);
    const { primary } = this;
    if (node === primary || !primary.isRunning) {
      throw new EmbeddedError(
        'NODE_STATE',
        `the node ${name} can only be rebuilt from another node that runs as the primary`,
      );
    }
    const { port } = node;
    await node.kill();
    await renewSlot(primary, name);
    await rebuildFrom(this.#hold.context, primary, node);
    await node.configure({ port: primary.port });
    await node.start(port);
    await this.waitUntilCaughtUp(name);
  }

  /** Stops a standby's replay; it goes on receiving. Resolves once replay stands still. */
  async pauseReplay(name: string): Promise<void> {
    const node = this.#runningStandby(name);
    await node.query('select pg_wal_replay_pause()');
    await waitForPause(node);
  }

  /** Lets a standby replay again. */
  async resumeReplay(name: string): Promise<void> {
    await this.#runningStandby(name).query('select pg_wal_replay_resume()');
  }

  /** Cuts a standby off from what it follows; it stays up. `repoint` undoes it. */
  async cutReplication(name: string): Promise<void> {
    const node = this.#runningStandby(name);
    await this.#follow(node, undefined);
    await waitForReceiverEnd(node);
  }

  /** Stops all processes of a node without ending them: it accepts connections, never answers. */
  async freeze(name: string): Promise<void> {
    await this.node(name).signal('SIGSTOP');
  }

  /** Lets a frozen node go on. */
  async thaw(name: string): Promise<void> {
    await this.node(name).signal('SIGCONT');
  }

  /**
   * Resolves once the standby (default: every running one) streams from the primary and has
   * replayed all that the primary had on disk at the call.
   *
   * @throws {Error} after 60 s
   */
  async waitUntilCaughtUp(name?: string): Promise<void> {
    const { primary } = this;
    const nodes =
      name === undefined
        ? this.standbys.filter((node) => node.isRunning && node.role === 'standby')
        : [this.#runningStandby(name)];
    const lsn = await readFlushLsn(primary);
    await Promise.all(nodes.map((node) => waitForReplay(primary, node, lsn, CATCH_UP_TIMEOUT_MS)));
  }

  /** Stops every node in order and gives the data folder free. Further calls await the first. */
  async stop(): Promise<void> {
    this.#stopped ??= this.#stopOnce();
    await this.#stopped;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #stopOnce(): Promise<void> {
    const errors: unknown[] = [];
    const attempt = async (step: () => Promise<void>) => {
      try {
        await step();
      } catch (error) {
        errors.push(error);
      }
    };
    // A frozen standby would keep the primary waiting for it.
    const running = this.nodes.filter((node) => node.isRunning);
    await Promise.all(running.map((node) => attempt(() => node.signal('SIGCONT'))));
    // The primary first: it ends once its standbys have all of its log, so that the next start
    // finds them equal.
    await attempt(() => this.primary.stop());
    await Promise.all(this.nodes.map((node) => attempt(() => node.stop())));
    await attempt(this.#hold.release);
    if (errors.length > 0) {
      throw new AggregateError(errors, `the cluster in ${this.folder} did not stop in order`);
    }
  }

  async #follow(node: EmbeddedNode, upstream: Upstream | undefined): Promise<void> {
    await node.configure(upstream);
    await node.reload();
  }

  async #remember(primaryName: string): Promise<void> {
    this.#primaryName = primaryName;
    const ports = Object.fromEntries(this.nodes.map((node) => [node.name, node.port]));
    await writeState(this.folder, { primary: primaryName, ports });
  }

  #runningStandby(name: string): EmbeddedNode {
    const node = this.node(name);
    if (!node.isRunning || node.role !== 'standby') {
      const state = node.isRunning ? 'a primary' : 'not running';
      throw new EmbeddedError('NODE_STATE', `the node ${name} is ${state}, not a running standby`);
    }
    return node;
  }
}
