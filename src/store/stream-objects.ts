/**
 * Objects as a stream in key order; rows go from PostgreSQL's bytes to protobuf's without becoming
 * JavaScript values.
 */

import { create, toBinary } from '@bufbuild/protobuf';
import { StreamObjectsResponseSchema } from '../../gen/stowage/v1/storage_list_pb.js';
import { StorageObjectSchema } from '../../gen/stowage/v1/storage_object_pb.js';
import type { Call } from '../postgres/call.js';
import { createBatchCollector } from '../wire/batch-collector.js';
import { compileTupleEncoder } from '../wire/tuple-encoder.js';
import { objectColumns } from './object-columns.js';
import { filterBinding, type ObjectFilter } from './object-filter.js';
import { SLICE_ROWS_FIRST, sliceRows } from './slice-size.js';
import { type StreamFields, streamSlices } from './slice-stream.js';
import type { Store } from './store.js';
import { nextSlice } from './stream-slices.js';

/** Which stream, from where. */
export interface ObjectStream extends ObjectFilter {
  /** Empty: from the beginning. */
  readonly resumeToken: string;
}

const encoder = compileTupleEncoder(StorageObjectSchema, objectColumns, {
  field: StreamObjectsResponseSchema.field.objects,
});

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
  const source = {
    args: filterBinding(stream),
    collector: createBatchCollector({ encoder, key: 0 }),
    rowsFirst: SLICE_ROWS_FIRST,
    rowsNext: sliceRows,
    slice: (lastKey: string, rowsMax: number, watched: Call) =>
      nextSlice(store, watched, stream, lastKey, rowsMax),
    encode: (fields: StreamFields) =>
      toBinary(StreamObjectsResponseSchema, create(StreamObjectsResponseSchema, fields)),
  };
  return streamSlices(store, call, source, stream.resumeToken);
}
