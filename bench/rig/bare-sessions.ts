/**
 * Sessions that stand beside the service, one a node: they tell when a node died and when it takes
 * writes, which is the earliest that anybody can know.
 */

import pg from 'pg';
import type { EmbeddedCluster, EmbeddedNode } from '../../src/embedded/index.js';
import { until } from '../../src/lib/wait.js';
import { nowMs } from './clock.js';

const RECOVERY_TIMEOUT_MS = 60_000;
const RECOVERY_POLL_MS = 2;

/** One session on each node. */
export class BareSessions implements AsyncDisposable {
  readonly #clients: ReadonlyMap<EmbeddedNode, pg.Client>;
  readonly #closedAtMs = new Map<EmbeddedNode, Promise<number>>();

  private constructor(clients: ReadonlyMap<EmbeddedNode, pg.Client>) {
    this.#clients = clients;
    for (const [node, client] of clients) {
      const closed = new Promise<number>((resolve) => {
        client.once('end', () => resolve(nowMs()));
      });
      this.#closedAtMs.set(node, closed);
    }
  }

  /** Opens them. */
  static async open({ nodes }: EmbeddedCluster): Promise<BareSessions> {
    const clients = new Map<EmbeddedNode, pg.Client>();
    for (const node of nodes) {
      const client = new pg.Client({ connectionString: node.url('postgres') });
      // The end that is waited for is announced as an error too.
      client.on('error', () => undefined);
      await client.connect();
      clients.set(node, client);
    }
    return new BareSessions(clients);
  }

  /** When the session on the node ended. */
  async closedAtMs(node: EmbeddedNode): Promise<number> {
    return (await this.#closedAtMs.get(node)) ?? Number.NaN;
  }

  /** Of the nodes, the one that has received most: another would lose what this one has. */
  async mostAdvanced(nodes: readonly EmbeddedNode[]): Promise<EmbeddedNode> {
    const received = await Promise.all(
      nodes.map(async (node) => {
        const row = await this.#ask(
          node,
          `select (greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) - '0/0')::text
             as answer`,
        );
        return { node, position: BigInt(row) };
      }),
    );
    const best = received.reduce((a, b) => (b.position > a.position ? b : a));
    return best.node;
  }

  /** When a standby that is being promoted first said that it takes writes. */
  async promotedAtMs(node: EmbeddedNode): Promise<number> {
    const isPromoted = async () =>
      (await this.#ask(node, 'select (not pg_is_in_recovery())::text as answer')) === 'true';
    const what = `the node ${node.name} takes writes`;
    await until(isPromoted, {
      timeoutMs: RECOVERY_TIMEOUT_MS,
      pollMs: RECOVERY_POLL_MS,
      what,
    });
    return nowMs();
  }

  async #ask(node: EmbeddedNode, text: string): Promise<string> {
    const answer = await this.#clients.get(node)?.query<{ answer: string }>(text);
    return answer?.rows[0]?.answer ?? '';
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#clients.values()].map((client) => client.end()));
  }
}
