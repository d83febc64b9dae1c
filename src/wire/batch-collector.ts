/**
 * Collects encoded rows into the bytes of one streamed message. The shape is the one that the
 * reader of a stream asks for (`TupleCollector` of the postgres room, which this room must not
 * import).
 */

import { crc32 } from 'node:zlib';
import type { TupleEncoder } from './tuple-encoder.js';
import { WireError } from './wire-error.js';
import { WireWriter } from './writer.js';

/** The first batch leaves early, so that a consumer has something to do at once. */
const FIRST_BATCH_ITEMS = 256;
const FIRST_BATCH_BYTES = 8 * 1024;

/** Later batches double from the one to the other; beyond 256 KiB nothing is gained. */
const BATCH_BYTES_MIN = 64 * 1024;
const BATCH_BYTES_MAX = 256 * 1024;

/** Room for the row that makes a batch full, so that it rarely grows for it. */
const LAST_ROW_BYTES = 16 * 1024;

/** Items of one message, as they stand in it. */
export interface Batch {
  /** The encoded items, tags included: the beginning of the message. */
  readonly bytes: Buffer;
  /** How many items. */
  readonly items: number;
  /** CRC-32 (IEEE) of `bytes` alone; one that runs through all batches is the caller's to keep. */
  readonly crc32: number;
  /** The last item's key, to go on behind it. */
  readonly lastKey: string;
}

/**
 * Reads from a message, which is the last item of a batch, where to go on behind it. `tail` is how
 * the item's tuple ended: what the message does not have.
 */
export type KeyReader = (message: Buffer, tail: Buffer) => string;

/** What a collector works with. */
export interface BatchCollectorOptions {
  /** Encodes a row as an item; compiled with `entry`. */
  readonly encoder: TupleEncoder;
  /** The column, counted from 0, that is the key, a text or a uuid; or what reads the key. */
  readonly key: number | KeyReader;
  /** Bytes of each tuple's end to keep for the reader of keys; default 0. */
  readonly tailBytes?: number;
}

/** Takes tuples, gives batches. */
export interface BatchCollector {
  /**
   * Takes one DataRow body in binary format; nothing of `source` is kept.
   * @throws {WireError} as {@link TupleEncoder} does; the batch is then as it was before
   */
  tuple(source: Buffer, start: number, end: number): void;
  /** True once the batch is large enough to be sent. */
  isFull(): boolean;
  /** Gives what was collected and begins a fresh batch; undefined when there is nothing. */
  take(): Batch | undefined;
}

/**
 * Makes a collector. A batch is full after 256 rows or 8 KiB if it is the first, after 64, 128 and
 * at last 256 KiB if it is a later one. It takes rows beyond that, up to the writer's limit,
 * because a reader may have a chunk of them in hand.
 * @throws {Error} if there is no such key column
 */
export function createBatchCollector(options: BatchCollectorOptions): BatchCollector {
  return new Collector(options);
}

class Collector implements BatchCollector {
  readonly #encoder: TupleEncoder;
  readonly #readKey: KeyReader;
  readonly #tail: Buffer;
  readonly #writer = new WireWriter(FIRST_BATCH_BYTES + LAST_ROW_BYTES);
  #items = 0;
  #itemsTarget = FIRST_BATCH_ITEMS;
  #bytesTarget = FIRST_BATCH_BYTES;
  #lastItemAt = 0;

  constructor(options: BatchCollectorOptions) {
    const { encoder, key, tailBytes = 0 } = options;
    this.#encoder = encoder;
    this.#readKey = typeof key === 'number' ? columnReader(encoder, key) : key;
    this.#tail = Buffer.alloc(tailBytes);
  }

  tuple(source: Buffer, start: number, end: number): void {
    const position = this.#writer.position;
    this.#encoder.encode(this.#writer, source, start, end);
    this.#lastItemAt = position;
    this.#items++;
    const tail = this.#tail;
    const tailAt = end - tail.length;
    for (let i = 0; i < tail.length; i++) tail[i] = source[tailAt + i] as number;
  }

  isFull(): boolean {
    return this.#writer.position >= this.#bytesTarget || this.#items >= this.#itemsTarget;
  }

  take(): Batch | undefined {
    if (this.#items === 0) return undefined;
    const items = this.#items;
    const bytes = this.#writer.take();
    this.#items = 0;
    this.#itemsTarget = Number.POSITIVE_INFINITY;
    this.#bytesTarget = Math.min(Math.max(this.#bytesTarget * 2, BATCH_BYTES_MIN), BATCH_BYTES_MAX);
    this.#writer.capacity = this.#bytesTarget + LAST_ROW_BYTES;
    const lastKey = this.#readKey(messageAt(bytes, this.#lastItemAt), this.#tail);
    return { bytes, items, crc32: crc32(bytes), lastKey };
  }
}

const TAG_TYPE_BITS = 3;
const WIRE_VARINT = 0;
const WIRE_FIXED64 = 1;
const WIRE_LENGTH_DELIMITED = 2;

/** The message that the item at `itemAt` is, without the item's tag and length. */
function messageAt(bytes: Buffer, itemAt: number): Buffer {
  const [, lengthAt] = readVarint(bytes, itemAt);
  const [length, at] = readVarint(bytes, lengthAt);
  return bytes.subarray(at, at + length);
}

function columnReader(encoder: TupleEncoder, column: number): KeyReader {
  const field = encoder.fieldNumbers[column];
  if (field === undefined) throw new Error(`there is no column ${column}`);
  return (message) => readText(message, field);
}

/**
 * Reads a string field of a message, empty if it was left out. Once a batch; to remember the key's
 * place row by row would cost more in all.
 */
function readText(message: Buffer, field: number): string {
  let at = 0;
  while (at < message.length) {
    const [tag, behind] = readVarint(message, at);
    const type = tag & 7;
    at = behind;
    if (type === WIRE_LENGTH_DELIMITED) {
      const [length, textAt] = readVarint(message, at);
      at = textAt + length;
      if (tag >>> TAG_TYPE_BITS === field) return message.toString('utf8', textAt, at);
    } else if (type === WIRE_FIXED64) at += 8;
    else if (type === WIRE_VARINT) [, at] = readVarint(message, at);
    else throw new WireError(`an item with wire type ${type}`);
  }
  return '';
}

/** A varint and the position behind it. */
function readVarint(bytes: Buffer, position: number): [number, number] {
  let at = position;
  let value = 0;
  for (let factor = 1; ; factor *= 128) {
    const byte = bytes[at++];
    if (byte === undefined) throw new WireError('an item that ends too early');
    value += (byte & 127) * factor;
    if (byte < 128) return [value, at];
  }
}
