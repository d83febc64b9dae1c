/** Waits at a server's start for a database that comes up beside it, and says what it waits for. */

import { StowageError } from '../errors.js';
import { pause } from '../lib/wait.js';
import { type TopologyEvent, topologyChannel } from '../postgres/events.js';
import type { RouterHandle } from '../postgres/router-handle.js';
import { checkSchema } from '../postgres/schema-version.js';
import { systemCall } from '../postgres/system-call.js';

/** How long a server waits at its start for a database that does not answer. */
const waitMs = 60_000;
const retryMs = 500;
const schemaCheckTimeoutMs = 10_000;

/** What no waiting mends: wrong password, refused by pg_hba.conf, no such database, no TLS. */
const permanentStates: ReadonlySet<unknown> = new Set(['28P01', '28000', '3D000']);
const withoutTls = 'The server does not support SSL connections';

/**
 * Starts the router and waits until the database answers with a schema that fits.
 * @param onWaiting told once, in a sentence, when the wait begins.
 * @throws StowageError SCHEMA_MISMATCH; NO_NODE when no node answers for 60 s; Error at once when
 *   every node refuses for a reason that stays
 */
export async function startOnDatabase(
  router: RouterHandle,
  onWaiting: (sentence: string) => void,
): Promise<void> {
  const refusals = new Map<string, unknown>();
  const names = new Set(router.topology().nodes.map(({ name }) => name));
  const listen = (message: unknown) => {
    const { node, cause } = message as TopologyEvent;
    if (names.has(node)) refusals.set(node, cause);
  };
  topologyChannel.subscribe(listen);
  try {
    await router.start();
    await waitForSchema(router, refusals, onWaiting);
  } finally {
    topologyChannel.unsubscribe(listen);
  }
}

async function waitForSchema(
  router: RouterHandle,
  refusals: ReadonlyMap<string, unknown>,
  onWaiting: (sentence: string) => void,
): Promise<void> {
  const endMs = performance.now() + waitMs;
  for (let attempt = 1; ; attempt += 1) {
    const failure = await schemaFailure(router);
    if (failure === undefined) return;
    const causes = router.topology().nodes.map(({ name }) => refusals.get(name));
    if (causes.every(isPermanent)) {
      throw new Error(
        `the database refuses: ${describe(refusals)}; \`stowage doctor\` says what mends it`,
      );
    }
    if (failure.retry !== 'after_delay' || performance.now() >= endMs) throw failure;
    if (attempt === 1) {
      onWaiting(`waiting ${waitMs / 1000} s for the database: ${describe(refusals)}`);
    }
    await pause(retryMs);
  }
}

async function schemaFailure(router: RouterHandle): Promise<StowageError | undefined> {
  // Reads must be served while no primary is there, so a standby's word is enough then.
  const kind = router.topology().hasPrimary ? 'strong' : 'eventual';
  const method = 'stowage.internal/CheckSchema';
  const timeoutMs = schemaCheckTimeoutMs;
  try {
    await checkSchema(router, systemCall({ method, timeoutMs, freshness: { kind } }));
    return undefined;
  } catch (error) {
    if (error instanceof StowageError) return error;
    throw error;
  }
}

function isPermanent(cause: unknown): boolean {
  if (!(cause instanceof Error)) return false;
  return cause.message === withoutTls || ('code' in cause && permanentStates.has(cause.code));
}

/** Each node with what it said; the driver's messages name users and databases, never passwords. */
function describe(refusals: ReadonlyMap<string, unknown>): string {
  const sentences = [...refusals].flatMap(([node, cause]) =>
    cause instanceof Error ? [`${node} says "${cause.message}"`] : [],
  );
  return sentences.length === 0 ? 'no node has answered' : sentences.join('; ');
}
