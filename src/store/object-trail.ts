/** What happened to a key, page by page: its changes, versions and audit events. */

import { create } from '@bufbuild/protobuf';
import {
  type ListObjectTrailResponse,
  ListObjectTrailResponseSchema,
  type TrailEntry,
  TrailEntrySchema,
} from '../../gen/stowage/v1/audit_trail_pb.js';
import { type Change, ChangeSchema } from '../../gen/stowage/v1/change_pb.js';
import { invalidField, StowageError } from '../errors.js';
import { type TimestampValue, toIsoMicros } from '../lib/timestamp.js';
import type { Call } from '../postgres/call.js';
import { toEvent } from './audit-columns.js';
import { EARLIEST, LATEST } from './audit-filter.js';
import { timestampMessage } from './messages.js';
import { type ChangeRow, type TrailRow, trailPages } from './object-trail.sql.js';
import { requireProject } from './objects.js';
import { openPageToken, sealPageToken } from './page-token.js';
import type { Store } from './store.js';
import { toVersion } from './versions.js';

const PAGE_SIZE_DEFAULT = 100;

/** Before every id; before and behind every seq. */
const LEAST_ID = '00000000-0000-0000-0000-000000000000';
const LEAST_SEQ = '0';
const GREATEST_SEQ = '9223372036854775807';

/** Which page of which trail. */
export interface TrailPage {
  readonly objectKey: string;
  /** Empty: the newest first. */
  readonly orderBy: string;
  /** 0: 100. */
  readonly pageSize: number;
  readonly pageToken: string;
}

/** How far a trail has been read, in each of its sources; values as PostgreSQL reads them. */
export interface TrailPosition {
  readonly change: readonly [time: string, seq: string];
  readonly version: string;
  readonly event: readonly [time: string, id: string];
}

/**
 * Lists a page of a trail.
 * @throws StowageError INVALID_REQUEST for an unknown order; PAGE_TOKEN_INVALID, PROJECT_NOT_FOUND.
 */
export async function listObjectTrail(
  store: Store,
  call: Call,
  page: TrailPage,
): Promise<ListObjectTrailResponse> {
  const isDescending = parseOrder(page.orderBy);
  const args = [page.objectKey, String(isDescending)];
  const token = await openPageToken(store.sealer, call, args, page.pageToken);
  const position = token === '' ? trailStart(isDescending) : parsePosition(token);
  const rowsMax = page.pageSize || PAGE_SIZE_DEFAULT;
  const statement = trailPages[isDescending ? 'descending' : 'ascending'];
  // One entry more than asked tells whether there is a next page.
  const params = trailParams(call, page.objectKey, position, rowsMax + 1);
  const rows = await store.router.run(statement, params, call);
  const [first] = rows;
  if (first === undefined) await requireProject(store, call);
  const taken = rows.slice(0, rowsMax);
  const isMore = first !== undefined && taken.length < Number(first.page_rows);
  const next = taken.reduce(positionBehind, position);
  return create(ListObjectTrailResponseSchema, {
    entries: taken.map(toEntry),
    nextPageToken: isMore
      ? await sealPageToken(store.sealer, call, args, formatPosition(next))
      : '',
  });
}

/** Before the first entry. */
export function trailStart(isDescending: boolean): TrailPosition {
  const time = isDescending ? LATEST : EARLIEST;
  return {
    change: [time, LEAST_SEQ],
    version: isDescending ? GREATEST_SEQ : LEAST_SEQ,
    event: [time, LEAST_ID],
  };
}

/** The parameters of `trailPages`. */
export function trailParams(
  { project }: Pick<Call, 'project'>,
  objectKey: string,
  { change, version, event }: TrailPosition,
  limit: number,
): unknown[] {
  return [project, objectKey, limit, ...change, version, ...event];
}

/** Reads `time desc` or `time`; true: descending. */
function parseOrder(orderBy: string): boolean {
  switch (orderBy) {
    case '':
    case 'time desc':
      return true;
    case 'time':
    case 'time asc':
      return false;
    default:
      throw invalidField('order_by', 'must be time, or time desc');
  }
}

/** How far a trail has been read once an entry was shown. */
export function positionBehind(position: TrailPosition, row: TrailRow): TrailPosition {
  switch (row.source) {
    case 'change':
      return { ...position, change: [toIsoMicros(row.recorded_at), String(row.seq)] };
    case 'version':
      return { ...position, version: String(row.seq) };
    case 'event':
      return { ...position, event: [toIsoMicros(row.timestamp), row.id] };
  }
}

function toEntry(row: TrailRow): TrailEntry {
  switch (row.source) {
    case 'change':
      return entryOf(row.recorded_at, { case: 'change', value: toChange(row) });
    case 'version':
      return entryOf(row.created_at, { case: 'version', value: toVersion(row) });
    case 'event':
      return entryOf(row.timestamp, { case: 'event', value: toEvent(row) });
  }
}

function entryOf(time: TimestampValue, entry: TrailEntry['entry']): TrailEntry {
  return create(TrailEntrySchema, { time: timestampMessage(time), entry });
}

function toChange(row: ChangeRow): Change {
  return create(ChangeSchema, {
    seq: row.seq,
    kind: row.kind,
    objectKey: row.object_key,
    revision: row.revision,
    versionId: row.version_id,
    owner: row.owner,
    actor: row.actor,
    requestId: row.request_id ?? '',
    changedFields: [...row.changed_fields],
    recordedAt: timestampMessage(row.recorded_at),
  });
}

/** None of the values has a NUL. */
const SEPARATOR = '\0';

function formatPosition({ change, version, event }: TrailPosition): string {
  return [...change, version, ...event].join(SEPARATOR);
}

/** @throws StowageError PAGE_TOKEN_INVALID for the text of a program of another version. */
function parsePosition(text: string): TrailPosition {
  const [changeTime = '', changeSeq = '', version = '', eventTime = '', id, ...rest] =
    text.split(SEPARATOR);
  if (id === undefined || rest.length > 0) throw new StowageError('PAGE_TOKEN_INVALID');
  return { change: [changeTime, changeSeq], version, event: [eventTime, id] };
}
