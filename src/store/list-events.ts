/** Events in pages: which index gives a filter, in which order, and the tokens between pages. */

import { create } from '@bufbuild/protobuf';
import {
  type ListEventsResponse,
  ListEventsResponseSchema,
} from '../../gen/stowage/v1/audit_read_pb.js';
import { invalidField, StowageError } from '../errors.js';
import { type TimestampValue, toIsoMicros } from '../lib/timestamp.js';
import type { Call } from '../postgres/call.js';
import type { Statement } from '../postgres/statement.js';
import { toEvent } from './audit-columns.js';
import {
  type AskedEvents,
  checkFilter,
  EARLIEST,
  type EventFilter,
  filterBinding,
  filterParams,
  LATEST,
  timeBefore,
} from './audit-filter.js';
import { eventPages, type ListedEventRow } from './audit-pages.sql.js';
import { SCAN_ROWS } from './list-pages.sql.js';
import { prefixCeiling } from './object-keys.js';
import { requireProject } from './objects.js';
import { openPageToken, sealPageToken } from './page-token.js';
import type { Store } from './store.js';

const PAGE_SIZE_DEFAULT = 100;

/** Before and behind every id. */
const LEAST_ID = '00000000-0000-0000-0000-000000000000';
const GREATEST_ID = 'ffffffff-ffff-ffff-ffff-ffffffffffff';

/** Which page. */
export interface EventPage {
  readonly filter?: AskedEvents | undefined;
  /** Empty: by key where that may be, else the newest first. */
  readonly orderBy: string;
  /** 0: 100. */
  readonly pageSize: number;
  readonly pageToken: string;
}

/** Where a page begins: behind the event. */
export interface EventPosition {
  /** As PostgreSQL reads it. */
  readonly time: string;
  readonly id: string;
  /** In the order of keys; else not looked at. */
  readonly key: string;
}

/** In which order events are listed; what is equal stands in the order of time and id. */
export interface EventOrder {
  readonly field: 'timestamp' | 'object_key';
  readonly isDescending: boolean;
}

/**
 * Lists a page. It may be short, or empty, and still not be the last: then it says so.
 * @throws StowageError INVALID_REQUEST for what cannot be asked for together; PAGE_TOKEN_INVALID,
 *   PROJECT_NOT_FOUND.
 */
export async function listEvents(
  store: Store,
  call: Call,
  page: EventPage,
): Promise<ListEventsResponse> {
  const filter = checkFilter(page.filter);
  const order = eventOrder(filter, page.orderBy);
  const args = [...filterBinding(filter), order.field, String(order.isDescending)];
  const token = await openPageToken(store.sealer, call, args, page.pageToken);
  const position = token === '' ? eventStart(filter, order) : parsePosition(token);
  const rowsMax = page.pageSize || PAGE_SIZE_DEFAULT;
  // One row more than asked tells whether there is a next page.
  const { statement, params } = eventStep(call, filter, order, position, rowsMax + 1);
  const rows = await store.router.run(statement, params, call);
  const taken = rows.slice(0, rowsMax);
  const last = taken.at(-1);
  if (last === undefined) {
    await requireProject(store, call);
    return create(ListEventsResponseSchema, {});
  }
  const isLimited =
    taken.length === Number(last.page_rows) && last.scan_place === BigInt(SCAN_ROWS);
  const isMore = isLimited || taken.length < Number(last.page_rows);
  return create(ListEventsResponseSchema, {
    events: taken.filter(({ matches }) => matches).map(toEvent),
    nextPageToken: isMore
      ? await sealPageToken(store.sealer, call, args, formatPosition(last))
      : '',
    scanLimited: isLimited,
  });
}

/**
 * Reads an order; empty is that of keys below a prefix, else the newest first. Only one index is in
 * the order of keys, and it begins with them.
 * @throws StowageError INVALID_REQUEST.
 */
