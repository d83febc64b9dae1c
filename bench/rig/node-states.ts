/** What a server says of its nodes: each change of state, with the time at which it saw it. */

import { until } from '../../src/lib/wait.js';

/** How long a server may take to see what has happened, and to see everything well again. */
const CHANGE_TIMEOUT_MS = 30_000;

/** One change, as `topology-tap.js` tells it. */
export interface NodeChange {
  /** `host:port`. */
  readonly node: string;
  readonly from: string;
  readonly to: string;
  readonly detail: string;
  /** On the clock of `nowMs`. */
  readonly atMs: number;
}

/** The changes of one server's nodes since its start. */
export class NodeStates {
  readonly #changes: NodeChange[] = [];

  /** Takes in a message of the server's process; others than those of the tap are ignored. */
  take(message: unknown): void {
    const { topology } = message as { readonly topology?: NodeChange };
    if (topology !== undefined) this.#changes.push(topology);
  }

  /** What the server holds the node for; undefined before it has seen it. */
  of(node: string): string | undefined {
    return this.#changes.findLast((change) => change.node === node)?.to;
  }

  /** When the server first held the node for something else, at most 30 s after `sinceMs`. */
  async whenLeft(node: string, state: string, sinceMs: number): Promise<number> {
    const left = () =>
      this.#changes.find(
        (change) => change.node === node && change.from === state && change.atMs >= sinceMs,
      );
    const what = `the server no longer holds ${node} for a ${state}`;
    return (await until(left, { timeoutMs: CHANGE_TIMEOUT_MS, what })).atMs;
  }

  /** Waits until the server holds each node for what it is, at most 30 s. */
  async whenAre(wanted: Readonly<Record<string, string>>): Promise<void> {
    const areAll = () => Object.entries(wanted).every(([node, state]) => this.of(node) === state);
    const what = `the server sees ${JSON.stringify(wanted)}`;
    await until(areAll, { timeoutMs: CHANGE_TIMEOUT_MS, what });
  }
}
