/**
 * Looks at one node by name, whatever its state: one reading statement over the one connection that
 * no call uses, so that operators see a node whose pools are exhausted. Says nothing of how fresh
 * the node is, and is no evidence against it.
 */

import { StowageError } from '../errors.js';
import type { Call } from './call.js';
import { publish, type Routing, unaryLimits, type Work } from './routing.js';
import { readScopeStep } from './scope.js';
import { toStowageError } from './sqlstate.js';
import type { Statement } from './statement.js';

/** No look takes longer: another one waits for its connection. */
const INSPECTION_TIMEOUT_MAX_MS = 10_000;

/**
 * Runs one reading statement on the node, within 10 s.
 * @throws StowageError NODE_NOT_FOUND; NO_NODE where it does not answer; OVERLOADED where others
 * wait for the connection; DEADLINE_EXCEEDED; the signal's reason.
 */
export async function inspect<Row>(
  routing: Routing,
  name: string,
  statement: Statement<Row>,
  params: readonly unknown[],
  call: Call,
): Promise<Row[]> {
  const node = routing.nodes.find((each) => each.name === name);
  if (node === undefined) throw new StowageError('NODE_NOT_FOUND', { metadata: { node: name } });
  const { deadlineMs, signal } = unaryLimits(call);
  const startedAtMs = performance.now();
  const latestMs = startedAtMs + INSPECTION_TIMEOUT_MAX_MS;
  const limits = { signal, deadlineMs: Math.min(deadlineMs, latestMs) };
  const route = { ...UNKNOWN_ROUTE, node: name, role: roleOf(routing, name) };
  const work: Work = { name: statement.name, route, call, phase: 'read', attempt: 1 };
  try {
    const lease = await node.inspection.acquire(limits);
    try {
      const scope = readScopeStep(call, limits.deadlineMs);
      const results = await lease.run([scope, { statement, params }], limits);
      const rows = (results.at(-1)?.rows ?? []) as Row[];
      publish(work, startedAtMs, undefined, rows.length);
      return rows;
    } finally {
      lease.release('clean');
    }
  } catch (error) {
    const refusal = toStowageError(error, {
      phase: 'read',
      node: name,
      deadlineMs: call.deadlineMs,
    });
    publish(work, startedAtMs, refusal);
    throw refusal;
  }
}

const UNKNOWN_ROUTE = {
  lagMs: undefined,
  startedAt: '',
  goodUpTo: undefined,
  mustReplay: undefined,
  isFallback: false,
} as const;

function roleOf({ monitor }: Routing, name: string): 'primary' | 'standby' {
  return monitor.topology.primary === name ? 'primary' : 'standby';
}
