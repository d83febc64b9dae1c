/** Which node a read goes to: the cheapest that is fresh enough. Pure. */

import { type Reason, StowageError } from '../errors.js';
import { assertNever } from '../lib/assert.js';
import type { Token } from '../lib/token-layout.js';
import { abandonedTimeline, holds, newestTimeline } from './history.js';
import type { NodeView, Topology } from './router-state.js';

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
  /** The start of its postmaster: a node that was restarted since is another one. */
  readonly startedAt: string;
  /** Beyond this LSN a standby would be of another history. */
  readonly goodUpTo: bigint | undefined;
  /**
   * What the node must have replayed, where its last report does not show it: the read itself
   * finds out, for what was written a moment ago has most often arrived.
   */
  readonly mustReplay: bigint | undefined;
  /** A read is given to the primary though there are other nodes: none is fresh enough, or up. */
  readonly isFallback: boolean;
}

/** What of the present calls and of this one bears on the choice. */
export interface Surroundings {
  readonly nowMs: number;
  /** How many calls a node has or waits for. */
  readonly outstanding: (node: string) => number;
  /** Nodes that have failed this call: they are asked again only where no other is left. */
  readonly tried: ReadonlySet<string>;
  /** Nodes that did not have this call's token a moment ago. */
  readonly behind: ReadonlySet<string>;
  /** How long the call may still wait for a standby to come to its token. */
  readonly waitMs: number;
}

/** A node, or why there is none. */
export type Choice =
  | { readonly kind: 'route'; readonly route: Route }
  | { readonly kind: 'none'; readonly reason: Reason };

/** How stale a read may be that does not say. */
export const STALENESS_DEFAULT_MS = 10_000;

/**
 * Chooses a node. Among those that are fresh enough the standby with the fewest calls wins, so that
 * the primary is kept for what only it can do.
 * @throws StowageError TOKEN_HISTORY_LOST.
 */
export function chooseNode(topology: Topology, demand: Demand, around: Surroundings): Choice {
  const all = standbys(topology);
  const fresh = (isFresh: (node: NodeView) => boolean) => pick(all.filter(isFresh), around);
  const fallback = () => fallbackRoute(topology);
  switch (demand.kind) {
    case 'primary':
      return routed(primaryRoute(topology), 'NO_PRIMARY');
    case 'eventual':
      return routed(
        fresh(({ state }) => state === 'standby') ?? fallback() ?? fresh(() => true),
        'NO_NODE',
      );
    case 'max_staleness': {
      const isFresh = (node: NodeView) =>
        (lagOf(node, around.nowMs) ?? Infinity) <= demand.stalenessMs;
      const any = () => (demand.isImplicit ? fresh(() => true) : undefined);
      return routed(
        fresh(isFresh) ?? fallback() ?? any(),
        lackOf(all, (node) => demand.isImplicit || isFresh(node)),
      );
    }
    case 'at_least':
      return chooseAtLeast(topology, demand.token, around);
    default:
      return assertNever(demand);
  }
}

/**
 * A standby that has surely replayed the token; else the one that has come furthest, which the read
 * itself asks; once that was behind, none as long as the call may wait for it; else the primary.
 */
function chooseAtLeast(topology: Topology, token: Token, around: Surroundings): Choice {
  // No node can be compared with what is of another history, seen or not.
  if (!isComparable(topology, token, around.waitMs)) {
    return { kind: 'none', reason: 'STANDBY_BEHIND' };
  }
  const all = standbys(topology);
  const has = ({ report }: NodeView) => report?.lsn !== undefined && report.lsn >= token.lsn;
  const sure = pick(all.filter(has), around);
  if (sure !== undefined) return { kind: 'route', route: sure };
  const near = closest(all, around);
  if (near !== undefined) {
    return { kind: 'route', route: { ...standbyRoute(near, around.nowMs), mustReplay: token.lsn } };
  }
  const mayWait = around.waitMs > 0 && all.some(({ name }) => around.behind.has(name));
  if (mayWait) return { kind: 'none', reason: 'STANDBY_BEHIND' };
  return routed(fallbackRoute(topology), lackOf(all, has));
}

/** Where a node that would do has failed this call, it is one that is lacking, not freshness. */
function lackOf(nodes: readonly NodeView[], isFresh: (node: NodeView) => boolean): Reason {
  return nodes.length === 0 || nodes.some(isFresh) ? 'NO_NODE' : 'STANDBY_BEHIND';
}

