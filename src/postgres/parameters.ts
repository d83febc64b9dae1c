/**
 * JavaScript values to the text that PostgreSQL reads. Refuses what it does not know: a class
 * instance that became JSON by accident would be stored as such.
 */

import { type TimestampValue, toIsoMicros } from '../lib/timestamp.js';
import type { WireValue } from './driver.js';

/**
 * Encodes one parameter: null and undefined are null; bytes go in binary; bigints, numbers and
 * booleans as their text; `{ seconds: bigint, nanos }` as a timestamptz; arrays as PostgreSQL
 * arrays (pass jsonb arrays as JSON text); other plain objects as JSON.
 * @throws TypeError for a value that no parameter can hold.
 */
export function encodeParameter(value: unknown): WireValue {
  if (value === null || value === undefined) return null;
  if (value instanceof Uint8Array) return asBuffer(value);
  if (Array.isArray(value)) return encodeArray(value);
  return encodeScalar(value);
}

function encodeScalar(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return value;
    case 'number':
    case 'bigint':
    case 'boolean':
      return String(value);
    case 'object':
      return encodeObject(value as object);
    default:
      throw new TypeError(`a ${typeof value} is no statement parameter`);
  }
}

function encodeObject(value: object): string {
  if (isTimestamp(value)) return toIsoMicros(value);
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    throw new TypeError(`a ${value.constructor.name} is no statement parameter`);
  }
  return JSON.stringify(value);
}

/** No JSON value has a bigint, so the two cannot be confused. */
function isTimestamp(value: object): value is TimestampValue {
  return 'seconds' in value && typeof value.seconds === 'bigint' && 'nanos' in value;
}

function encodeArray(values: readonly unknown[]): string {
  return `{${values.map(encodeElement).join(',')}}`;
}

function encodeElement(value: unknown): string {
  if (value === null || value === undefined) return 'NULL';
  if (Array.isArray(value)) return encodeArray(value);
  if (typeof value === 'number' || typeof value === 'bigint') return String(value);
  if (value instanceof Uint8Array) return `"\\\\x${asBuffer(value).toString('hex')}"`;
  return quote(encodeScalar(value));
}

/** Asked first, because few texts need it and a replacement that finds nothing costs double. */
function quote(text: string): string {
  const isPlain = !text.includes('"') && !text.includes('\\');
  return isPlain ? `"${text}"` : `"${text.replaceAll(/["\\]/g, '\\$&')}"`;
}

function asBuffer(bytes: Uint8Array): Buffer {
  if (Buffer.isBuffer(bytes)) return bytes;
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
