/**
 * One encoder for each pair of a PostgreSQL type in binary format and the protobuf field it becomes.
 * Each writes tag and value from the column's bytes; none makes a JavaScript value of them.
 */

import { type DescField, ScalarType } from '@bufbuild/protobuf';
import { assertNever } from '../lib/assert.js';
import { JSON_GROWTH_MAX, JsonStructEncoder } from './json-struct.js';
import { WireError } from './wire-error.js';
import { putBytes, putVarint32, putVarint64 } from './writer.js';

/** PostgreSQL types that have a field to become. */
export type ColumnType =
  | 'text'
  | 'uuid'
  | 'int8'
  | 'int4'
  | 'bool'
  | 'float8'
  | 'timestamptz'
  | 'jsonb';

/**
 * Writes a column that is not null, `length` bytes of `source` at `at`, as a field at `position` of
 * `bytes`; gives the position behind it. The caller has reserved the room and checked the bounds.
 */
export type ColumnEncoder = (
  bytes: Buffer,
  position: number,
  source: Buffer,
  at: number,
  length: number,
) => number;

/** The field a column type becomes: a scalar, or a message by its full name. */
const fieldTypes: Readonly<Record<ColumnType, ScalarType | string>> = {
  text: ScalarType.STRING,
  uuid: ScalarType.STRING,
  int8: ScalarType.INT64,
  int4: ScalarType.INT32,
  bool: ScalarType.BOOL,
  float8: ScalarType.DOUBLE,
  timestamptz: 'google.protobuf.Timestamp',
  jsonb: 'google.protobuf.Struct',
};

/** FieldPresence.IMPLICIT of the descriptors: the field's zero value is not written. */
const PRESENCE_IMPLICIT = 2;

const WIRE_VARINT = 0;
const WIRE_FIXED64 = 1;
const WIRE_LENGTH_DELIMITED = 2;

/** Bytes of tag, length and padding that any column adds to its own; a uuid's text adds most. */
export const COLUMN_GROWTH_BYTES_MAX = 32;

/** How many times its own size a column of the type can come to. */
export function growthFactor(type: ColumnType): number {
  return type === 'jsonb' ? JSON_GROWTH_MAX : 1;
}

/** A field's tag. */
function tagOf(field: DescField, wireType: number): number {
  return ((field.number << 3) | wireType) >>> 0;
}

/** The tag of a length-delimited field: a string or a message. */
export function messageTag(field: DescField): number {
  return tagOf(field, WIRE_LENGTH_DELIMITED);
}

/**
 * Makes the encoder of a column for its field.
 * @throws {Error} if the type does not become such a field
 */
export function columnEncoder(field: DescField, type: ColumnType): ColumnEncoder {
  const expected = fieldTypes[type];
  const actual =
    field.fieldKind === 'message'
      ? field.message.typeName
      : field.fieldKind === 'scalar'
        ? field.scalar
        : undefined;
  if (actual !== expected) throw new Error(`a ${type} column does not become ${field.toString()}`);
  // Which of its columns wins is not for an encoder to say.
  if (field.oneof !== undefined) throw new Error(`${field.toString()} is part of a oneof`);
  const keepsZero = field.presence !== PRESENCE_IMPLICIT;
  switch (type) {
    case 'text':
      return textEncoder(messageTag(field), keepsZero);
    case 'uuid':
      return uuidEncoder(messageTag(field));
    case 'int8':
      return int8Encoder(tagOf(field, WIRE_VARINT), keepsZero);
    case 'int4':
      return int4Encoder(tagOf(field, WIRE_VARINT), keepsZero);
    case 'bool':
      return boolEncoder(tagOf(field, WIRE_VARINT), keepsZero);
    case 'float8':
      return float8Encoder(tagOf(field, WIRE_FIXED64), keepsZero);
    case 'timestamptz':
      return timestampEncoder(messageTag(field));
    case 'jsonb':
      return jsonbEncoder(messageTag(field));
    default:
      return assertNever(type);
  }
}

/** Reads a big-endian signed 32-bit number; the bounds are the caller's. */
export function readInt32(source: Buffer, at: number): number {
  return (
    ((source[at] as number) << 24) |
    ((source[at + 1] as number) << 16) |
    ((source[at + 2] as number) << 8) |
    (source[at + 3] as number)
  );
}

function requireLength(length: number, expected: number, type: ColumnType): void {
  if (length !== expected) throw new WireError(`a ${type} of ${length} bytes`);
}

function textEncoder(tag: number, keepsZero: boolean): ColumnEncoder {
  return (bytes, position, source, at, length) => {
    if (length === 0 && !keepsZero) return position;
    const lengthAt = putVarint32(bytes, position, tag);
    return putBytes(bytes, putVarint32(bytes, lengthAt, length), source, at, at + length);
  };
}

const HYPHEN = 0x2d;
const HEX_HIGH = new Uint8Array(256);
const HEX_LOW = new Uint8Array(256);
for (let byte = 0; byte < 256; byte++) {
  const hex = byte.toString(16).padStart(2, '0');
  HEX_HIGH[byte] = hex.charCodeAt(0);
  HEX_LOW[byte] = hex.charCodeAt(1);
}

