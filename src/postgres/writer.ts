/** Transactions on the primary: waits for one where none is known. */

import type { Call } from './call.js';
import type { Committed, Transaction } from './router-api.js';
import { publish, type Routing, servedBy, unaryLimits, type Work } from './routing.js';
import { formatToken } from './token.js';
import type { TokenKeys } from './token-keys.js';
import { LeasedTransaction } from './transaction.js';

/**
 * Runs the body in one transaction.
 * @throws StowageError
 */
export async function write<T>(
  routing: Routing,
  keys: TokenKeys,
  call: Call,
  body: (transaction: Transaction) => Promise<T>,
): Promise<Committed<T>> {
  // Before anything is written: a commit whose token cannot be signed could not be answered.
  const key = await keys.current();
  const limits = unaryLimits(call);
  const route = await routing.route({ kind: 'primary' }, routing.attempts(limits), limits);
  // The primary's history as it was chosen: it is the same until its server restarts.
  const at = routing.primaryPosition();
  const work: Work = { name: 'transaction', route, call, phase: 'write' };
  const startedAtMs = performance.now();
  try {
    const lease = await routing.nodeOf(route).unary.acquire(limits);
    const release = () => lease.release('clean');
    const running = new LeasedTransaction(lease, { call, limits, route });
    let value: T;
    try {
      value = await body(running);
    } catch (error) {
      release();
      throw error;
    }
    const lsn = await running.commit(release);
    publish(work, startedAtMs, undefined);
    const token = formatToken(key, at(lsn));
    call.onServed(servedBy(route), token);
    return { value, token };
  } catch (error) {
    const refusal = routing.explain(work, error);
    publish(work, startedAtMs, refusal);
    throw refusal;
  }
}
