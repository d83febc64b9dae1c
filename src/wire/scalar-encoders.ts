/** The encoders of columns that become scalar fields. */

import { type ColumnEncoder, readInt32, requireLength } from './column.js';
import { putBytes, putVarint32, putVarint64 } from './writer.js';

/** Encodes text into string; UTF-8 is taken as it is, PostgreSQL has checked it. */
export function textEncoder(tag: number, keepsZero: boolean): ColumnEncoder {
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

/** Encodes uuid into string, in its usual form of 36 characters. */
export function uuidEncoder(tag: number): ColumnEncoder {
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

/** Encodes int8 into int64. */
export function int8Encoder(tag: number, keepsZero: boolean): ColumnEncoder {
  return (bytes, position, source, at, length) => {
    requireLength(length, 8, 'int8');
    const high = readInt32(source, at);
    const low = readInt32(source, at + 4);
    if (high === 0 && low === 0 && !keepsZero) return position;
    return putVarint64(bytes, putVarint32(bytes, position, tag), high, low);
  };
}

/** Encodes int4 into int32. */
export function int4Encoder(tag: number, keepsZero: boolean): ColumnEncoder {
  return (bytes, position, source, at, length) => {
    requireLength(length, 4, 'int4');
    const value = readInt32(source, at);
    if (value === 0 && !keepsZero) return position;
    // Sign-extended to 64 bits, as the encoding asks for int32.
    return putVarint64(bytes, putVarint32(bytes, position, tag), value >> 31, value);
  };
}

/** Encodes bool into bool. */
export function boolEncoder(tag: number, keepsZero: boolean): ColumnEncoder {
  return (bytes, position, source, at, length) => {
    requireLength(length, 1, 'bool');
    const isTrue = source[at] !== 0;
    if (!isTrue && !keepsZero) return position;
    const to = putVarint32(bytes, position, tag);
    bytes[to] = isTrue ? 1 : 0;
    return to + 1;
  };
}

/** Encodes float8 into double. */
export function float8Encoder(tag: number, keepsZero: boolean): ColumnEncoder {
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
