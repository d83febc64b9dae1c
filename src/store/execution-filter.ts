/** Which executions a list or a stream is about. */

import type { ExecutionFilter } from '../../gen/stowage/v1/hook_pb.js';
import { toIsoMicros } from '../lib/timestamp.js';
import { checkRange, EARLIEST, LATEST, timeBefore } from './audit-filter.js';

/** A filter in the form of this room; an empty text lets everything through. */
export interface CheckedExecutionFilter {
  readonly hookName: string;
  readonly eventType: string;
  readonly objectKey: string;
  /** Null: what succeeded and what did not. */
  readonly success: boolean | null;
  readonly correlationId: string;
  /** At or after this time; text of PostgreSQL, `-infinity` where none is set. */
  readonly startTime: string;
  /** The last microsecond before that. */
  readonly timeBefore: string;
  /** Before this time; `infinity` where none is set. */
  readonly endTime: string;
}

/**
 * Checks a filter; left out, it lets everything through.
 * @throws StowageError INVALID_REQUEST for an end before the start.
 */
export function checkedExecutionFilter(
  filter: ExecutionFilter | undefined,
): CheckedExecutionFilter {
  const { startTime, endTime } = checkRange(filter ?? {}, 'filter.end_time');
  return {
    hookName: filter?.hookName ?? '',
    eventType: filter?.eventType ?? '',
    objectKey: filter?.objectKey ?? '',
    success: filter?.success ?? null,
    correlationId: filter?.correlationId ?? '',
    startTime: startTime === undefined ? EARLIEST : toIsoMicros(startTime),
    timeBefore: timeBefore(startTime),
    endTime: endTime === undefined ? LATEST : toIsoMicros(endTime),
  };
}

/** What a page or resume token is bound to beside its call. */
export function executionFilterBinding(filter: CheckedExecutionFilter): string[] {
  const { hookName, eventType, objectKey, success, correlationId, startTime, endTime } = filter;
  return [hookName, eventType, objectKey, String(success), correlationId, startTime, endTime];
}
