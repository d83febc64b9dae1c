/**
 * Collects the rows of `duplicates-slice` into messages. Groups are few and hold arrays: they are
 * encoded by the library, not by a compiled encoder.
 */

import { crc32 } from 'node:zlib';
import { create, toBinary } from '@bufbuild/protobuf';
import { FindDuplicatesResponseSchema } from '../../gen/stowage/v1/storage_report_pb.js';
import type { TupleCollector } from '../postgres/router-api.js';
import type { SliceBatch } from './slice-stream.js';

/** A group may hold 100 KiB of keys; what is full is sent. */
const BATCH_BYTES = 64 * 1024;
const INT64_MAX = 2n ** 63n - 1n;

/** Where a group stands in the order of the stream. */
export interface DuplicatePlace {
  readonly size: bigint;
  readonly etag: string;
}

/** A place as a position's key. */
export function formatPlace({ size, etag }: DuplicatePlace): string {
  return `${size} ${etag}`;
}

/** The place of a position's key, which was sealed and so is whole. */
export function parsePlace(key: string): DuplicatePlace {
  const end = key.indexOf(' ');
  return { size: BigInt(key.slice(0, end)), etag: key.slice(end + 1) };
}

/** Takes the rows of one slice after another. */
export class DuplicateCollector implements TupleCollector<SliceBatch> {
  #groups: Buffer[] = [];
  #bytes = 0;
  #looked = 0;
  #place: DuplicatePlace | undefined;

  tuple(source: Buffer, start: number): void {
    const [size, etag, objects, keys, looked] = columnsOf(source, start);
    const place = { size: readInt8(size), etag: etag?.toString() ?? '' };
    this.#place = place;
    if (looked !== undefined) {
      this.#looked = Number(readInt8(looked));
      return;
    }
    const count = readInt8(objects);
    const reclaimable = place.size * (count - 1n);
    const group = {
      ...place,
      objects: count,
      reclaimableBytes: reclaimable < INT64_MAX ? reclaimable : INT64_MAX,
      objectKeys: keys === undefined ? [] : readTexts(keys),
    };
    const message = create(FindDuplicatesResponseSchema, { groups: [group] });
    const bytes = Buffer.from(toBinary(FindDuplicatesResponseSchema, message));
    this.#groups.push(bytes);
    this.#bytes += bytes.length;
  }

  isFull(): boolean {
    return this.#bytes >= BATCH_BYTES;
  }

  take(): SliceBatch | undefined {
    if (this.#place === undefined) return undefined;
    const bytes = Buffer.concat(this.#groups);
    const batch = {
      bytes,
      items: this.#groups.length,
      crc32: crc32(bytes),
      lastKey: formatPlace(this.#place),
      rows: this.#looked,
    };
    this.#groups = [];
    this.#bytes = 0;
    this.#looked = 0;
    this.#place = undefined;
    return batch;
  }
}

/** The columns of a DataRow body in binary format; a null is undefined. */
function columnsOf(source: Buffer, start: number): (Buffer | undefined)[] {
  let at = start + 2;
  return Array.from({ length: source.readInt16BE(start) }, () => {
    const length = source.readInt32BE(at);
    at += 4;
    if (length === -1) return undefined;
    at += length;
    return source.subarray(at - length, at);
  });
}

function readInt8(column: Buffer | undefined): bigint {
  return column?.readBigInt64BE() ?? 0n;
}

/** Dimensions, a flag, the type; a size and a lower bound a dimension; length and bytes each. */
function readTexts(array: Buffer): string[] {
  if (array.readInt32BE(0) === 0) return [];
  let at = 20;
  return Array.from({ length: array.readInt32BE(12) }, () => {
    const length = array.readInt32BE(at);
    at += 4 + length;
    return array.toString('utf8', at - length, at);
  });
}
