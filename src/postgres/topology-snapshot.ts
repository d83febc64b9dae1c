/** The cluster at one moment, for people, metrics and health. Pure. */

import type { ClusterNode } from './cluster-node.js';
import { lagOf } from './freshness.js';
import { newestTimeline } from './history.js';
import type { NodeSnapshot, TopologySnapshot } from './router-handle.js';
import type { NodeView, Topology } from './router-state.js';

/** What callers are shown of a topology. */
export function snapshotOf(topology: Topology, nodes: readonly ClusterNode[]): TopologySnapshot {
  const nowMs = performance.now();
  const snapshots = nodes.flatMap((node) => {
    const view = topology.nodes.get(node.name);
    return view === undefined ? [] : [nodeSnapshot(view, node, nowMs)];
  });
  const { primary, timeline, systemIdentifier, epoch, history } = topology;
  return {
    nodes: snapshots,
    primary,
    timeline,
    systemIdentifier,
    epoch,
    history: history.timelines,
    hasPrimary: primary !== undefined,
    canRead: snapshots.some(({ state }) => readable.has(state)),
  };
}

const readable: ReadonlySet<NodeView['state']> = new Set([
  'primary',
  'standby',
  'lagging',
  'draining',
]);

function nodeSnapshot(view: NodeView, node: ClusterNode, nowMs: number): NodeSnapshot {
  const { name, state, fence, report, lagBytes, isDrained, isDoubted } = view;
  const own = report?.history && newestTimeline(report.history);
  return {
    name,
    state,
    fence,
    timeline: report?.timeline ?? (own || undefined),
    lagMs: state === 'primary' ? 0 : lagOf(view, nowMs),
    lagBytes: state === 'primary' ? 0n : lagBytes,
    lsn: report?.lsn,
    startedAt: report?.startedAt,
    answeredMsAgo: report && nowMs - report.askedAtMs,
    isDrained,
    isDoubted,
    pools: node.snapshot(),
  };
}
