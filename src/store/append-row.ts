/**
 * Rows as they are appended: checked, keyed and brought to texts before they wait for anything, so
 * that what waits is all there is to send.
 */

import type { JsonObject } from '@bufbuild/protobuf';
import { v7 as uuid } from 'uuid';
import { StowageError } from '../errors.js';
import { canonicalJson, type JsonMap } from '../lib/canonical-json.js';
import { cutToMicros, fromMillis, type TimestampValue, toIsoMicros } from '../lib/timestamp.js';

/** How old an event may be, and how far ahead of the server's clock. */
const YEARS_BACK = 10;
const AHEAD_MS = 3_600_000;

/** One row with its key. */
export interface AppendRow {
  /** A UUID in lower case. */
  readonly id: string;
  readonly timestamp: TimestampValue;
  /** The timestamp as PostgreSQL reads it, of constant length: its order is that of the times. */
  readonly time: string;
  /** The other columns, in the order of the statement's arrays behind time and id. */
  readonly values: readonly (string | null)[];
  /** About how much memory it holds, and how much of a batch. */
  readonly bytes: number;
}

/** A row is not much less than this, however little it says. */
const ROW_BYTES = 128;

/** What a message says of its key. */
interface KeyFields {
  readonly id: string;
  readonly timestamp?: TimestampValue | undefined;
}

/**
 * Makes a row of a message's key and the texts of its other columns.
 * @param path how errors name the message, such as `events[3]`.
 * @throws StowageError EVENT_TIME_OUT_OF_RANGE
 */
export function appendRow(
  fields: KeyFields,
  path: string,
  nowMs: number,
  values: readonly (string | null)[],
): AppendRow {
  const timestamp = cutToMicros(fields.timestamp ?? fromMillis(nowMs));
  const time = toIsoMicros(timestamp);
  if (!isWithin(timestamp, nowMs)) throw outOfRange(`${path}.timestamp`, time);
  const bytes = values.reduce((sum, value) => sum + (value?.length ?? 0), ROW_BYTES);
  return {
    id: fields.id === '' ? uuid() : fields.id.toLowerCase(),
    timestamp,
    time,
    values,
    bytes,
  };
}

function isWithin({ seconds, nanos }: TimestampValue, nowMs: number): boolean {
  const atMs = Number(seconds) * 1000 + nanos / 1e6;
  const oldest = new Date(nowMs);
  return (
    atMs >= oldest.setUTCFullYear(oldest.getUTCFullYear() - YEARS_BACK) && atMs <= nowMs + AHEAD_MS
  );
}

function outOfRange(field: string, time: string): StowageError {
  return new StowageError('EVENT_TIME_OUT_OF_RANGE', {
    message: `${field}: must be from 10 years ago to one hour ahead; nothing is appended.`,
    metadata: { timestamp: time },
  });
}

/** Empty text is null where a column may be. */
export function textOrNull(text: string): string | null {
  return text === '' ? null : text;
}

/** The same for JSON. */
export function jsonOrNull(json: JsonObject | undefined): string | null {
  if (json === undefined || Object.keys(json).length === 0) return null;
  return canonicalJson(json as JsonMap);
}

/** In the order of keys, in which all transactions lock them. */
export function compareRows(left: AppendRow, right: AppendRow): number {
  if (left.time !== right.time) return left.time < right.time ? -1 : 1;
  if (left.id === right.id) return 0;
  return left.id < right.id ? -1 : 1;
}

/** The first time of the row's month, which is its partition's. */
export function monthOf({ time }: AppendRow): string {
  return `${time.slice(0, 'YYYY-MM'.length)}-01T00:00:00Z`;
}
