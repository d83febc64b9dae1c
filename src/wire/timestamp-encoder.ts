/** The encoder of timestamptz columns, which become google.protobuf.Timestamp. */

import { type ColumnEncoder, readInt32, requireLength } from './column.js';
import { WireError } from './wire-error.js';
import { putVarint32, putVarint64 } from './writer.js';

const TWO_POW_32 = 2 ** 32;
/** Microseconds since 2000-01-01 are exact as a number while their upper half is within these. */
const HIGH_EXACT_MAX = 2 ** 21 - 1;
const EPOCH_2000_SECONDS = 946_684_800;
/** What google.protobuf.Timestamp may hold: the years 1 to 9999. */
const TIMESTAMP_SECONDS_MIN = -62_135_596_800;
const TIMESTAMP_SECONDS_MAX = 253_402_300_799;

/** Encodes timestamptz into Timestamp, exact to the microsecond. */
export function timestampEncoder(tag: number): ColumnEncoder {
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
