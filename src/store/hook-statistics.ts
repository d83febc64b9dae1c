/** How hooks fared within the last hours. */

import { create } from '@bufbuild/protobuf';
import {
  type GetHookStatisticsRequest,
  type GetHookStatisticsResponse,
  GetHookStatisticsResponseSchema,
  type HookStatistics,
  HookStatisticsSchema,
} from '../../gen/stowage/v1/hook_execution_pb.js';
import type { Call } from '../postgres/call.js';
import type { Statement } from '../postgres/statement.js';
import {
  type HookFigures,
  type HookStatisticsRow,
  hookStatistics,
  oneHookStatistics,
} from './hook-statistics.sql.js';
import { timestampMessage } from './messages.js';
import { requireProject } from './objects.js';
import type { Store } from './store.js';

const HOURS_DEFAULT = 24;

/** How many executions are looked at: a million took 8 s where six times too much ran beside it. */
const ROWS_MAX = 1_000_000;

/**
 * Adds up the executions of a window that ends now.
 * @throws StowageError PROJECT_NOT_FOUND.
 */
export async function readHookStatistics(
  store: Store,
  call: Call,
  request: GetHookStatisticsRequest,
): Promise<GetHookStatisticsResponse> {
  const { statement, params } = statisticsStep(call, request);
  const rows = await store.router.run(statement, params, call);
  const figures = rows.filter((row): row is HookFigures & typeof row => row.hook_name !== null);
  if (figures.length === 0) await requireProject(store, call);
  return create(GetHookStatisticsResponseSchema, {
    statistics: figures.map(toStatistics),
    limited: rows[0]?.limited ?? false,
  });
}

/** The statement of some statistics with its parameters; of the newest `rowsMax` executions. */
export function statisticsStep(
  { project }: Pick<Call, 'project'>,
  { hours, hookName, eventType }: Omit<GetHookStatisticsRequest, '$typeName' | 'project'>,
  rowsMax = ROWS_MAX,
): { statement: Statement<HookStatisticsRow>; params: unknown[] } {
  const params = [project, hours || HOURS_DEFAULT, eventType, rowsMax];
  if (hookName === '') return { statement: hookStatistics, params };
  return { statement: oneHookStatistics, params: [...params, hookName] };
}

function toStatistics(row: HookFigures): HookStatistics {
  const { avg_time, p50_time, p95_time, p99_time, last_error_at } = row;
  return create(HookStatisticsSchema, {
    hookName: row.hook_name,
    eventType: row.event_type,
    totalExecutions: row.total,
    successful: row.successful,
    failed: row.total - row.successful,
    ...(avg_time === null ? {} : { avgExecutionTime: avg_time }),
    ...(p50_time === null ? {} : { p50ExecutionTime: p50_time }),
    ...(p95_time === null ? {} : { p95ExecutionTime: p95_time }),
    ...(p99_time === null ? {} : { p99ExecutionTime: p99_time }),
    lastError: row.last_error ?? '',
    ...(last_error_at === null ? {} : { lastErrorAt: timestampMessage(last_error_at) }),
    lastRunAt: timestampMessage(row.last_run_at),
  });
}