function uuidEncoder(tag: number): ColumnEncoder {
  return (bytes, position, source, at, length) => {
    requireLength(length, 16, 'uuid');
    let to = putVarint32(bytes, position, tag);
    bytes[to++] = 36;
    for (let i = 0; i < 16; i++) {
      const byte = source[at + i] as number;
      bytes[to++] = HEX_HIGH[byte] as number;
      bytes[to++] = HEX_LOW[byte] as number;
      if (i === 3 || i === 5 || i === 7 || i === 9) bytes[to++] = HYPHEN;
    }
    return to;
  };
}

function int8Encoder(tag: number, keepsZero: boolean): ColumnEncoder {
  return (bytes, position, source, at, length) => {
    requireLength(length, 8, 'int8');
    const high = readInt32(source, at);
    const low = readInt32(source, at + 4);
    if (high === 0 && low === 0 && !keepsZero) return position;
    return putVarint64(bytes, putVarint32(bytes, position, tag), high, low);
  };
}

function int4Encoder(tag: number, keepsZero: boolean): ColumnEncoder {
  return (bytes, position, source, at, length) => {
    requireLength(length, 4, 'int4');
    const value = readInt32(source, at);
    if (value === 0 && !keepsZero) return position;
    // Sign-extended to 64 bits, as the encoding asks for int32.
    return putVarint64(bytes, putVarint32(bytes, position, tag), value >> 31, value);
  };
}

function boolEncoder(tag: number, keepsZero: boolean): ColumnEncoder {
  return (bytes, position, source, at, length) => {
    requireLength(length, 1, 'bool');
    const isTrue = source[at] !== 0;
    if (!isTrue && !keepsZero) return position;
    const to = putVarint32(bytes, position, tag);
    bytes[to] = isTrue ? 1 : 0;
    return to + 1;
  };
}

function float8Encoder(tag: number, keepsZero: boolean): ColumnEncoder {
  return (bytes, position, source, at, length) => {
    requireLength(length, 8, 'float8');
    // Compared in bits: -0 is not the zero value.
    const isZero = readInt32(source, at) === 0 && readInt32(source, at + 4) === 0;
    if (isZero && !keepsZero) return position;
    const to = putVarint32(bytes, position, tag);
    for (let i = 0; i < 8; i++) bytes[to + i] = source[at + 7 - i] as number;
    return to + 8;
  };
}

const TWO_POW_32 = 2 ** 32;
/** Microseconds since 2000-01-01 are exact as a number while their upper half is within these. */
const HIGH_EXACT_MAX = 2 ** 21 - 1;
const EPOCH_2000_SECONDS = 946_684_800;
/** What google.protobuf.Timestamp may hold: the years 1 to 9999. */
const TIMESTAMP_SECONDS_MIN = -62_135_596_800;
const TIMESTAMP_SECONDS_MAX = 253_402_300_799;

function timestampEncoder(tag: number): ColumnEncoder {
  return (bytes, position, source, at, length) => {
    requireLength(length, 8, 'timestamptz');
    const high = readInt32(source, at);
    let seconds: number;
    let micros: number;
    if (high <= HIGH_EXACT_MAX && high >= -HIGH_EXACT_MAX) {
      const total = high * TWO_POW_32 + (readInt32(source, at + 4) >>> 0);
      const whole = Math.floor(total / 1e6);
      seconds = whole + EPOCH_2000_SECONDS;
      micros = total - whole * 1e6;
    } else {
      // Before 1715 or after 2285: rare, so a bigint may be made.
      const total = source.readBigInt64BE(at);
      micros = Number(((total % 1_000_000n) + 1_000_000n) % 1_000_000n);
      seconds = Number((total - BigInt(micros)) / 1_000_000n) + EPOCH_2000_SECONDS;
    }
    // Infinity is the greatest and the least int8, so these refuse it too.
    if (seconds < TIMESTAMP_SECONDS_MIN || seconds > TIMESTAMP_SECONDS_MAX) {
      throw new WireError('a timestamptz that is infinite or outside the years 1 to 9999');
    }
    return putTimestamp(bytes, putVarint32(bytes, position, tag), seconds, micros * 1000);
  };
}

const SECONDS_TAG = 0x08;
const NANOS_TAG = 0x10;

/** Writes length and content of a google.protobuf.Timestamp: at most 18 bytes. */
function putTimestamp(bytes: Buffer, position: number, seconds: number, nanos: number): number {
  let to = position + 1;
  if (seconds !== 0) {
    bytes[to++] = SECONDS_TAG;
    to = putVarint64(bytes, to, Math.floor(seconds / TWO_POW_32), seconds);
  }
  if (nanos !== 0) {
    bytes[to++] = NANOS_TAG;
    to = putVarint32(bytes, to, nanos);
  }
  bytes[position] = to - position - 1;
  return to;
}

const JSONB_VERSION = 1;

function jsonbEncoder(tag: number): ColumnEncoder {
  const json = new JsonStructEncoder();
  return (bytes, position, source, at, length) => {
    if (length === 0 || source[at] !== JSONB_VERSION)
      throw new WireError('a jsonb not of version 1');
    return json.putField(bytes, position, tag, source, at + 1, at + length);
  };
}
