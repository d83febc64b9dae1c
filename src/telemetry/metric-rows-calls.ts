/** The rows of the table of metrics about calls, streams and statements. */

import type { Metric } from './metric.js';

/** What callers notice. */
export const callMetrics = {
  'rpc.server.call.duration': {
    instrument: 'histogram',
    unit: 's',
    labels: ['rpc.method', 'rpc.response.status_code', 'stowage.reason', 'stowage.door'],
    help: 'How long calls took, streams to their end; its count is the number of calls.',
    action:
      'Group failures by `stowage_reason`: errors.md says what each means. Slow with few ' +
      'failures: compare `db_client_operation_duration_seconds`; where that is low, ' +
      'the process is busy (`nodejs_eventloop_delay_p99_seconds`).',
  },
  'stowage.calls.in_flight': {
    instrument: 'observableGauge',
    unit: '{call}',
    labels: ['stowage.kind'],
    help: 'Calls that run now; `stream` are the streams that are open.',
    action:
      'Near STOWAGE_UNARY_IN_FLIGHT_MAX or STOWAGE_STREAMS_IN_FLIGHT_MAX calls are refused with ' +
      'OVERLOADED: find out what is slow before the bound is raised.',
  },
  'stowage.stream.messages': {
    instrument: 'counter',
    unit: '{message}',
    labels: ['rpc.method'],
    help: 'Messages that streams sent.',
    action: 'None while streams are open: their callers do not read, or their nodes are slow.',
  },
  'stowage.stream.items': {
    instrument: 'counter',
    unit: '{item}',
    labels: ['rpc.method'],
    help: 'Items, each a row, in these messages.',
    action: 'As for the messages.',
  },
  'stowage.stream.sent': {
    instrument: 'counter',
    unit: 'By',
    labels: ['rpc.method'],
    help: 'Bytes of these items as they were sent.',
    action: 'As for the messages.',
  },
  'stowage.stream.stalls': {
    instrument: 'counter',
    unit: '{stall}',
    labels: ['rpc.method'],
    help: 'Times that a stream stood still for 10 ms or longer, for its caller did not read.',
    action: 'Callers or the network are slower than the server; harmless to others.',
  },
  'stowage.stream.stall': {
    instrument: 'counter',
    unit: 's',
    labels: ['rpc.method'],
    help: 'How long streams stood still so, all together.',
    action: 'One that stands past STOWAGE_STREAM_IDLE_TIMEOUT_MS ends with SLOW_CONSUMER.',
  },
  'stowage.ingest.batches': {
    instrument: 'counter',
    unit: '{batch}',
    labels: ['stowage.reason'],
    help: 'Batches of IngestObjects that were answered.',
    action: 'Those with a reason were refused whole: errors.md says why.',
  },
  'stowage.ingest.rows': {
    instrument: 'counter',
    unit: '{row}',
    labels: [],
    help: 'Objects in batches that were recorded.',
    action: 'None while batches come: they are refused.',
  },
  'stowage.ingest.batch.duration': {
    instrument: 'histogram',
    unit: 's',
    labels: [],
    help: 'How long batches took, from their arrival to their answer.',
    action: 'Compare the statements’ durations; locks of other writers show in AdminService.',
  },
} as const satisfies Readonly<Record<string, Metric>>;

/** What the service asks of PostgreSQL. */
export const statementMetrics = {
  'db.client.operation.duration': {
    instrument: 'histogram',
    unit: 's',
    labels: ['stowage.statement', 'error.type'],
    help: 'How long statements took, the wait for a connection included; streams to their end.',
    action:
      'High for all: look at the pools and at the node’s load. High for one: ' +
      '`stowage admin` shows slow and blocked queries.',
  },
  'stowage.statement.rows': {
    instrument: 'counter',
    unit: '{row}',
    labels: ['stowage.statement'],
    help: 'Rows that statements gave.',
    action:
      'Rows a call that rise without reason: a caller pages or filters otherwise than before.',
  },
  'stowage.statement.retries': {
    instrument: 'counter',
    unit: '{retry}',
    labels: ['stowage.statement'],
    help: 'Attempts beyond the first, at another node or as a rerun.',
    action:
      'Around a failover it is how calls survive. All the time: deadlocks, recovery conflicts or ' +
      'a node that comes and goes; the `error_type` of the durations tells which.',
  },
  'stowage.slow.statements': {
    instrument: 'counter',
    unit: '{statement}',
    labels: ['stowage.statement'],
    help: 'Statements that took longer than STOWAGE_SLOW_STATEMENT_MS.',
    action: 'The log has each with the hash of its plan: a new hash is a new plan, so analyze.',
  },
  'stowage.commits.in_doubt': {
    instrument: 'counter',
    unit: '{commit}',
    labels: ['stowage.end'],
    help: 'Commits whose answer was lost, by how that ended.',
    action:
      'Each is a primary or a connection that was lost. `unknown` ones were told to callers as ' +
      'COMMIT_OUTCOME_UNKNOWN: give mutations a `request_id`.',
  },
} as const satisfies Readonly<Record<string, Metric>>;
