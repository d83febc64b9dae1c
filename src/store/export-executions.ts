/** Executions of hooks as a stream in the order of time; see snapshot-stream.ts. */

import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { ExportExecutionsResponseSchema } from '../../gen/stowage/v1/hook_execution_pb.js';
import { type ExecutionFilter, HookExecutionSchema } from '../../gen/stowage/v1/hook_pb.js';
import type { Call } from '../postgres/call.js';
import { createBatchCollector } from '../wire/batch-collector.js';
import { compileTupleEncoder } from '../wire/tuple-encoder.js';
import { executionColumns } from './execution-columns.js';
import {
  type CheckedExecutionFilter,
  checkedExecutionFilter,
  executionFilterBinding,
} from './execution-filter.js';
import { executionSlices } from './export-executions.sql.js';
import { type SnapshotSource, streamSnapshot } from './snapshot-stream.js';
import type { Store } from './store.js';
import { keyOfPlace, type TimedFilter, timeSlice } from './time-slices.js';

/** Which executions, from where. */
interface ExecutionExport {
  readonly filter?: ExecutionFilter | undefined;
  /** Empty: from the beginning. */
  readonly resumeToken: string;
}

const encoder = compileTupleEncoder(HookExecutionSchema, executionColumns, {
  field: ExportExecutionsResponseSchema.field.executions,
});

/**
 * Streams encoded ExportExecutionsResponse messages.
 * @throws StowageError INVALID_REQUEST, and those of `streamSnapshot`.
 */
export function exportExecutions(
  store: Store,
  call: Call,
  { filter: asked, resumeToken }: ExecutionExport,
): AsyncGenerator<Uint8Array, void, undefined> {
  const filter = checkedExecutionFilter(asked);
  const rows = timedFilter(call.project, filter);
  const source: SnapshotSource = {
    range: { source: 'storage_hooks', start: filter.startTime, end: filter.endTime },
    args: executionFilterBinding(filter),
    collector: createBatchCollector({ encoder, key: readKey }),
    slice: (after, rowsMax, snapshot, known) =>
      timeSlice(store, known, rows, after, rowsMax, snapshot),
    encode: (fields) =>
      toBinary(ExportExecutionsResponseSchema, create(ExportExecutionsResponseSchema, fields)),
  };
  return streamSnapshot(store, call, source, resumeToken);
}

/** Correlation ids and hooks have an index in time order; a correlation id lets fewer through. */
function timedFilter(project: string, filter: CheckedExecutionFilter): TimedFilter {
  const { success, startTime, endTime } = filter;
  const [hookName, eventType, objectKey, correlationId] = [
    filter.hookName,
    filter.eventType,
    filter.objectKey,
    filter.correlationId,
  ].map((text) => text || null);
  const hook = correlationId === null ? hookName : null;
  const asked = [hookName, eventType, objectKey, success, correlationId];
  const driving = [hook, null, null, null, correlationId];
  return {
    statements: executionSlices,
    params: [project, ...asked, startTime, endTime],
    driver: [project, ...driving, startTime, endTime],
    isWhole: asked.every((value, index) => value === driving[index]),
  };
}

function readKey(message: Buffer): string {
  const { id, timestamp } = fromBinary(HookExecutionSchema, message);
  return keyOfPlace({ id, timestamp: timestamp ?? { seconds: 0n, nanos: 0 } });
}
