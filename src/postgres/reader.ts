/**
 * Unary reads: one statement on a node that is fresh enough, in one round trip, repeated elsewhere
 * when the node fails or was not what it was taken for. Callers see none of that.
 */

import type { StowageError } from '../errors.js';
import type { Limits } from '../lib/interruption.js';
import type { Token } from '../lib/token-layout.js';
import type { Call } from './call.js';
import {
  genericPlans,
  type Identity,
  readPosition,
  readReplayedPosition,
  requireReplayed,
} from './control.sql.js';
import type { Demand, Route } from './freshness.js';
import { formatLsn } from './lsn.js';
import { checkRead, type Position } from './read-check.js';
import { type Attempts, publish, type Routing, unaryLimits, type Work } from './routing.js';
import { readScopeStep } from './scope.js';
import { repetition } from './sqlstate.js';
import type { Step, StepResult } from './unit.js';

/** A read that no node could do is given up after this many attempts. */
const ATTEMPTS_MAX = 8;

/** What a read came to. */
export interface ReadResult {
  readonly rows: unknown[];
  readonly route: Route;
  /** Where it stands in history. */
  readonly token: Token | undefined;
}

/**
 * Runs one reading statement.
 * @throws StowageError of the last attempt.
 */
export async function read(
  routing: Routing,
  step: Step & { readonly statement: { readonly name: string } },
  call: Call,
  demand: Demand,
): Promise<ReadResult> {
  const limits = unaryLimits(call);
  const attempts = routing.attempts(limits);
  for (;;) {
    const route = await routing.route(demand, attempts, limits);
    const { name } = step.statement;
    const work: Work = { name, route, call, phase: 'read', attempt: attempts.number };
    const startedAtMs = performance.now();
    try {
      const result = await readOn(routing, work, step, demand, limits);
      publish(work, startedAtMs, undefined, result.rows.length);
      return result;
    } catch (error) {
      const refusal = routing.explain(work, error);
      publish(work, startedAtMs, refusal);
      if (!mayRepeat(refusal, route, attempts)) throw refusal;
      await routing.backOff(attempts, limits);
    }
  }
}

/**
 * Whether a read that failed is worth another node. Reads are repeated whatever was sent: they
 * change nothing.
 */
export function mayRepeat(refusal: StowageError, route: Route, attempts: Attempts): boolean {
  const repeat = repetition(refusal, route);
  if (repeat === 'never' || attempts.number >= ATTEMPTS_MAX) return false;
  attempts.number += 1;
  if (repeat === 'behind') attempts.behind.add(route.node);
  else attempts.tried.add(route.node);
  return true;
}

async function readOn(
  routing: Routing,
  work: Work,
  step: Step,
  demand: Demand,
  limits: Limits,
): Promise<ReadResult> {
  const { route, call } = work;
  const { topology } = routing.monitor;
  const lease = await routing.nodeOf(route).unary.acquire(limits);
  try {
    const opening = openingSteps(call, route, limits.deadlineMs);
    const steps = [...opening, ...planSteps(step), step, positionStep(routing, route)];
    const results = await timed(routing, work, step, () => lease.run(steps, limits));
    const served = checkRead(demand, route, identityIn(results), positionIn(results.at(-1)));
    const token = routing.tokenOf(served, route.role, topology);
    return { rows: results.at(-2)?.rows ?? [], route, token };
  } finally {
    lease.release('clean');
  }
}

/** Does a statement, however it ends, and has it noted where it was slow. */
export async function timed<T>(
  { slow }: Routing,
  work: Work,
  step: Step,
  run: () => Promise<T>,
): Promise<T> {
  if (slow === undefined) return run();
  const startedAtMs = performance.now();
  try {
    return await run();
  } finally {
    slow.note(work, step, performance.now() - startedAtMs);
  }
}

/** Before a statement that is planned without the values of its parameters. */
function planSteps({ statement }: Step): Step[] {
  if (statement.plan !== 'generic') return [];
  return [{ statement: genericPlans, params: [], isFrame: true }];
}

/** Before a read's statement: its scope, and the guard where only the read can tell. */
export function openingSteps(call: Call, route: Route, deadlineMs: number): Step[] {
  const scope = readScopeStep(call, deadlineMs);
  if (route.mustReplay === undefined) return [scope];
  return [scope, { statement: requireReplayed, params: [formatLsn(route.mustReplay)] }];
}

/** Behind a read's statement: how far its node had come. */
export function positionStep({ monitor }: Routing, route: Route): Step {
  if (route.role === 'primary') return { statement: readPosition, params: [] };
  const report = monitor.topology.nodes.get(route.node)?.report;
  if (report?.history === undefined) return { statement: readPosition, params: [] };
  const system = BigInt.asIntN(64, report.systemIdentifier);
  return { statement: readReplayedPosition, params: [system] };
}

/** What the scope told of the node. */
export function identityIn(results: readonly StepResult[]): Identity | undefined {
  return results[0]?.rows[0] as Identity | undefined;
}

/** What the position's step told. */
export function positionIn(result: StepResult | undefined): Position | undefined {
  return result?.rows[0] as Position | undefined;
}
