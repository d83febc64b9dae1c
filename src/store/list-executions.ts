/** Executions in pages, in both directions of time. */

import { create } from '@bufbuild/protobuf';
import {
  type ListExecutionsRequest,
  type ListExecutionsResponse,
  ListExecutionsResponseSchema,
} from '../../gen/stowage/v1/hook_execution_pb.js';
import { invalidField, StowageError } from '../errors.js';
import { toIsoMicros } from '../lib/timestamp.js';
import type { Call } from '../postgres/call.js';
import type { Statement } from '../postgres/statement.js';
import { type ExecutionRow, toExecution } from './execution-columns.js';
import {
  type CheckedExecutionFilter,
  checkedExecutionFilter,
  executionFilterBinding,
} from './execution-filter.js';
import { executionPages, type ListedExecution } from './list-executions.sql.js';
import { SCAN_ROWS } from './list-pages.sql.js';
import { requireProject } from './objects.js';
import { openPageToken, sealPageToken } from './page-token.js';
import type { Store } from './store.js';

const PAGE_SIZE_DEFAULT = 100;

/** Behind which execution a page begins. */
export interface ExecutionPosition {
  /** Text of PostgreSQL. */
  readonly timestamp: string;
  readonly id: string;
}

/** The order of a list. */
export type TimeOrder = 'ascending' | 'descending';

/** Before and behind every id. */
const LEAST_ID = '00000000-0000-0000-0000-000000000000';
const GREATEST_ID = 'ffffffff-ffff-ffff-ffff-ffffffffffff';

/**
 * Before the first execution of a list. At the end of its time range: from further out the index
 * would be read through up to there, for as much of a month as lies between.
 */
export function executionStart(
  { endTime, timeBefore }: CheckedExecutionFilter,
  order: TimeOrder,
): ExecutionPosition {
  if (order === 'descending') return { timestamp: endTime, id: LEAST_ID };
  return { timestamp: timeBefore, id: GREATEST_ID };
}

/**
 * Lists a page. It may be short, or empty, and still not be the last.
 * @throws StowageError INVALID_REQUEST, PAGE_TOKEN_INVALID, PROJECT_NOT_FOUND.
 */
export async function listExecutions(
  store: Store,
  call: Call,
  request: ListExecutionsRequest,
): Promise<ListExecutionsResponse> {
  const filter = checkedExecutionFilter(request.filter);
  const order = timeOrder(request.orderBy);
  const args = [...executionFilterBinding(filter), order];
  const token = await openPageToken(store.sealer, call, args, request.pageToken);
  const position = token === '' ? executionStart(filter, order) : parsePosition(token);
  const rowsMax = request.pageSize || PAGE_SIZE_DEFAULT;
  // One row more than asked tells whether there is a next page.
  const { statement, params } = executionStep(call, filter, order, position, rowsMax + 1);
  const rows = await store.router.run(statement, params, call);
  if (rows.length === 0) await requireProject(store, call);
  const taken = rows.slice(0, rowsMax);
  const last = taken.at(-1);
  const scanEnded = last?.scan_place === BigInt(SCAN_ROWS);
  const isMore = last !== undefined && (scanEnded || taken.length < Number(last.page_rows));
  const next = isMore ? await sealPageToken(store.sealer, call, args, positionOf(last)) : '';
  return create(ListExecutionsResponseSchema, {
    executions: taken.filter(({ matches }) => matches).map(toExecution),
    nextPageToken: next,
    scanLimited: scanEnded,
  });
}

/** The statement of a page with its parameters; at most `limit` rows. */
export function executionStep(
  { project }: Pick<Call, 'project'>,
  filter: CheckedExecutionFilter,
  order: TimeOrder,
  position: ExecutionPosition,
  limit: number,
): { statement: Statement<ListedExecution>; params: unknown[] } {
  const { hookName, eventType, objectKey, success, correlationId, startTime, endTime } = filter;
  const range = [project, startTime, endTime, limit];
  const filters = [hookName, eventType, objectKey, success, correlationId];
  return {
    statement: pagesOf(filter)[order],
    params: [...range, ...filters, position.timestamp, position.id, SCAN_ROWS],
  };
}

/** By the index that is likely to leave the least: a correlation is of few, a hook of many. */
function pagesOf({ correlationId, hookName }: CheckedExecutionFilter) {
  if (correlationId !== '') return executionPages.correlation;
  return hookName === '' ? executionPages.time : executionPages.hook;
}

/** @throws StowageError INVALID_REQUEST. */
function timeOrder(orderBy: string): TimeOrder {
  switch (orderBy) {
    case '':
    case 'timestamp desc':
      return 'descending';
    case 'timestamp':
    case 'timestamp asc':
      return 'ascending';
    default:
      throw invalidField('order_by', 'must be timestamp, or timestamp desc');
  }
}

const positionOf = ({ timestamp, id }: ExecutionRow) => `${toIsoMicros(timestamp)} ${id}`;

/** @throws StowageError PAGE_TOKEN_INVALID for the text of a program of another version. */
function parsePosition(text: string): ExecutionPosition {
  const [timestamp = '', id] = text.split(' ');
  if (id === undefined) throw new StowageError('PAGE_TOKEN_INVALID');
  return { timestamp, id };
}
