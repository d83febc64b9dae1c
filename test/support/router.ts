/** Routers and calls for tests, on a database of the shared cluster. */

import type { PostgresSettings } from '../../src/config.js';
import { until } from '../../src/lib/wait.js';
import type { Call, Freshness, ServedBy } from '../../src/postgres/call.js';
import { createRouter } from '../../src/postgres/router.js';
import type { RouterHandle, RouterOptions } from '../../src/postgres/router-handle.js';
import { systemCall } from '../../src/postgres/system-call.js';
import type { SharedNode } from './cluster.js';

const READY_TIMEOUT_MS = 20_000;
const SETTLE_TIMEOUT_MS = 10_000;

/** Where a test's router connects. */
export interface RouterTarget {
  /** URL of the database on any node: its host and port are not used. */
  readonly url: string;
  readonly nodes: readonly Pick<SharedNode, 'host' | 'port'>[];
}

/** Settings with the defaults of the product. */
export function testSettings(
  { url, nodes }: RouterTarget,
  overrides: Partial<PostgresSettings> = {},
): PostgresSettings {
  const { pathname, username, password } = new URL(url);
  return {
    nodes: nodes.map(({ host, port }) => ({ host, port })),
    database: pathname.slice(1),
    user: decodeURIComponent(username),
    password: decodeURIComponent(password),
    tls: false,
    pooler: 'none',
    connectionsMax: 20,
    connectionsMin: 2,
    connectTimeoutMs: 3_000,
    probeIntervalMs: 100,
    probeTimeoutMs: 2_000,
    queueMax: 1_000,
    queueTimeoutMs: 1_000,
    freshnessWaitMs: 200,
    lockTimeoutMs: 5_000,
    idleInTransactionTimeoutMs: 60_000,
    ...overrides,
  };
}

/** Starts a router; resolves once it knows the primary and every standby. */
export async function startTestRouter(
  target: RouterTarget,
  overrides: Partial<PostgresSettings> = {},
  options: RouterOptions = {},
): Promise<RouterHandle> {
  const router = createRouter(testSettings(target, overrides), options);
  await router.start();
  await until(() => allKnown(router), {
    timeoutMs: READY_TIMEOUT_MS,
    what: 'the router knows every node',
  });
  return router;
}

function allKnown(router: RouterHandle): boolean {
  const { nodes, hasPrimary } = router.topology();
  return (
    hasPrimary &&
    nodes.every(
      ({ state, lagMs }) => state !== 'unknown' && state !== 'unreachable' && lagMs !== undefined,
    )
  );
}

/** A call of a test, which remembers what the router told of it. */
export interface TestCall extends Call {
  readonly served: { by: ServedBy; token: string | undefined }[];
}

/** What differs from the usual call. */
export interface TestCallOptions {
  readonly freshness?: Freshness;
  readonly tokens?: readonly string[];
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  readonly project?: string;
  readonly method?: string;
}

/** A call with a deadline of 20 s. */
export function testCall(options: TestCallOptions = {}): TestCall {
  const served: TestCall['served'] = [];
  const { method = 'stowage.v1.TestService/Test', timeoutMs = 20_000, ...rest } = options;
  const { tokens = [], freshness = { kind: 'default' }, ...system } = rest;
  return {
    ...systemCall({ method, timeoutMs, freshness, ...system }),
    tokens,
    served,
    onServed: (by, token) => served.push({ by, token }),
  };
}

/**
 * Resolves once no lease is out and nobody waits: leases of interrupted calls are given back behind
 * the caller. Call it at the end of a test: a leak fails it.
 */
export async function settled(router: RouterHandle): Promise<void> {
  const isFree = () =>
    router
      .topology()
      .nodes.flatMap(({ pools }) => [pools.unary, pools.streams])
      .every(({ acquired, waiting }) => acquired === 0 && waiting === 0);
  await until(isFree, { timeoutMs: SETTLE_TIMEOUT_MS, what: 'every lease is given back' });
}
