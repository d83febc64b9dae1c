/**
 * What the core does for a read beside its round trip, piece by piece as the router puts them
 * together: the demand of the call, the choice of a node, a lease from a warm pool, its return. The
 * one file of the bench that names the core's inner parts.
 */

import type { PostgresSettings } from '../../src/config.js';
import { ClusterNode } from '../../src/postgres/cluster-node.js';
import { demandOf } from '../../src/postgres/demand.js';
import { chooseNode } from '../../src/postgres/freshness.js';
import { forAtMost } from '../../src/postgres/lease.js';
import { systemCall } from '../../src/postgres/system-call.js';
import { type NodeReport, observe, unknownTopology } from '../../src/postgres/topology.js';

const WARM_TIMEOUT_MS = 10_000;
/** The topology and the call of the bench hold for this long. */
const CALL_TIMEOUT_MS = 3_600_000;
const STREAM_IDLE_TIMEOUT_MS = 60_000;

/** The pieces, with warm pools of real connections. */
export interface RouteAndLease {
  /** Takes the path once, with a connection that was idle. */
  take(): Promise<void>;
  close(): Promise<void>;
}

/** Connects; the first node of the settings is the primary, the others its standbys. */
export async function openRouteAndLease(settings: PostgresSettings): Promise<RouteAndLease> {
  const all = settings.nodes.map(
    (address) => new ClusterNode(settings, address, STREAM_IDLE_TIMEOUT_MS),
  );
  await Promise.all(all.map(({ unary }) => unary.warm(forAtMost(WARM_TIMEOUT_MS))));
  const nodes = new Map(all.map((node) => [node.name, node]));
  const outstanding = (name: string) => nodes.get(name)?.outstanding ?? 0;
  const noTokens = () => Promise.reject(new Error('the call has no token'));
  const topology = steadyTopology([...nodes.keys()]);
  const { signal } = new AbortController();
  const call = systemCall({
    ...{ method: 'stowage.v1.StorageService/GetObject', timeoutMs: CALL_TIMEOUT_MS },
    ...{ freshness: { kind: 'default' }, signal },
  });
  return {
    async take() {
      const demand = await demandOf(call, noTokens);
      const route = chooseNode(topology, demand, performance.now(), outstanding);
      const lease = await nodes.get(route.node)?.unary.acquire(call);
      lease?.release('clean');
    },
    async close() {
      await Promise.all(all.map((node) => node.close(WARM_TIMEOUT_MS)));
    },
  };
}

/** Every node has answered and no standby is behind, for as long as the bench may run. */
function steadyTopology(names: readonly string[]) {
  const askedAtMs = performance.now() + CALL_TIMEOUT_MS;
  return names.reduce((topology, name, index) => {
    const isPrimary = index === 0;
    const report: NodeReport = {
      ...{ askedAtMs, systemIdentifier: 1n, lsn: 1n, startedAt: '' },
      ...{ role: isPrimary ? 'primary' : 'standby', timeline: isPrimary ? 1 : undefined },
    };
    return observe(topology, name, { kind: 'report', report });
  }, unknownTopology(names));
}
