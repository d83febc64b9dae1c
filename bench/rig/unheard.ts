/**
 * What a call costs for being told to nobody: the pipeline's own step at its begin and end, and the
 * event of its statement, while nobody listens in this process.
 */

import { publishQuery, type QueryEvent } from '../../src/postgres/events.js';
import { type InboundCall, ServerCall } from '../../src/server/server-call.js';
import { createSteps } from '../../src/server/steps.js';

const event: QueryEvent = {
  ...{ statement: 'get-object', node: '127.0.0.1:5432', role: 'primary', startedAtMs: 0 },
  ...{ durationMs: 1, rows: 1, attempt: 1, isFallback: false, requestId: '', trace: undefined },
  ...{ reason: undefined, cause: undefined },
};

const inbound: InboundCall = {
  ...{ door: 'grpc', method: 'stowage.v1.StorageService/GetObject', kind: 'unary' },
  ...{ origin: { address: undefined, userAgent: undefined }, timeoutMs: undefined },
  headers: () => [],
  setHeader: () => undefined,
};

/** CPU a call in microseconds, over so many calls. */
export function unheardUs(calls: number): number {
  const step = createSteps({
    ...{ authToken: undefined, unaryTimeoutMs: 1, unaryTimeoutMaxMs: 1 },
    ...{ unaryInFlightMax: 1, streamsInFlightMax: 1 },
  }).find(({ name }) => name === 'telemetry');
  if (step === undefined) throw new Error('the pipeline has no step for telemetry');
  const call = new ServerCall(inbound);
  const before = process.cpuUsage();
  for (let count = 0; count < calls; count += 1) {
    step.enter?.(call);
    publishQuery(() => ({ ...event, rows: count }));
    step.leave?.(call, undefined);
  }
  const { user, system } = process.cpuUsage(before);
  return (user + system) / calls;
}
