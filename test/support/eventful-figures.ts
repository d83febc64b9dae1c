/**
 * What each metric of a server comes to that has lived through whatever metrics tell of: what
 * test/system/prometheus.test.ts does to it, and what it expects then.
 */
import type { MetricName } from '../../src/telemetry/metric-table.js';

/** Of the ingest, and so of a stream of all that it brought. */
export const BATCHES = 20;
export const BATCH_SIZE = 1000;
export const OBJECTS = BATCHES * BATCH_SIZE;
/** Connections of the server a node, of which unary calls have four. */
export const CONNECTIONS = 8;
/** How many calls may wait for one. */
export const QUEUE = 2;

/** An expression, and what its sum is: that number, or more than another. */
type Figure = readonly [expression: string, bound: number | { readonly above: number }];

const positive = { above: 0 };

/** What each metric must have come to; one that the table gains does not compile without. */
export const figures: Record<MetricName, Figure> = {
  'rpc.server.call.duration': [
    'rpc_server_call_duration_seconds_count{rpc_method="stowage.v1.StorageService/GetStatistics",' +
      'rpc_response_status_code="OK",stowage_reason="",stowage_door="grpc"}',
    3,
  ],
  'stowage.calls.in_flight': [
    'max_over_time(stowage_calls_in_flight{stowage_kind="stream"}[10m])',
    1,
  ],
  'stowage.stream.messages': ['stowage_stream_messages_total', positive],
  'stowage.stream.items': ['stowage_stream_items_total', { above: OBJECTS }],
  'stowage.stream.sent': ['stowage_stream_sent_bytes_total', { above: 20 * OBJECTS }],
  'stowage.stream.stalls': ['stowage_stream_stalls_total', positive],
  'stowage.stream.stall': ['stowage_stream_stall_seconds_total', positive],
  'stowage.ingest.batches': ['stowage_ingest_batches_total{stowage_reason=""}', BATCHES],
  'stowage.ingest.rows': ['stowage_ingest_rows_total', OBJECTS],
  'stowage.ingest.batch.duration': ['stowage_ingest_batch_duration_seconds_count', BATCHES],
  'db.client.operation.duration': [
    'sum(db_client_operation_duration_seconds_count{error_type=""})',
    { above: BATCHES },
  ],
  'stowage.statement.rows': ['sum(stowage_statement_rows_total)', { above: OBJECTS }],
  'stowage.statement.retries': ['sum(stowage_statement_retries_total)', positive],
  'stowage.slow.statements': ['sum(stowage_slow_statements_total)', positive],
  'stowage.commits.in_doubt': ['stowage_commits_in_doubt_total{stowage_end="repeated"}', 1],
  'db.client.connection.count': ['sum(max_over_time(db_client_connection_count[10m]))', positive],
  'db.client.connection.max': [
    'sum(db_client_connection_max{stowage_pool=~"unary|streams"})',
    3 * (CONNECTIONS - 2),
  ],
  'db.client.connection.pending_requests': [
    'max(max_over_time(db_client_connection_pending_requests[10m]))',
    QUEUE,
  ],
  'db.client.connection.timeouts': ['sum(db_client_connection_timeouts_total)', positive],
  'stowage.pool.acquires': ['sum(stowage_pool_acquires_total)', { above: 50 }],
  'stowage.pool.acquire': ['sum(stowage_pool_acquire_seconds_total)', positive],
  'stowage.pool.refusals': ['sum(stowage_pool_refusals_total)', positive],
  'stowage.node.state': ['sum(stowage_node_state{stowage_state=~"primary|standby"})', 3],
  'stowage.node.primary': ['sum(stowage_node_primary)', 1],
  'stowage.node.timeline': ['max(stowage_node_timeline)', 2],
  'stowage.node.lag.bytes': ['max(max_over_time(stowage_node_lag_bytes[10m]))', positive],
  'stowage.node.lag.seconds': ['max(max_over_time(stowage_node_lag_seconds[10m]))', positive],
  'stowage.node.drained': ['max(max_over_time(stowage_node_drained[10m]))', 1],
  'stowage.router.epoch': ['stowage_router_epoch', 2],
  'stowage.router.transitions': [
    'sum(stowage_router_transitions_total{stowage_from="primary",stowage_to="unreachable"})',
    positive,
  ],
  'stowage.router.failovers': ['stowage_router_failovers_total', 1],
  'stowage.router.fallbacks': ['stowage_router_fallbacks_total', positive],
  'stowage.router.can_read': ['min_over_time(stowage_router_can_read[10m])', 1],
  'stowage.router.can_write': ['min_over_time(stowage_router_can_write[10m])', 0],
  'stowage.history.failures': ['stowage_history_failures_total', positive],
  'stowage.job.runs': ['sum(stowage_job_runs_total{stowage_outcome="succeeded"})', { above: 3 }],
  'stowage.job.duration': ['sum(stowage_job_duration_seconds_count)', { above: 3 }],
  'stowage.reloads': ['sum(stowage_reloads_total)', 2],
  'nodejs.eventloop.delay.p50': ['nodejs_eventloop_delay_p50_seconds', positive],
  'nodejs.eventloop.delay.p99': ['nodejs_eventloop_delay_p99_seconds', positive],
  'nodejs.eventloop.delay.max': ['nodejs_eventloop_delay_max_seconds', positive],
  'nodejs.eventloop.utilization': ['nodejs_eventloop_utilization_ratio', positive],
  'v8js.memory.heap.used': ['sum(v8js_memory_heap_used_bytes)', { above: 1e7 }],
  'process.memory.usage': ['process_memory_usage_bytes', { above: 5e7 }],
  'process.cpu.time': ['sum(process_cpu_time_seconds_total)', { above: 1 }],
  'process.uptime': ['process_uptime_seconds', { above: 10 }],
  target_info: ['target_info{service_name="stowage"}', 1],
};
