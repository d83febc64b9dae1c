/** Reads a stream of objects whole, and holds each checksum against what came. */
import { crc32 } from 'node:zlib';
import { create, toBinary } from '@bufbuild/protobuf';
import { expect } from 'vitest';
import {
  type StreamObjectsResponse,
  StreamObjectsResponseSchema,
} from '../../gen/stowage/v1/storage_list_pb.js';
import type { Clients } from './service.js';

/** What a stream came to. */
export interface CheckedStream {
  readonly keys: string[];
  /** The addresses of the nodes in the order in which they served. */
  readonly servedBy: string[];
}

/**
 * Streams the objects under a prefix.
 * @param midway is met with behind the first message, while nothing more is read.
 */
export async function streamChecked(
  storage: Clients['storage'],
  prefix: string,
  midway: (servedBy: string) => Promise<void>,
): Promise<CheckedStream> {
  const keys: string[] = [];
  const servedBy: string[] = [];
  let total = 0;
  let summary: StreamObjectsResponse['summary'];
  for await (const message of storage.streamObjects({ prefix })) {
    const { objects, checkpoint } = message;
    const items = create(StreamObjectsResponseSchema, { objects });
    const bytes = toBinary(StreamObjectsResponseSchema, items);
    if (objects.length > 0) expect(message.crc32).toBe(crc32(bytes));
    total = crc32(bytes, total);
    const isFirst = keys.length === 0;
    keys.push(...objects.map(({ objectKey }) => objectKey));
    const node = checkpoint?.node ?? '';
    if (node !== servedBy.at(-1)) servedBy.push(node);
    if (isFirst) await midway(node);
    summary = message.summary ?? summary;
  }
  expect(summary).toMatchObject({ items: BigInt(keys.length), crc32: total });
  return { keys, servedBy };
}
