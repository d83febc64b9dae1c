/** What the router knows of the cluster, as messages. */

import type { MessageInitShape } from '@bufbuild/protobuf';
import {
  FenceReason,
  type NodeSchema,
  NodeState,
  type NodeTransitionSchema,
  type TimelineSchema,
  type TopologySchema,
} from '../../gen/stowage/v1/cluster_pb.js';
import type { WatchTopologyResponseSchema } from '../../gen/stowage/v1/cluster_service_pb.js';
import { fromMillis, type TimestampValue } from '../lib/timestamp.js';
import type { TopologyEvent } from '../postgres/events.js';
import { formatLsn } from '../postgres/lsn.js';
import type { NodeSnapshot, TopologyChange, TopologySnapshot } from '../postgres/router-handle.js';
import { parseTimestamp } from '../postgres/types.js';

/** The most steps of a history that are told. */
const HISTORY_MAX = 64;

const states = {
  unknown: NodeState.UNKNOWN,
  primary: NodeState.PRIMARY,
  standby: NodeState.STANDBY,
  lagging: NodeState.LAGGING,
  draining: NodeState.DRAINING,
  unreachable: NodeState.UNREACHABLE,
  fenced: NodeState.FENCED,
} as const satisfies Record<NodeSnapshot['state'], NodeState>;

const fences = {
  other_cluster: FenceReason.OTHER_CLUSTER,
  former_primary: FenceReason.FORMER_PRIMARY,
  diverged: FenceReason.DIVERGED,
  split_brain: FenceReason.SPLIT_BRAIN,
} as const satisfies Record<NonNullable<NodeSnapshot['fence']>, FenceReason>;

/** The cluster at one moment. */
export function topologyMessage(
  topology: TopologySnapshot,
): MessageInitShape<typeof TopologySchema> {
  const { nodes, primary = '', timeline = 0, systemIdentifier, epoch, history } = topology;
  return {
    nodes: nodes.map(nodeMessage),
    primary,
    timeline,
    systemIdentifier: systemIdentifier?.toString() ?? '',
    epoch: BigInt(epoch),
    history: history.slice(-HISTORY_MAX).map(timelineMessage),
    canRead: topology.canRead,
    canWrite: topology.hasPrimary,
  };
}

/** The cluster, and what changed it. */
export function changeMessage({
  topology,
  transition,
  atMs,
}: TopologyChange): MessageInitShape<typeof WatchTopologyResponseSchema> {
  const serverTime = fromMillis(atMs);
  return {
    topology: topologyMessage(topology),
    ...(transition === undefined ? {} : { transition: transitionMessage(transition, serverTime) }),
    serverTime,
  };
}

function transitionMessage(
  { node, from, to, detail }: TopologyEvent,
  time: TimestampValue,
): MessageInitShape<typeof NodeTransitionSchema> {
  return { node, fromState: states[from], toState: states[to], detail, time };
}

/** One node as the router knows it. */
export function nodeMessage(node: NodeSnapshot): MessageInitShape<typeof NodeSchema> {
  const { name, state, fence, timeline = 0, lsn, lagBytes, lagMs, startedAt, pools } = node;
  const { answeredMsAgo } = node;
  return {
    name,
    state: states[state],
    fenceReason: fence === undefined ? FenceReason.UNSPECIFIED : fences[fence],
    timeline,
    lsn: lsn === undefined ? '' : formatLsn(lsn),
    ...(lagBytes === undefined ? {} : { lagBytes }),
    ...(lagMs === undefined ? {} : { lagMs }),
    ...(startedAt === undefined ? {} : { startedAt: parseTimestamp(startedAt) }),
    ...(answeredMsAgo === undefined ? {} : { answeredMsAgo }),
    drained: node.isDrained,
    doubted: node.isDoubted,
    unaryPool: pools.unary,
    streamsPool: pools.streams,
  };
}

function timelineMessage({
  timeline,
  switchLsn,
  recordedAt,
}: TopologySnapshot['history'][number]): MessageInitShape<typeof TimelineSchema> {
  const seconds = recordedAt / 1_000_000n;
  const nanos = Number(recordedAt % 1_000_000n) * 1000;
  return { timeline, switchLsn: formatLsn(switchLsn), recordedAt: { seconds, nanos } };
}
