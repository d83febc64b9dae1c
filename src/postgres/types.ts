/**
 * What each PostgreSQL type becomes in a row. Nothing here is registered with the driver, whose
 * parsers are global to the process; a type that is not listed stays the text that PostgreSQL sent.
 */

import type { TimestampValue } from '../lib/timestamp.js';
import { parseArray } from './driver.js';

/** Reads the text form of a value that is not null. */
export type TextParser = (text: string) => unknown;

const parsers: ReadonlyMap<number, TextParser> = new Map<number, TextParser>([
  [16, (text) => text === 't'], // bool
  [17, parseBytea],
  [20, BigInt], // int8
  [21, Number], // int2
  [23, Number], // int4
  [26, Number], // oid
  [114, JSON.parse],
  [700, Number], // float4
  [701, Number], // float8
  [1005, arrayOf(Number)], // int2[]
  [1007, arrayOf(Number)], // int4[]
  [1009, arrayOf(asIs)], // text[]
  [1015, arrayOf(asIs)], // varchar[]
  [1016, arrayOf(BigInt)], // int8[]
  [1184, parseTimestamp], // timestamptz
  [2951, arrayOf(asIs)], // uuid[]
  [3802, JSON.parse], // jsonb
]);

/** The parser for a type, by its OID. */
export function textParser(typeOid: number): TextParser {
  return parsers.get(typeOid) ?? asIs;
}

function asIs(text: string): string {
  return text;
}

function parseBytea(text: string): Buffer {
  return Buffer.from(text.slice(2), 'hex');
}

function arrayOf(element: TextParser): TextParser {
  return (text) => parseArray(text, element);
}

const TIMESTAMP = /^(\d{4,})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?\+00$/;

/**
 * Reads `2025-01-02 03:04:05.123456+00` exactly; sessions have TimeZone UTC.
 * @throws RangeError for infinity and for years before 1: no message can hold them.
 */
export function parseTimestamp(text: string): TimestampValue {
  const match = TIMESTAMP.exec(text);
  if (match === null) throw new RangeError(`not a timestamp of the years 1 to 9999: ${text}`);
  const [, year, month, day, hour, minute, second, fraction = ''] = match;
  const date = new Date(0);
  // Date.UTC would take the years 0 to 99 for 1900 to 1999.
  date.setUTCFullYear(Number(year), Number(month) - 1, Number(day));
  date.setUTCHours(Number(hour), Number(minute), Number(second));
  return {
    seconds: BigInt(date.getTime() / 1000),
    nanos: Number(fraction.padEnd(9, '0')),
  };
}
