/**
 * Objects as a stream: slices of the key order, each a short query on one node, so that no snapshot
 * is held while a slow caller reads; rows go from PostgreSQL's bytes to protobuf's without becoming
 * JavaScript values.
 */

import { crc32 } from 'node:zlib';
import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { StreamObjectsResponseSchema } from '../../gen/stowage/v1/storage_list_pb.js';
import { StorageObjectSchema } from '../../gen/stowage/v1/storage_object_pb.js';
import type { StreamSummarySchema } from '../../gen/stowage/v1/stream_pb.js';
import { withHeartbeats } from '../lib/heartbeats.js';
import { fromMillis } from '../lib/timestamp.js';
import type { Call, ServedBy } from '../postgres/call.js';
import { type Batch, createBatchCollector } from '../wire/batch-collector.js';
import { compileTupleEncoder } from '../wire/tuple-encoder.js';
import { timestampMessage } from './messages.js';
import { objectColumns } from './object-columns.js';
import { filterBinding, type ObjectFilter } from './object-filter.js';
import { requireProject } from './objects.js';
import type { Store } from './store.js';
import { openPosition, type Position, START, sealPosition } from './stream-position.js';
import { nextSlice } from './stream-slices.js';

/** Which stream, from where. */
export interface ObjectStream extends ObjectFilter {
  /** Empty: from the beginning. */
  readonly resumeToken: string;
}

/** Rows of the first slice; later ones are sized by what a row was found to weigh. */
const SLICE_ROWS_FIRST = 5_000;
const SLICE_ROWS_MIN = 100;
const SLICE_ROWS_MAX = 20_000;
const SLICE_BYTES = 8 * 1024 * 1024;

const encoder = compileTupleEncoder(StorageObjectSchema, objectColumns, {
  field: StreamObjectsResponseSchema.field.objects,
});

/** Where a stream stands: what its messages tell. */
interface Progress {
  position: Position;
  resumeToken: string;
  /** Who serves it, from the first statement to the last. */
  served: ServedBy | undefined;
  /** The freshness token of its first read. */
  token: string;
}

/**
 * Streams encoded StreamObjectsResponse messages, heartbeats among them; the last has the summary.
 * Leaving early ends the query.
 * @throws StowageError PROJECT_NOT_FOUND, RESUME_TOKEN_MISMATCH, and those of `router.stream`.
 */
export function streamObjects(
  store: Store,
  call: Call,
  stream: ObjectStream,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { resumeToken } = stream;
  const progress: Progress = { position: START, resumeToken, served: undefined, token: '' };
  const watched: Call = {
    ...call,
    onServed(servedBy, token) {
      if (progress.served === undefined) call.onServed(servedBy, token);
      progress.served ??= servedBy;
      progress.token ||= token ?? '';
    },
  };
  const messages = streamMessages(store, watched, stream, progress);
  return withHeartbeats(messages, store.heartbeatMs, () => encode(progress));
}

async function* streamMessages(
  store: Store,
  call: Call,
  stream: ObjectStream,
  progress: Progress,
): AsyncGenerator<Uint8Array, void, undefined> {
  const args = filterBinding(stream);
  progress.position = await openPosition(store.sealer, call, args, stream.resumeToken);
  await requireProject(store, call);
  const collector = createBatchCollector({ encoder, keyColumn: 0 });
  for (let rowsMax = SLICE_ROWS_FIRST; ; ) {
    const before = progress.position;
    const limit = rowsMax;
    const { statement, params, end } = await nextSlice(store, call, stream, before.lastKey, limit);
    const node = progress.served?.node;
    const options = node === undefined ? { collector } : { collector, node };
    for await (const batch of store.router.stream(statement, params, call, options)) {
      const position = advance(progress.position, batch);
      const resumeToken = await sealPosition(store.sealer, call, args, position);
      // Both at once and when the items leave: a heartbeat tells of what was sent.
      Object.assign(progress, { position, resumeToken } satisfies Partial<Progress>);
      // The items' bytes as they are, then the other fields: a message is the sum of its parts.
      yield Buffer.concat([batch.bytes, encode(progress, { crc32: batch.crc32 })]);
    }
    const rows = progress.position.items - before.items;
    if (rows > 0) rowsMax = sliceRows((progress.position.bytes - before.bytes) / rows);
    if (rows === limit) continue;
    if (end === undefined) break;
    // So that a stream that finds little does not look again at what it has passed.
    const position = { ...progress.position, lastKey: end };
    const resumeToken = await sealPosition(store.sealer, call, args, position);
    Object.assign(progress, { position, resumeToken } satisfies Partial<Progress>);
  }
  progress.resumeToken = await sealPosition(store.sealer, call, args, progress.position);
  const { items, bytes, crc32: sum } = progress.position;
  const summary = { items: BigInt(items), bytes: BigInt(bytes), crc32: sum, token: progress.token };
  yield encode(progress, { summary });
}

function sliceRows(bytesPerRow: number): number {
  const rows = Math.floor(SLICE_BYTES / bytesPerRow);
  return Math.min(SLICE_ROWS_MAX, Math.max(SLICE_ROWS_MIN, rows));
}

function advance(position: Position, batch: Batch): Position {
  return {
    lastKey: batch.lastKey,
    items: position.items + batch.items,
    bytes: position.bytes + batch.bytes.length,
    crc32: crc32(batch.bytes, position.crc32),
  };
}

/** A message without items. */
function encode(
  { position, resumeToken, served }: Progress,
  more: { crc32?: number; summary?: MessageInitShape<typeof StreamSummarySchema> } = {},
): Uint8Array {
  const checkpoint = {
    serverTime: timestampMessage(fromMillis(Date.now())),
    node: served?.node ?? '',
    role: served?.role ?? '',
    items: BigInt(position.items),
  };
  const message = create(StreamObjectsResponseSchema, { resumeToken, checkpoint, ...more });
  return toBinary(StreamObjectsResponseSchema, message);
}
