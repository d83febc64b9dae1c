/** Which events a list or an export is about. Refuses what would ask for two things at once. */

import type { JsonObject } from '@bufbuild/protobuf';
import { invalidField } from '../errors.js';
import { canonicalJson, type JsonMap } from '../lib/canonical-json.js';
import { type TimestampValue, toIsoMicros } from '../lib/timestamp.js';
import { prefixCeiling } from './object-keys.js';

/** The filter of a request; AuditFilter is one. Empty texts ask for nothing. */
export interface AskedEvents {
  readonly userId: string;
  readonly username: string;
  readonly action: string;
  readonly objectKey: string;
  readonly keyPrefix: string;
  readonly versionId: string;
  readonly success?: boolean | undefined;
  readonly correlationId: string;
  readonly startTime?: TimestampValue | undefined;
  readonly endTime?: TimestampValue | undefined;
  readonly metadataFilter?: JsonObject | undefined;
}

/** A filter that has been checked; undefined asks for nothing. */
export interface EventFilter {
  readonly userId: string | undefined;
  readonly username: string | undefined;
  readonly action: string | undefined;
  readonly objectKey: string | undefined;
  readonly keyPrefix: string | undefined;
  readonly versionId: string | undefined;
  readonly success: boolean | undefined;
  readonly correlationId: string | undefined;
  /** What the metadata must contain, as canonical JSON. */
  readonly metadata: string | undefined;
  /** Whole microseconds, as all times of events are. */
  readonly startTime: TimestampValue | undefined;
  /** Itself not in the range; whole microseconds. */
  readonly endTime: TimestampValue | undefined;
}

/** The names of an AuditFilter that an index helps with. */
const INDEXED = ['userId', 'action', 'objectKey', 'keyPrefix', 'correlationId'] as const;

const METADATA_BYTES_MAX = 4096;
const METADATA_DAYS_MAX = 31;

/** Before and behind every time, as PostgreSQL writes them. */
export const EARLIEST = '-infinity';
export const LATEST = 'infinity';

/**
 * Checks a filter; left out it lets everything through.
 * @throws StowageError INVALID_REQUEST for a key beside a prefix, a range that ends before it
 *   begins, and metadata that would be looked for among too many events.
 */
export function checkFilter(asked: AskedEvents | undefined): EventFilter {
  const filter: EventFilter = {
    userId: asked?.userId || undefined,
    username: asked?.username || undefined,
    action: asked?.action || undefined,
    objectKey: asked?.objectKey || undefined,
    keyPrefix: asked?.keyPrefix || undefined,
    versionId: asked?.versionId || undefined,
    success: asked?.success,
    correlationId: asked?.correlationId || undefined,
    metadata: metadataOf(asked?.metadataFilter),
    ...checkRange(asked ?? {}, 'filter.end_time'),
  };
  if (filter.objectKey !== undefined && filter.keyPrefix !== undefined) {
    throw invalidField(
      'filter.key_prefix',
      'cannot stand beside object_key; leave one of them out',
    );
  }
  if (filter.metadata !== undefined) checkMetadata(filter, filter.metadata);
  return filter;
}

/**
 * A time range in whole microseconds.
 * @param field names the end in an error
 * @throws StowageError INVALID_REQUEST where it ends before it begins.
 */
export function checkRange(
  range: Pick<AskedEvents, 'startTime' | 'endTime'>,
  field: string,
): Pick<EventFilter, 'startTime' | 'endTime'> {
  const startTime = range.startTime && nextMicros(range.startTime);
  const endTime = range.endTime && nextMicros(range.endTime);
  const isReversed =
    startTime !== undefined && endTime !== undefined && nanosBetween(startTime, endTime) < 0n;
  if (isReversed) throw invalidField(field, 'must not be before start_time');
  return { startTime, endTime };
}

/** The last microsecond before a time, from where a list goes on behind every id. */
export function timeBefore(time: TimestampValue | undefined): string {
  if (time === undefined) return EARLIEST;
  if (time.nanos > 0) return toIsoMicros({ ...time, nanos: time.nanos - 1000 });
  // There is no year 0 in messages.
  if (time.seconds <= -62_135_596_800n) return EARLIEST;
  return toIsoMicros({ seconds: time.seconds - 1n, nanos: 999_999_000 });
}

/** The parameters $1 to $13 of statements that are made with audit-filter.sql.ts. */
export function filterParams(project: string, filter: EventFilter): unknown[] {
  const { userId, username, action, objectKey, keyPrefix, versionId } = filter;
  const keys = keyPrefix === undefined ? [null, null] : [keyPrefix, prefixCeiling(keyPrefix)];
  return [
    ...[project, userId, username, action, objectKey, ...keys, versionId],
    ...[filter.success, filter.correlationId, filter.metadata],
    ...[filter.startTime ?? EARLIEST, filter.endTime ?? LATEST],
  ];
}

/** What a page or resume token is bound to beside its call. */
export function filterBinding(filter: EventFilter): string[] {
  const { userId, username, action, objectKey, keyPrefix, versionId, success } = filter;
  const times = [filter.startTime, filter.endTime].map((time) => time && toIsoMicros(time));
  const texts = [userId, username, action, objectKey, keyPrefix, versionId, filter.correlationId];
  // Of one text, lest some argument be taken for another one's.
  return [JSON.stringify([...texts, success, filter.metadata, ...times].map((it) => it ?? null))];
}

function metadataOf(metadata: JsonObject = {}): string | undefined {
  return Object.keys(metadata).length === 0 ? undefined : canonicalJson(metadata as JsonMap);
}

function checkMetadata(filter: EventFilter, metadata: string): void {
  if (Buffer.byteLength(metadata) > METADATA_BYTES_MAX) {
    const description = `must be at most ${METADATA_BYTES_MAX} bytes as JSON`;
    throw invalidField('filter.metadata_filter', description);
  }
  if (INDEXED.some((name) => filter[name] !== undefined)) return;
  const { startTime, endTime } = filter;
  const isShort =
    startTime !== undefined &&
    endTime !== undefined &&
    nanosBetween(startTime, endTime) <= BigInt(METADATA_DAYS_MAX * 86_400) * 10n ** 9n;
  if (isShort) return;
  throw invalidField(
    'filter.metadata_filter',
    'has no index: add a user_id, action, object_key, key_prefix or correlation_id, or a ' +
      `start_time and an end_time that are at most ${METADATA_DAYS_MAX} days apart`,
  );
}

/**
 * The first whole microsecond at or after a time: an event, whose time is of microseconds, is at or
 * after one exactly where it is at or after the other.
 */
function nextMicros({ seconds, nanos }: TimestampValue): TimestampValue {
  const whole = Math.ceil(nanos / 1000) * 1000;
  if (whole < 1_000_000_000) return { seconds, nanos: whole };
  // There is no year 10,000 in messages, and no event so late.
  if (seconds >= 253_402_300_799n) return { seconds, nanos: 999_999_000 };
  return { seconds: seconds + 1n, nanos: 0 };
}

function nanosBetween(from: TimestampValue, to: TimestampValue): bigint {
  return (to.seconds - from.seconds) * 10n ** 9n + BigInt(to.nanos - from.nanos);
}
