/** Executions of hooks between rows and messages; the columns are in the order of the fields. */

import { create, type JsonObject } from '@bufbuild/protobuf';
import { type HookExecution, HookExecutionSchema } from '../../gen/stowage/v1/hook_pb.js';
import type { TimestampValue } from '../lib/timestamp.js';
import type { TupleColumn } from '../wire/tuple-encoder.js';
import { timestampMessage } from './messages.js';

/** A row of `storage_hooks`. */
export interface ExecutionRow {
  readonly id: string;
  readonly timestamp: TimestampValue;
  readonly hook_name: string;
  readonly event_type: string;
  readonly object_key: string | null;
  readonly execution_time: number | null;
  readonly success: boolean;
  readonly error_message: string | null;
  readonly response: JsonObject | null;
  readonly payload: JsonObject | null;
  readonly correlation_id: string | null;
}

/** The columns of an execution. */
export const EXECUTION = `id, timestamp, hook_name, event_type, object_key, execution_time, success,
    error_message, response, payload, correlation_id`;

/** What the tuple encoder is compiled from; the order of `EXECUTION`. */
export const executionColumns: readonly TupleColumn[] = [
  { name: 'id', type: 'uuid' },
  { name: 'timestamp', type: 'timestamptz' },
  { name: 'hook_name', type: 'text' },
  { name: 'event_type', type: 'text' },
  { name: 'object_key', type: 'text' },
  { name: 'execution_time', type: 'float8' },
  { name: 'success', type: 'bool' },
  { name: 'error_message', type: 'text' },
  { name: 'response', type: 'jsonb' },
  { name: 'payload', type: 'jsonb' },
  { name: 'correlation_id', type: 'text' },
];

/** The message for a row. An empty response or payload is left out, as streams leave it out. */
export function toExecution(row: ExecutionRow): HookExecution {
  return create(HookExecutionSchema, {
    id: row.id,
    timestamp: timestampMessage(row.timestamp),
    hookName: row.hook_name,
    eventType: row.event_type,
    objectKey: row.object_key ?? '',
    ...(row.execution_time === null ? {} : { executionTime: row.execution_time }),
    success: row.success,
    errorMessage: row.error_message ?? '',
    ...(isEmpty(row.response) ? {} : { response: row.response }),
    ...(isEmpty(row.payload) ? {} : { payload: row.payload }),
    correlationId: row.correlation_id ?? '',
  });
}

function isEmpty(json: JsonObject | null): json is null {
  return json === null || Object.keys(json).length === 0;
}
