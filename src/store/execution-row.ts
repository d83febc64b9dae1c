/** Executions of hooks as they are appended. */

import type { HookExecution } from '../../gen/stowage/v1/hook_pb.js';
import { type AppendRow, appendRow, jsonOrNull, textOrNull } from './append-row.js';

/**
 * The row of a validated execution.
 * @throws StowageError EVENT_TIME_OUT_OF_RANGE
 */
export function executionRow(execution: HookExecution, path: string, nowMs: number): AppendRow {
  return appendRow(execution, path, nowMs, [
    execution.hookName,
    execution.eventType,
    textOrNull(execution.objectKey),
    execution.executionTime === undefined ? null : String(execution.executionTime),
    String(execution.success ?? execution.errorMessage === ''),
    textOrNull(execution.errorMessage),
    jsonOrNull(execution.response),
    jsonOrNull(execution.payload),
    textOrNull(execution.correlationId),
  ]);
}