export function eventOrder(filter: EventFilter, orderBy: string): EventOrder {
  const { keyPrefix, userId, action, correlationId } = filter;
  const isIndexedByKey =
    keyPrefix !== undefined && [userId, action, correlationId].every((it) => it === undefined);
  if (orderBy === '') {
    return { field: isIndexedByKey ? 'object_key' : 'timestamp', isDescending: !isIndexedByKey };
  }
  const [field, direction = 'asc', ...rest] = orderBy.split(' ');
  const isKnown = (direction === 'asc' || direction === 'desc') && rest.length === 0;
  if (!isKnown || (field !== 'timestamp' && field !== 'object_key')) {
    const orders = 'timestamp or object_key, or one of them with " desc"';
    throw invalidField('order_by', `must be ${orders}`);
  }
  if (field === 'object_key' && !isIndexedByKey) {
    const need = 'a key_prefix and none of user_id, action and correlation_id';
    throw invalidField('order_by', `object_key needs ${need}; order by timestamp instead`);
  }
  return { field, isDescending: direction === 'desc' };
}

/** Before the first event of a list. */
export function eventStart(filter: EventFilter, order: EventOrder): EventPosition {
  const { startTime, endTime, keyPrefix = '' } = filter;
  if (order.field === 'object_key') {
    const key = order.isDescending ? prefixCeiling(keyPrefix) : keyPrefix;
    return { time: EARLIEST, id: LEAST_ID, key };
  }
  if (order.isDescending) {
    return { time: endTime === undefined ? LATEST : toIsoMicros(endTime), id: LEAST_ID, key: '' };
  }
  return { time: timeBefore(startTime), id: GREATEST_ID, key: '' };
}

/** The statement of a page with its parameters; at most `limit` rows. */
export function eventStep(
  { project }: Pick<Call, 'project'>,
  filter: EventFilter,
  order: EventOrder,
  { time, id, key }: EventPosition,
  limit: number,
): { statement: Statement<ListedEventRow>; params: unknown[] } {
  const direction = order.isDescending ? 'descending' : 'ascending';
  const params = [...filterParams(project, filter), limit, SCAN_ROWS, time, id];
  if (order.field === 'timestamp') {
    return { statement: pagesOf(filter)[direction], params };
  }
  return { statement: eventPages.key[direction], params: [...params, key, ...monthsOf(filter)] };
}

/** By the index of what is rarest: a correlation id is one call's, and an action everybody's. */
function pagesOf({ correlationId, objectKey, userId, action }: EventFilter) {
  if (correlationId !== undefined) return eventPages.correlation;
  if (objectKey !== undefined) return eventPages.object;
  if (userId !== undefined) return eventPages.user;
  return action === undefined ? eventPages.time : eventPages.action;
}

/** The whole months (UTC) that the time range touches: from the first to before the second. */
function monthsOf({ startTime, endTime }: EventFilter): [string, string] {
  const start = startTime === undefined ? EARLIEST : toIsoMicros(monthOf(startTime));
  if (endTime === undefined) return [start, LATEST];
  const begun = monthOf(endTime);
  if (begun.seconds === endTime.seconds && endTime.nanos === 0) return [start, toIsoMicros(begun)];
  // No month is longer than 31 days, and none is shorter than 28.
  const next = { seconds: begun.seconds + 32n * 86_400n, nanos: 0 };
  const isLast = next.seconds > 253_402_300_799n;
  return [start, isLast ? LATEST : toIsoMicros(monthOf(next))];
}

/** The beginning of the month that a time is in. */
function monthOf({ seconds }: TimestampValue): TimestampValue {
  const date = new Date(Number(seconds) * 1000);
  date.setUTCDate(1);
  date.setUTCHours(0, 0, 0, 0);
  return { seconds: BigInt(date.getTime() / 1000), nanos: 0 };
}

/** No text of the database has a NUL. */
const SEPARATOR = '\0';

function formatPosition({ timestamp, id, object_key: key }: ListedEventRow): string {
  return [toIsoMicros(timestamp), id, key ?? ''].join(SEPARATOR);
}

/** @throws StowageError PAGE_TOKEN_INVALID for the text of a program of another version. */
function parsePosition(text: string): EventPosition {
  const [time = '', id, key] = text.split(SEPARATOR);
  if (id === undefined || key === undefined) throw new StowageError('PAGE_TOKEN_INVALID');
  return { time, id, key };
}
