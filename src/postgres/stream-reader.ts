/**
 * Streams: one statement's rows as batches, on a node that is fresh enough. Repeated elsewhere
 * until the first batch is there; behind it only who reads knows where to go on.
 */

import { StowageError } from '../errors.js';
import type { Token } from '../lib/token-layout.js';
import type { Call } from './call.js';
import { type Demand, isComparable, type Route } from './freshness.js';
import type { Lease } from './lease.js';
import { checkRead } from './read-check.js';
import { identityIn, mayRepeat, openingSteps, positionIn, positionStep, timed } from './reader.js';
import type { TupleCollector } from './router-api.js';
import { publish, type Routing, type Work } from './routing.js';
import { readScopeStep } from './scope.js';
import { BatchStream } from './stream.js';
import type { Step } from './unit.js';

/** A stream that has begun. */
export interface OpenedStream<Batch> {
  readonly stream: BatchStream<Batch>;
  readonly work: Work;
  readonly startedAtMs: number;
  /** Undefined where there are no rows. */
  readonly first: Batch | undefined;
  /** Where it stands in history. */
  readonly token: Token | undefined;
}

/**
 * Opens a stream and reads its first batch.
 * @param node the node of the slices before; NO_NODE rather than another one.
 * @throws StowageError
 */
export async function openStream<Batch>(
  routing: Routing,
  step: Step & { readonly statement: { readonly name: string } },
  call: Call,
  how: {
    readonly demand: Demand;
    readonly collector: TupleCollector<Batch>;
    readonly node: string | undefined;
    readonly idleTimeoutMs: number;
  },
): Promise<OpenedStream<Batch>> {
  const attempts = routing.attempts(call);
  for (;;) {
    const route =
      how.node === undefined
        ? await routing.route(how.demand, attempts, call)
        : pinned(routing, how.node, how.demand);
    const { name } = step.statement;
    const work: Work = { name, route, call, phase: 'read', attempt: attempts.number };
    const startedAtMs = performance.now();
    const { topology } = routing.monitor;
    let stream: BatchStream<Batch> | undefined;
    try {
      const lease = await routing.nodeOf(route).streams.acquire(call);
      await askAhead(lease, route, call);
      // Behind the scope, which takes the snapshot, and before the rows: see sessionOptions.
      const scope = readScopeStep(call, call.deadlineMs);
      const steps = [scope, positionStep(routing, route), step];
      const { collector, idleTimeoutMs } = how;
      stream = new BatchStream({ lease, steps, collector, limits: call, idleTimeoutMs });
      const opened = stream;
      const first = await timed(routing, work, step, () => opened.next());
      const position = positionIn(stream.results[1]);
      const served = checkRead(how.demand, route, identityIn(stream.results), position);
      const token = routing.tokenOf(served, route.role, topology);
      return { stream, work, startedAtMs, first, token };
    } catch (error) {
      stream?.abandon();
      const refusal = routing.explain(work, error);
      publish(work, startedAtMs, refusal);
      if (how.node !== undefined || !mayRepeat(refusal, route, attempts)) throw refusal;
      // What was collected of a batch that did not become full comes again.
      how.collector.take();
      await routing.backOff(attempts, call);
    }
  }
}

/**
 * Whether the node has come far enough, in a transaction ahead: a stream's snapshot is taken before
 * its first step can tell. The lease is given back when it has not.
 */
async function askAhead(lease: Lease, route: Route, call: Call): Promise<void> {
  if (route.mustReplay === undefined) return;
  try {
    await lease.run(openingSteps(call, route, call.deadlineMs), call);
  } catch (error) {
    lease.release('clean');
    throw error;
  }
}

/**
 * The node that a stream's earlier slices ran on.
 * @throws StowageError NO_NODE; TOKEN_HISTORY_LOST where it may have followed another history.
 */
function pinned(routing: Routing, name: string, demand: Demand): Route {
  const isKnown =
    demand.kind !== 'at_least' || isComparable(routing.monitor.topology, demand.token, 0);
  const route = isKnown ? routing.routeTo(name) : undefined;
  if (route === undefined) throw new StowageError('NO_NODE', { metadata: { node: name } });
  return route;
}
