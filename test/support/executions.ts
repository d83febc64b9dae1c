/** Executions of hooks that a test plants by SQL, and what a filter lets through of them. */

import { type JsonObject, type MessageInitShape, toJson } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import {
  type ExecutionFilterSchema,
  type HookExecution,
  HookExecutionSchema,
} from '../../gen/stowage/v1/hook_pb.js';
import type { TestService } from './service.js';

/** A row of `storage_hooks`. */
export interface Planted {
  /** In lower case: texts compare as PostgreSQL compares UUIDs. */
  readonly id: string;
  /** `2026-11-26T03:00:00.123456Z`: texts compare as the times do. */
  readonly timestamp: string;
  readonly hook_name: string;
  readonly event_type: string;
  readonly object_key?: string;
  readonly execution_time?: number;
  readonly success: boolean;
  readonly error_message?: string;
  readonly response?: JsonObject;
  readonly payload?: JsonObject;
  readonly correlation_id?: string;
}

/** The time so many seconds ago, with microseconds that no Date has. */
export function secondsAgo(seconds: number, micros = 0): string {
  const iso = new Date(Date.now() - seconds * 1000).toISOString();
  return `${iso.slice(0, -1)}${String(micros).padStart(3, '0')}Z`;
}

/** Inserts rows, and makes the months that they need. */
export async function plantExecutions(
  service: Pick<TestService, 'sql'>,
  project: string,
  rows: readonly Planted[],
): Promise<void> {
  const months = [...new Set(rows.map(({ timestamp }) => `${timestamp.slice(0, 7)}-01`))];
  for (const month of months) {
    await service.sql(
      `select stowage_ensure_months('storage_hooks', array[$1 || ' 00:00Z']::timestamptz[])`,
      [month],
    );
  }
  await service.sql(
    `insert into storage_hooks (project_id, timestamp, id, hook_name, event_type, object_key,
       execution_time, success, error_message, response, payload, correlation_id)
     select $1, timestamp, id, hook_name, event_type, object_key, execution_time, success,
       error_message, response, payload, correlation_id
     from jsonb_populate_recordset(null::storage_hooks, $2)`,
    [project, JSON.stringify(rows)],
  );
}

/** A filter with the names of the columns, times as texts. */
export interface PlainFilter {
  readonly hook_name?: string;
  readonly event_type?: string;
  readonly object_key?: string;
  readonly success?: boolean;
  readonly correlation_id?: string;
  readonly start?: string;
  readonly end?: string;
}

/** What a filter lets through, oldest first. */
export function letThrough(rows: readonly Planted[], filter: PlainFilter): Planted[] {
  const { start = '', end = '9', ...equal } = filter;
  const columns = Object.entries(equal) as [keyof Planted, unknown][];
  return rows
    .filter(({ timestamp }) => timestamp >= start && timestamp < end)
    .filter((row) => columns.every(([column, value]) => row[column] === value))
    .sort((left, right) => {
      const [a, b] = [left, right].map(({ timestamp, id }) => timestamp + id) as [string, string];
      return a < b ? -1 : 1;
    });
}

/** The same filter for a request. */
export function filterMessage(filter: PlainFilter): MessageInitShape<typeof ExecutionFilterSchema> {
  const { start, end } = filter;
  return {
    hookName: filter.hook_name ?? '',
    eventType: filter.event_type ?? '',
    objectKey: filter.object_key ?? '',
    ...(filter.success === undefined ? {} : { success: filter.success }),
    correlationId: filter.correlation_id ?? '',
    ...(start === undefined ? {} : { startTime: timeMessage(start) }),
    ...(end === undefined ? {} : { endTime: timeMessage(end) }),
  };
}

function timeMessage(text: string) {
  const time = timestampFromDate(new Date(`${text.slice(0, 19)}Z`));
  return { ...time, nanos: Number(text.slice(20, 26)) * 1000 };
}

/** An execution as it was planted. */
export function asPlanted(execution: HookExecution): Planted {
  const json = toJson(HookExecutionSchema, execution, { useProtoFieldName: true });
  const { timestamp, ...rest } = json as unknown as Planted;
  const [seconds = '', fraction = ''] = timestamp.slice(0, -1).split('.');
  return { ...rest, timestamp: `${seconds}.${fraction.padEnd(6, '0')}Z` };
}
