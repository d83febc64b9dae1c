/**
 * Counts what the rooms publish on diagnostics channels. The channels are the process's: of several
 * servers in one process each counts what all of them do, but what its own router can tell apart.
 */

import { Code } from '../../gen/google/rpc/code_pb.js';
import { type CallEnded, onCallEnded, onReloadEnded, onStreamMessage } from './events.js';
import { listen } from './listen.js';
import type { Recorder } from './metric-instruments.js';
import type { LabelValue } from './metric-labels.js';

/** What is read of the events of rooms that this one may not import. */
interface StatementEnded {
  readonly statement: string;
  readonly durationMs: number;
  readonly rows: number | undefined;
  readonly attempt: number;
  readonly isFallback: boolean;
  readonly reason: string | undefined;
}

interface NodeChanged {
  readonly node: string;
  readonly from: LabelValue<'stowage.from'>;
  readonly to: LabelValue<'stowage.to'>;
}

interface JobRan {
  readonly job: string;
  readonly outcome: LabelValue<'stowage.outcome'>;
  readonly durationMs: number;
}

interface BatchEnded {
  readonly items: number;
  readonly durationMs: number;
  readonly reason: string | undefined;
}

interface ItemsSent {
  readonly method: string;
  readonly items: number;
  readonly bytes: number;
}

/** A stream that waits less for its caller's next question waits for the event loop. */
const stallMsMin = 10;

/** The names of nodes and the primary's, as the router has them now. */
export interface Office {
  readonly nodes: readonly { readonly name: string }[];
  readonly primary: string | undefined;
}

/** Counts until the returned function is called. */
export function countEvents(recorder: Recorder, office: () => Office): () => void {
  beginAtZero(recorder);
  const stops = [
    onCallEnded((call) => countCall(recorder, call)),
    onStreamMessage(({ method, stalledMs }) => {
      const labels = { 'rpc.method': method };
      recorder.add('stowage.stream.messages', 1, labels);
      if (stalledMs < stallMsMin) return;
      recorder.add('stowage.stream.stalls', 1, labels);
      recorder.add('stowage.stream.stall', stalledMs / 1000, labels);
    }),
    onReloadEnded(({ error }) => {
      const outcome = error === undefined ? 'succeeded' : 'failed';
      recorder.add('stowage.reloads', 1, { 'stowage.outcome': outcome });
    }),
    listen<StatementEnded>('stowage:postgres:query', (event) => countStatement(recorder, event)),
    listen<{ statement: string }>('stowage:postgres:slow', ({ statement }) => {
      recorder.add('stowage.slow.statements', 1, { 'stowage.statement': statement });
    }),
    listen('stowage:postgres:topology', transitionCounter(recorder, office)),
    listen<{ node: string; cause: unknown }>('stowage:postgres:history', ({ node, cause }) => {
      const isOurs = office().nodes.some(({ name }) => name === node);
      if (isOurs && cause !== undefined) recorder.add('stowage.history.failures', 1, {});
    }),
    listen<{ end: LabelValue<'stowage.end'> }>('stowage:commit-in-doubt', ({ end }) => {
      recorder.add('stowage.commits.in_doubt', 1, { 'stowage.end': end });
    }),
    listen<ItemsSent>('stowage:stream-items', ({ method, items, bytes }) => {
      recorder.add('stowage.stream.items', items, { 'rpc.method': method });
      recorder.add('stowage.stream.sent', bytes, { 'rpc.method': method });
    }),
    listen<BatchEnded>('stowage:ingest-batch', ({ items, durationMs, reason }) => {
      const failure = reason === undefined ? {} : { 'stowage.reason': reason };
      recorder.add('stowage.ingest.batches', 1, failure);
      if (reason === undefined) recorder.add('stowage.ingest.rows', items, {});
      recorder.time('stowage.ingest.batch.duration', durationMs, {});
    }),
    listen<JobRan>('stowage:job-run', ({ job, outcome, durationMs }) => {
      recorder.add('stowage.job.runs', 1, { 'stowage.job': job, 'stowage.outcome': outcome });
      recorder.time('stowage.job.duration', durationMs, { 'stowage.job': job });
    }),
  ];
  return () => {
    for (const stop of stops) stop();
  };
}

/** A counter that is not there yet cannot be seen to rise: Prometheus would miss the first time. */
function beginAtZero(recorder: Recorder): void {
  recorder.add('stowage.router.failovers', 0, {});
  recorder.add('stowage.router.fallbacks', 0, {});
  recorder.add('stowage.history.failures', 0, {});
  recorder.add('stowage.ingest.rows', 0, {});
  for (const end of ['answered', 'repeated', 'refused', 'unknown'] as const) {
    recorder.add('stowage.commits.in_doubt', 0, { 'stowage.end': end });
  }
  for (const outcome of ['succeeded', 'failed'] as const) {
    recorder.add('stowage.reloads', 0, { 'stowage.outcome': outcome });
  }
}

function countCall(recorder: Recorder, call: CallEnded): void {
  const { method, isKnown, door, code, reason, durationMs } = call;
  recorder.time('rpc.server.call.duration', durationMs, {
    'rpc.method': isKnown ? method : 'unknown',
    'rpc.response.status_code': Code[code] ?? 'UNKNOWN',
    'stowage.door': door,
    ...(reason === undefined ? {} : { 'stowage.reason': reason }),
  });
}

function countStatement(recorder: Recorder, event: StatementEnded): void {
  const { statement, durationMs, rows, attempt, isFallback, reason } = event;
  const labels = { 'stowage.statement': statement };
  recorder.time('db.client.operation.duration', durationMs, {
    ...labels,
    ...(reason === undefined ? {} : { 'error.type': reason }),
  });
  if (rows !== undefined) recorder.add('stowage.statement.rows', rows, labels);
  if (attempt > 1) recorder.add('stowage.statement.retries', 1, labels);
  if (isFallback) recorder.add('stowage.router.fallbacks', 1, {});
}

/** Another server's nodes are none of ours, and must not become series. */
function transitionCounter(recorder: Recorder, office: () => Office) {
  let lastPrimary = office().primary;
  return ({ node, from, to }: NodeChanged) => {
    if (!office().nodes.some(({ name }) => name === node)) return;
    recorder.add('stowage.router.transitions', 1, {
      'stowage.node': node,
      'stowage.from': from,
      'stowage.to': to,
    });
    if (to !== 'primary') return;
    if (lastPrimary !== undefined && lastPrimary !== node) {
      recorder.add('stowage.router.failovers', 1, {});
    }
    lastPrimary = node;
  };
}
