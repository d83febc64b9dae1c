/**
 * What must be so once the faults are mended and the callers are still: every node known for what
 * it is, no lease out, nobody in line, no backend in a transaction.
 */

import { pause } from '../../src/lib/wait.js';
import { openConnection } from '../support/database.js';
import type { Recorder } from './recorder.js';
import { DATABASE, type Rig } from './rig.js';
import type { ServerState } from './server-child.js';
import { WAITING_MAX } from './server-process.js';

/** Two probe intervals and a probe's timeout: the goal. */
export const STEADY_GOAL_MS = 2 * 500 + 300;

/** What a loaded machine may make of it; past that a node was forgotten. */
const STEADY_MS_MAX = 5_000;

const RELEASED_MS = 5_000;
const RSS_BYTES_MAX = 600 * 1024 * 1024;

/** Everything that is checked beside the history. */
export class Settlement {
  readonly #rig: Rig;
  readonly #recorder: Recorder;
  /** The longest that the servers took to know every node again. */
  slowestSteadyMs = 0;
  /** Rounds in which they took longer than the goal. */
  roundsPastGoal = 0;
  /** The most that a server's process took. */
  rssPeakBytes = 0;
  /** The longest line of callers before a node. */
  waitingPeak = 0;

  constructor(rig: Rig, recorder: Recorder) {
    this.#rig = rig;
    this.#recorder = recorder;
  }

  /** Looks at the bounds of every server now and then, until the signal aborts. */
  async watch(stopping: AbortSignal): Promise<void> {
    while (!stopping.aborted) {
      for (const server of this.#rig.servers) {
        const state = await server.state();
        if (state !== undefined) this.#bounds(server.name, state);
      }
      await pause(500);
    }
  }

  #bounds(server: string, { rssBytes, nodes }: ServerState): void {
    const waiting = Math.max(...nodes.map((node) => node.waiting));
    this.rssPeakBytes = Math.max(this.rssPeakBytes, rssBytes);
    this.waitingPeak = Math.max(this.waitingPeak, waiting);
    if (waiting > WAITING_MAX) {
      this.#recorder.finding('lines are bounded', `${waiting} callers wait at ${server}`);
    }
    if (rssBytes > RSS_BYTES_MAX) {
      this.#recorder.finding('memory is bounded', `${server} has ${rssBytes} bytes`);
    }
  }

  /** Waits until every server knows every node; to be called when the last fault is mended. */
  async steady(): Promise<void> {
    const begunMs = performance.now();
    const wrong = await this.#until(STEADY_MS_MAX, async () => {
      const states = await this.#states();
      return states.flatMap((state, server) => this.#misjudged(state, server));
    });
    const tookMs = performance.now() - begunMs;
    this.slowestSteadyMs = Math.max(this.slowestSteadyMs, tookMs);
    if (tookMs > STEADY_GOAL_MS) this.roundsPastGoal += 1;
    if (wrong.length === 0) return;
    this.#recorder.finding('all nodes are steady after the last fault', wrong.join('; '));
  }

  #misjudged({ nodes }: ServerState, server: number): string[] {
    const { cluster } = this.#rig;
    return cluster.nodes.flatMap(({ name }) => {
      const due = name === cluster.primary.name ? 'primary' : 'standby';
      const known = nodes.find((node) => node.name === this.#rig.nodeName(server, name));
      return known?.state === due ? [] : [`server ${server} takes ${name} for ${known?.state}`];
    });
  }

  /** Waits until nothing is held any more; to be called when the callers are still. */
  async released(): Promise<void> {
    const leases = await this.#until(RELEASED_MS, async () => {
      const states = await this.#states();
      return states.flatMap(({ nodes }, server) =>
        nodes
          .filter(({ acquired, waiting }) => acquired > 0 || waiting > 0)
          .map((node) => `server ${server}: ${JSON.stringify(node)}`),
      );
    });
    if (leases.length > 0) this.#recorder.finding('no lease is leaked', leases.join('; '));
    const backends = await this.#until(RELEASED_MS, () => this.#inTransaction());
    if (backends.length === 0) return;
    this.#recorder.finding('no backend is left in a transaction', backends.join('; '));
  }

  async #inTransaction(): Promise<string[]> {
    const found = await Promise.all(
      this.#rig.cluster.nodes.map(async ({ name }) => {
        const connection = await openConnection(this.#rig.cluster.superuserUrl(name, DATABASE));
        const rows = await connection.query<{ query: string }>(
          `select query from pg_stat_activity
           where datname = $1 and state like 'idle in transaction%'`,
          [DATABASE],
        );
        await connection.end();
        return rows.map(({ query }) => `${name}: ${query}`);
      }),
    );
    return found.flat();
  }

  async #states(): Promise<ServerState[]> {
    const states = await Promise.all(this.#rig.servers.map((server) => server.state()));
    return states.filter((state) => state !== undefined);
  }

  /** Asks again until nothing is left to say, or the time is up. */
  async #until(timeoutMs: number, wrongs: () => Promise<string[]>): Promise<string[]> {
    const endMs = performance.now() + timeoutMs;
    for (;;) {
      const wrong = await wrongs();
      if (wrong.length === 0 || performance.now() > endMs) return wrong;
      await pause(25);
    }
  }
}