/** The standby that has come furthest, unless it is further behind than the call can wait. */
function closest(all: readonly NodeView[], around: Surroundings): NodeView | undefined {
  const near = all
    .filter(({ name }) => !around.behind.has(name) && !around.tried.has(name))
    .filter((node) => !node.isDoubted && node.state === 'standby')
    .filter((node) => (lagOf(node, around.nowMs) ?? Infinity) <= NEAR_MS + around.waitMs);
  const furthest = near.reduce((best, { report }) => maxLsn(best, report?.lsn ?? 0n), 0n);
  return leastBusy(
    near.filter(({ report }) => (report?.lsn ?? 0n) === furthest),
    around.outstanding,
  );
}

/** Reports are that old at the most, with the default pace, where a standby is not behind. */
const NEAR_MS = 1_000;

function maxLsn(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}

/**
 * Whether the present history holds a token; false where that may yet turn out. Where the tables
 * are not there, there is one timeline as far as anybody knows.
 * @throws StowageError TOKEN_HISTORY_LOST when its write did not outlive a failover.
 */
export function isComparable(topology: Topology, token: Token, waitMs: number): boolean {
  const { history, primary, timeline = 0 } = topology;
  if (history.timelines.length === 0) return token.timeline <= timeline;
  if (holds(history, token)) return true;
  const newest = newestTimeline(history);
  // Of a failover that this service has yet to see, perhaps; a primary that is known rules it out.
  if (token.timeline === newest && primary === undefined) return false;
  if (token.timeline > newest) {
    // A timeline that was given up keeps nobody out any more, but its number may have been taken
    // again since: all nodes are asked while the call waits.
    const isGivenUp = token.timeline <= abandonedTimeline(history) && primary !== undefined;
    if (!isGivenUp || waitMs > 0) return false;
  }
  throw new StowageError('TOKEN_HISTORY_LOST', {
    metadata: { token_timeline: `${token.timeline}`, timeline: `${newest}` },
  });
}

/** How far behind a standby may be; undefined where nobody can tell. */
export function lagOf(node: NodeView, nowMs: number): number | undefined {
  return node.freshAsOfMs === undefined ? undefined : Math.max(0, nowMs - node.freshAsOfMs);
}

/** Drained ones are read only where nothing else is: a drain must not take reads down. */
function standbys({ nodes, primary }: Topology): NodeView[] {
  const all = [...nodes.values()];
  const serving = all.filter(({ state }) => state === 'standby' || state === 'lagging');
  if (serving.length > 0 || primary !== undefined) return serving;
  return all.filter(({ state }) => state === 'draining');
}

/** Doubted nodes and ones that failed this call come last: a passing fault never bans them all. */
function pick(nodes: readonly NodeView[], around: Surroundings): Route | undefined {
  const isGood = ({ name, isDoubted }: NodeView) => !isDoubted && !around.tried.has(name);
  const good = nodes.filter(isGood);
  const untried = nodes.filter(({ name }) => !around.tried.has(name));
  const node = leastBusy(good.length > 0 ? good : untried, around.outstanding);
  return node && standbyRoute(node, around.nowMs);
}

function standbyRoute(node: NodeView, nowMs: number): Route {
  return {
    node: node.name,
    role: 'standby',
    lagMs: lagOf(node, nowMs),
    startedAt: node.report?.startedAt ?? '',
    goodUpTo: node.goodUpTo,
    mustReplay: undefined,
    isFallback: false,
  };
}

function fallbackRoute(topology: Topology): Route | undefined {
  const route = primaryRoute(topology);
  return route && { ...route, isFallback: topology.nodes.size > 1 };
}

/** The primary as a route; undefined while none is known. */
export function primaryRoute({ primary, nodes }: Topology): Route | undefined {
  const report = primary === undefined ? undefined : nodes.get(primary)?.report;
  if (primary === undefined || report === undefined) return undefined;
  const { startedAt } = report;
  return {
    node: primary,
    role: 'primary',
    lagMs: 0,
    startedAt,
    goodUpTo: undefined,
    mustReplay: undefined,
    isFallback: false,
  };
}

/** The route to one node, whatever is fresher; undefined where it may not be read. */
export function routeTo(topology: Topology, name: string, nowMs: number): Route | undefined {
  if (topology.primary === name) return primaryRoute(topology);
  const node = standbys(topology).find((standby) => standby.name === name);
  return node && standbyRoute(node, nowMs);
}

function routed(route: Route | undefined, reason: Reason): Choice {
  return route === undefined ? { kind: 'none', reason } : { kind: 'route', route };
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
