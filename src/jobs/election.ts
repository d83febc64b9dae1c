/** How jobs reach the database, and how one of many servers does the work of all. */

import type { Call } from '../postgres/call.js';
import type { Router, Transaction } from '../postgres/router-api.js';
import { statement } from '../postgres/statement.js';
import { systemCall } from '../postgres/system-call.js';

/** How long one transaction of a job may take, in ms. */
const TRANSACTION_TIMEOUT_MS = 30_000;

/**
 * Held to the end of the transaction: a lock of the session would need a connection of its own, and
 * would be lost unnoticed with it.
 */
const takeElection = statement<{ elected: boolean }>({
  name: 'take-election',
  intent: 'readPrimary',
  text: `select pg_try_advisory_xact_lock(hashtextextended('stowage_job_' || $1, 0)) as elected`,
});

/** The call that a transaction of a job is made for. */
export function jobCall(job: string, signal: AbortSignal): Call {
  return systemCall({ method: `stowage.jobs/${job}`, timeoutMs: TRANSACTION_TIMEOUT_MS, signal });
}

/**
 * True where no other server runs the same job's transaction at this moment; no other then does
 * until this one ends. For jobs whose transaction is made elsewhere.
 */
export async function isElected(transaction: Transaction, job: string): Promise<boolean> {
  const [election] = await transaction.run(takeElection, [job]);
  return election?.elected === true;
}

/**
 * Runs the body in a transaction on the primary, unless another server runs the same job's at this
 * moment: then gives undefined.
 * @throws what the router and the body throw.
 */
export async function whenElected<T>(
  router: Router,
  job: string,
  signal: AbortSignal,
  body: (transaction: Transaction) => Promise<T>,
): Promise<T | undefined> {
  const { value } = await router.transaction(jobCall(job, signal), async (transaction) => {
    return (await isElected(transaction, job)) ? body(transaction) : undefined;
  });
  return value;
}
