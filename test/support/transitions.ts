/** Records what a router tells of its nodes, so that a test can wait for it and compare it. */

import { deferred } from '../../src/lib/deferred.js';
import { type TopologyEvent, topologyChannel } from '../../src/postgres/events.js';
import type { NodeState } from '../../src/postgres/router-state.js';

/** What was told from some moment on. */
export interface Told {
  /** `a: primary > unreachable` and so on, in order. */
  lines(): string[];
  /** The states of one node in order, the one that it had before first; empty: none was told. */
  of(node: string): NodeState[];
  /** Resolves once the node has come to the state; at once where it has already. */
  until(node: string, state: NodeState): Promise<void>;
}

/** A recording. */
export interface Transitions extends Disposable {
  /** From here on. */
  mark(): Told;
  /** The state of a node by what was told last. */
  state(node: string): NodeState;
  /** Resolves once the node has the state, told before or later. */
  untilState(node: string, state: NodeState): Promise<void>;
}

const TIMEOUT_MS = 20_000;

/**
 * Begins to record what one router tells. Another one in the process must have other addresses for
 * the nodes, `localhost` for one.
 * @param nameOf the letter of a node by its address; undefined: it is not recorded.
 */
export function recordTransitions(nameOf: (address: string) => string | undefined): Transitions {
  const events: TopologyEvent[] = [];
  let more = deferred<void>();
  const listen = (message: unknown): void => {
    // The channel has one publisher.
    const event = message as TopologyEvent;
    const node = nameOf(event.node);
    if (node === undefined) return;
    events.push({ ...event, node });
    more.resolve();
    more = deferred<void>();
  };
  topologyChannel.subscribe(listen);
  const awaited = async (isThere: () => boolean, what: string, first: number): Promise<void> => {
    const late = deferred<never>();
    const timer = setTimeout(() => {
      const told = events.slice(first).map(lineOf).join('; ');
      late.reject(new Error(`${what} was not told within ${TIMEOUT_MS} ms, only: ${told}`));
    }, TIMEOUT_MS);
    try {
      while (!isThere()) await Promise.race([more.promise, late.promise]);
    } finally {
      clearTimeout(timer);
    }
  };
  const state = (node: string): NodeState =>
    events.findLast((event) => event.node === node)?.to ?? 'unknown';
  return {
    mark() {
      const first = events.length;
      const told = () => events.slice(first);
      return {
        lines: () => told().map(lineOf),
        of: (node) =>
          told()
            .filter((event) => event.node === node)
            .flatMap(({ from, to }, index) => (index === 0 ? [from, to] : [to])),
        until: (node, wanted) => {
          const isThere = () => told().some((event) => event.node === node && event.to === wanted);
          return awaited(isThere, `${node}: ${wanted}`, first);
        },
      };
    },
    state,
    untilState: (node, wanted) =>
      awaited(() => state(node) === wanted, `${node}: ${wanted}`, events.length - 10),
    [Symbol.dispose]: () => {
      topologyChannel.unsubscribe(listen);
    },
  };
}

const lineOf = ({ node, from, to }: TopologyEvent): string => `${node}: ${from} > ${to}`;
