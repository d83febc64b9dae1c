/** Which node a read goes to: the cheapest that is fresh enough. Pure. */

import { StowageError } from '../errors.js';
import { assertNever } from '../lib/assert.js';
import type { Token } from '../lib/token-layout.js';
import type { NodeView, Topology } from './topology.js';

/** What a statement needs of its node. */
export type Demand =
  | { readonly kind: 'primary' }
  | { readonly kind: 'eventual' }
  | {
      readonly kind: 'max_staleness';
      readonly stalenessMs: number;
      /** True where the caller did not ask: with no primary any standby will do then. */
      readonly isImplicit: boolean;
    }
  | { readonly kind: 'at_least'; readonly token: Token };

/** Where a statement goes. */
export interface Route {
  readonly node: string;
  readonly role: 'primary' | 'standby';
  /** 0 on the primary; undefined where nobody can tell. */
  readonly lagMs: number | undefined;
}

/** How stale a read may be that does not say. */
export const STALENESS_DEFAULT_MS = 10_000;

const RETRY_DELAY_MS = 1_000;

/**
 * Chooses a node. Among those that are fresh enough the standby with the fewest calls wins, so that
 * the primary is kept for what only it can do.
 * @param outstanding how many calls a node has or waits for.
 * @throws StowageError NO_PRIMARY, NO_NODE, STANDBY_BEHIND, TOKEN_HISTORY_LOST.
 */
export function chooseNode(
  topology: Topology,
  demand: Demand,
  nowMs: number,
  outstanding: (node: string) => number,
): Route {
  const pick = (isFresh: (node: NodeView) => boolean): Route | undefined => {
    const node = leastBusy(standbys(topology).filter(isFresh), outstanding);
    return node && { node: node.name, role: 'standby', lagMs: lagOf(node, nowMs) };
  };
  switch (demand.kind) {
    case 'primary':
      return primaryRoute(topology) ?? fail('NO_PRIMARY');
    case 'eventual':
      return pick(() => true) ?? primaryRoute(topology) ?? fail('NO_NODE');
    case 'max_staleness': {
      const isFresh = (node: NodeView) => (lagOf(node, nowMs) ?? Infinity) <= demand.stalenessMs;
      const fresh = pick(isFresh) ?? primaryRoute(topology);
      if (fresh !== undefined) return fresh;
      if (standbys(topology).length === 0) return fail('NO_NODE');
      return (demand.isImplicit ? pick(() => true) : undefined) ?? fail('STANDBY_BEHIND');
    }
    case 'at_least':
      return routeAtLeast(topology, demand.token, pick);
    default:
      return assertNever(demand);
  }
}

/**
 * Whether the switch to a later timeline kept what a token stands for is not recorded, so a token
 * of an earlier one is refused, rather than that a read silently misses what its caller wrote.
 */
function routeAtLeast(
  topology: Topology,
  token: Token,
  pick: (isFresh: (node: NodeView) => boolean) => Route | undefined,
): Route {
  const { timeline } = topology;
  if (timeline === undefined) return fail('NO_NODE');
  if (token.timeline < timeline) {
    throw new StowageError('TOKEN_HISTORY_LOST', {
      message:
        `The freshness token is of timeline ${token.timeline} and the cluster on ${timeline}: ` +
        'whether its write outlived the failover is not known; look at the present state.',
      metadata: { token_timeline: `${token.timeline}`, timeline: `${timeline}` },
    });
  }
  if (token.timeline > timeline) return fail('STANDBY_BEHIND');
  const isFresh = ({ report }: NodeView) => report?.lsn !== undefined && report.lsn >= token.lsn;
  return pick(isFresh) ?? primaryRoute(topology) ?? fail('STANDBY_BEHIND');
}

/** How far behind a standby may be; undefined where nobody can tell. */
export function lagOf(node: NodeView, nowMs: number): number | undefined {
  return node.freshAsOfMs === undefined ? undefined : Math.max(0, nowMs - node.freshAsOfMs);
}

function standbys(topology: Topology): NodeView[] {
  return [...topology.nodes.values()].filter((node) => node.state === 'standby');
}

function primaryRoute(topology: Topology): Route | undefined {
  if (topology.primary === undefined) return undefined;
  return { node: topology.primary, role: 'primary', lagMs: 0 };
}

/** The first of equals after a random start, so that idle nodes share the calls. */
function leastBusy(
  nodes: readonly NodeView[],
  outstanding: (node: string) => number,
): NodeView | undefined {
  const start = Math.floor(Math.random() * nodes.length);
  let best: NodeView | undefined;
  for (let offset = 0; offset < nodes.length; offset += 1) {
    const node = nodes[(start + offset) % nodes.length];
    if (node === undefined) continue;
    if (best === undefined || outstanding(node.name) < outstanding(best.name)) best = node;
  }
  return best;
}

function fail(reason: 'NO_PRIMARY' | 'NO_NODE' | 'STANDBY_BEHIND'): never {
  throw new StowageError(reason, { retryDelayMs: RETRY_DELAY_MS });
}
