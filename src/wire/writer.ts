/**
 * The growing buffer that messages are written into, and the few ways to put protobuf's primitives
 * there. An encoder reserves the most it can need once, writes with a position of its own, and
 * commits the position at its end: so a row that fails halfway leaves nothing behind, and no byte
 * is checked for room twice.
 */

import { WireError } from './wire-error.js';

/**
 * The most bytes a writer holds, by default: 4 MiB, which is what a gRPC client receives by
 * default, less 64 KiB for the fields that follow the items of a batch.
 */
export const WRITER_BYTES_MAX = 4 * 1024 * 1024 - 64 * 1024;

/** Up to this many bytes a loop is quicker than the call into the runtime. */
const LOOP_COPY_BYTES_MAX = 48;

const EMPTY = Buffer.alloc(0);

/** One output buffer. It grows to what is reserved, and holds at most `bytesMax`. */
export class WireWriter {
  /** Where to write. Replaced when `reserve` grows it: read it after. */
  bytes: Buffer = EMPTY;
  /** Bytes that are whole: everything below belongs to the message. */
  position = 0;
  /** Bytes that may be whole; beyond it `commit` refuses. */
  readonly bytesMax: number;
  #capacity: number;

  /**
   * @param capacity bytes to allocate first after each `take`, so that a batch of the usual size
   *   never grows
   * @param bytesMax bytes to hold at most; default {@link WRITER_BYTES_MAX}
   */
  constructor(capacity: number, bytesMax: number = WRITER_BYTES_MAX) {
    this.#capacity = capacity;
    this.bytesMax = bytesMax;
  }

  /** Changes the bytes to allocate first, from the next allocation on. */
  set capacity(capacity: number) {
    this.#capacity = capacity;
  }

  /** Makes room for `count` bytes behind `position`. The room is no promise that they may stay. */
  reserve(count: number): void {
    const needed = this.position + count;
    if (needed <= this.bytes.length) return;
    const size = Math.max(needed, this.bytes.length * 2, this.#capacity);
    // Outside the pool, because a batch is handed on and would hold the pool's slab.
    const grown = Buffer.allocUnsafeSlow(size);
    this.bytes.copy(grown, 0, 0, this.position);
    this.bytes = grown;
  }

  /**
   * Keeps what was written up to `position`.
   * @throws {WireError} if that is over `bytesMax`; what was committed before stays
   */
  commit(position: number): void {
    if (position > this.bytesMax) {
      throw new WireError(`a batch of ${position} bytes is over the limit of ${this.bytesMax}`);
    }
    // The reservation was too small: writes beyond a buffer's end vanish without a word.
    if (position > this.bytes.length) throw new Error('assertion failed: reserved too little');
    this.position = position;
  }

  /** Gives the bytes away and begins an empty buffer. */
  take(): Buffer {
    const taken = this.bytes.subarray(0, this.position);
    this.bytes = EMPTY;
    this.position = 0;
    return taken;
  }
}

/** Writes an unsigned 32-bit varint, 1 to 5 bytes; gives the position behind it. */
export function putVarint32(bytes: Buffer, position: number, value: number): number {
  let at = position;
  let rest = value >>> 0;
  while (rest > 127) {
    bytes[at++] = (rest & 127) | 128;
    rest >>>= 7;
  }
  bytes[at++] = rest;
  return at;
}

/**
 * Writes a 64-bit varint from its two halves, 1 to 10 bytes; gives the position behind it. A
 * negative number is its two's complement: 10 bytes. Halves, because a bigint a value is garbage a
 * value and a number is not exact beyond 2^53.
 */
export function putVarint64(bytes: Buffer, position: number, high: number, low: number): number {
  let at = position;
  let upper = high >>> 0;
  let lower = low >>> 0;
  while (upper !== 0) {
    bytes[at++] = (lower & 127) | 128;
    lower = ((upper << 25) | (lower >>> 7)) >>> 0;
    upper >>>= 7;
  }
  return putVarint32(bytes, at, lower);
}

/** Bytes of a length's varint, 1 to 5. */
export function varint32Bytes(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x200000) return 3;
  return value < 0x10000000 ? 4 : 5;
}

/**
 * Writes the length of what stands between `lengthAt + reserved` and `end` at `lengthAt`, in as few
 * bytes as it takes; gives the content's end. The content moves if `reserved` was a wrong guess.
 * Padded varints would spare the move and are legal, but then a message that is decoded and encoded
 * again is not the same bytes, and nobody can check a digest of it.
 */
export function putLength(bytes: Buffer, lengthAt: number, reserved: number, end: number): number {
  const start = lengthAt + reserved;
  const length = end - start;
  const size = varint32Bytes(length);
  if (size !== reserved) bytes.copyWithin(lengthAt + size, start, end);
  putVarint32(bytes, lengthAt, length);
  return end + size - reserved;
}

/** Copies `source` from `start` to `end`; gives the position behind the copy. */
export function putBytes(
  bytes: Buffer,
  position: number,
  source: Buffer,
  start: number,
  end: number,
): number {
  const count = end - start;
  if (count > LOOP_COPY_BYTES_MAX) {
    source.copy(bytes, position, start, end);
  } else {
    for (let i = 0; i < count; i++) bytes[position + i] = source[start + i] as number;
  }
  return position + count;
}
