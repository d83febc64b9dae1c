/**
 * What the core does for a read beside its round trip, piece by piece as the reader puts them
 * together: the demand of the call, the choice of a node, a lease from a warm pool, its return. The
 * one file of the bench that names the core's inner parts.
 */

import type { PostgresSettings } from '../../src/config.js';
import { until } from '../../src/lib/wait.js';
import { demandOf } from '../../src/postgres/demand.js';
import { STATE_LIMITS } from '../../src/postgres/router-state.js';
import { Routing } from '../../src/postgres/routing.js';
import { systemCall } from '../../src/postgres/system-call.js';

const READY_TIMEOUT_MS = 10_000;
/** The call of the bench holds for this long. */
const CALL_TIMEOUT_MS = 3_600_000;
const STREAM_IDLE_TIMEOUT_MS = 60_000;

/** The pieces, with warm pools of real connections. */
export interface RouteAndLease {
  /** Takes the path once, with a connection that was idle. */
  take(): Promise<void>;
  close(): Promise<void>;
}

/** Connects, and waits until every node is known and has a connection that is idle. */
export async function openRouteAndLease(settings: PostgresSettings): Promise<RouteAndLease> {
  const routing = new Routing(settings, STREAM_IDLE_TIMEOUT_MS, STATE_LIMITS);
  await routing.monitor.start();
  const isWarm = () =>
    routing.nodes.every((node) => {
      const state = routing.monitor.topology.nodes.get(node.name)?.state;
      return (state === 'primary' || state === 'standby') && node.snapshot().unary.idle > 0;
    });
  await until(isWarm, { timeoutMs: READY_TIMEOUT_MS, what: 'every pool is warm' });
  const { signal } = new AbortController();
  const call = systemCall({
    ...{ method: 'stowage.v1.StorageService/GetObject', timeoutMs: CALL_TIMEOUT_MS },
    ...{ freshness: { kind: 'default' }, signal },
  });
  const noTokens = () => Promise.reject(new Error('the call has no token'));
  return {
    async take() {
      const demand = await demandOf(call, noTokens);
      const route = await routing.route(demand, routing.attempts(call), call);
      const lease = await routing.nodeOf(route).unary.acquire(call);
      lease.release('clean');
    },
    async close() {
      await Promise.all(routing.nodes.map((node) => node.close(READY_TIMEOUT_MS)));
      await routing.monitor.close();
    },
  };
}
