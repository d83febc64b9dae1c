/** Nodes and clusters that a test makes up. */
import type { NodeSnapshot, TopologySnapshot } from '../../src/postgres/router-handle.js';

const pool = {
  ...{ acquires: 0, acquireMs: 0, timeouts: 0, refusals: 0 },
  size: 4,
  idle: 3,
  acquired: 1,
  waiting: 0,
  waitedMs: 0,
};

/** A node of which nothing is known but what is given. */
export function snapshotOf(name: string, fields: Partial<NodeSnapshot> = {}): NodeSnapshot {
  return {
    name,
    state: 'unknown',
    ...{ fence: undefined, timeline: undefined, lagMs: undefined, lagBytes: undefined },
    ...{ lsn: undefined, startedAt: undefined, answeredMsAgo: undefined },
    isDrained: false,
    isDoubted: false,
    pools: {
      unary: { ...pool, sizeMax: 14 },
      streams: { ...pool, sizeMax: 5 },
      inspection: { ...pool, sizeMax: 1 },
    },
    ...fields,
  };
}

/** A cluster of which nothing is known but what is given. */
export function topologyOf(fields: Partial<TopologySnapshot> = {}): TopologySnapshot {
  return {
    nodes: [],
    ...{ primary: undefined, timeline: undefined, systemIdentifier: undefined },
    ...{ epoch: 0, history: [], hasPrimary: false, canRead: false },
    ...fields,
  };
}
