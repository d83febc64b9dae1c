/**
 * Transactions on the primary: waits for one where none is known, and runs a transaction again as a
 * whole where the one before surely left nothing.
 */

import { StowageError } from '../errors.js';
import { pauseWithin } from '../lib/backoff.js';
import type { Limits } from '../lib/interruption.js';
import type { Call } from './call.js';
import { delayBefore, type Rerun, rerunAfter } from './rerun.js';
import type { Committed, Transaction } from './router-api.js';
import { publish, type Routing, servedBy, unaryLimits, type Work } from './routing.js';
import { formatToken } from './token.js';
import type { TokenKeys } from './token-keys.js';
import { LeasedTransaction } from './transaction.js';

/** What a transaction consists of. */
type Body<T> = (transaction: Transaction) => Promise<T>;

/** What one run came to. */
type Outcome<T> =
  | { readonly committed: Committed<T> }
  | { readonly refusal: StowageError; readonly rerun: Rerun };

/**
 * Runs the body in one transaction, and runs it again where another transaction was in the way, the
 * node failed before COMMIT, or the server had no room: within the call's deadline. What the body
 * itself throws ends it.
 * @throws StowageError
 */
export async function write<T>(
  routing: Routing,
  keys: TokenKeys,
  call: Call,
  body: Body<T>,
): Promise<Committed<T>> {
  const limits = unaryLimits(call);
  const waits = routing.attempts(limits);
  let obstacle: StowageError | undefined;
  for (let failures = 1; ; failures += 1) {
    const route = await routing.route({ kind: 'primary' }, waits, limits);
    const work: Work = {
      name: 'transaction',
      route,
      call,
      phase: 'write',
      attempt: failures,
    };
    const startedAtMs = performance.now();
    const outcome = await runOnce(routing, keys, work, limits, body);
    if ('committed' in outcome) {
      publish(work, startedAtMs, undefined);
      call.onServed(servedBy(route), outcome.committed.token);
      return outcome.committed;
    }
    publish(work, startedAtMs, outcome.refusal);
    // The caller learns what was in the way, rather than that time ran out over it.
    if (outcome.refusal.reason === 'DEADLINE_EXCEEDED') throw obstacle ?? outcome.refusal;
    obstacle = outcome.refusal;
    const delayMs = delayBefore(outcome.rerun, failures);
    const isTooLate = performance.now() + (delayMs ?? 0) >= limits.deadlineMs;
    if (delayMs === undefined || isTooLate) throw obstacle;
    await pauseWithin(delayMs, limits);
  }
}

async function runOnce<T>(
  routing: Routing,
  keys: TokenKeys,
  work: Work,
  limits: Limits,
  body: Body<T>,
): Promise<Outcome<T>> {
  const { route, call, attempt } = work;
  const { epoch } = routing.monitor.topology;
  // The primary's history as it is in this epoch, whatever is learned before the commit is through.
  const positionAt = routing.primaryPosition();
  const refused = (error: unknown): Outcome<T> => {
    const refusal = routing.explain(work, error);
    return { refusal, rerun: rerunAfter(refusal) };
  };
  try {
    // Before anything is written: a commit whose token cannot be signed could not be answered.
    const key = await keys.current();
    const lease = await routing.nodeOf(route).unary.acquire(limits);
    const release = () => lease.release('clean');
    const running = new LeasedTransaction(lease, {
      call,
      limits,
      route,
      attempt,
      slow: routing.slow,
      isStillPrimary: () => isStillPrimary(routing, route.node, epoch),
      hasLostHistory: () => hasLostHistory(routing, route.node, epoch),
    });
    let value: T;
    try {
      value = await body(running);
    } catch (error) {
      running.end(release);
      const { failure } = running;
      const refusal = bodyRefusal(error);
      if (failure === undefined) return { refusal, rerun: 'never' };
      return { ...refused(failure), refusal };
    }
    const lsn = await running.commit(release);
    return { committed: { value, token: formatToken(key, positionAt(lsn)) } };
  } catch (error) {
    return refused(error);
  }
}

/** Whether the primary is the one, and of the history, that the transaction began on. */
function isStillPrimary({ monitor }: Routing, node: string, epoch: number): boolean {
  return monitor.topology.primary === node && monitor.topology.epoch === epoch;
}

/**
 * Whether another one has followed the node, or it is known to be of the past. One that is silent
 * for a moment, or no longer among the nodes, has answered the commit all the same.
 */
function hasLostHistory({ monitor }: Routing, node: string, epoch: number): boolean {
  const { topology } = monitor;
  const state = topology.nodes.get(node)?.state ?? 'unreachable';
  return topology.epoch !== epoch || (state !== 'primary' && state !== 'unreachable');
}

/** What the body threw says nothing of the node, whatever it looks like. */
function bodyRefusal(error: unknown): StowageError {
  return error instanceof StowageError ? error : new StowageError('INTERNAL', { cause: error });
}
