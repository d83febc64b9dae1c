/** Objects that are taken for the same content, as a stream from the largest down. */

import { create, toBinary } from '@bufbuild/protobuf';
import { FindDuplicatesResponseSchema } from '../../gen/stowage/v1/storage_report_pb.js';
import type { Call } from '../postgres/call.js';
import { DuplicateCollector, type DuplicatePlace, parsePlace } from './duplicate-collector.js';
import { duplicatesSlice } from './duplicates.sql.js';
import { prefixCeiling } from './object-keys.js';
import { type SliceSource, streamSlices } from './slice-stream.js';
import type { Store } from './store.js';

/** Which duplicates, from where. */
export interface DuplicateSearch {
  readonly prefix: string;
  /** Empty: every backend. */
  readonly storageBackend: string;
  readonly minSize: bigint;
  /** Empty: from the beginning. */
  readonly resumeToken: string;
}

/** Entries of the index that a slice looks at: 263 pages where nothing is a duplicate. */
const SLICE_ENTRIES = 20_000;

/** Above every object: the largest size, and an etag that is longer than any. */
const TOP: DuplicatePlace = { size: 2n ** 63n - 1n, etag: prefixCeiling('') };

/**
 * Streams encoded FindDuplicatesResponse messages, heartbeats among them; the last has the summary.
 * @throws StowageError as `streamObjects` does.
 */
export function findDuplicates(
  store: Store,
  call: Call,
  search: DuplicateSearch,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { prefix, storageBackend, minSize } = search;
  const members = [prefix, prefixCeiling(prefix), storageBackend];
  const source: SliceSource = {
    args: [prefix, storageBackend, String(minSize)],
    collector: new DuplicateCollector(),
    rowsFirst: SLICE_ENTRIES,
    rowsNext: () => SLICE_ENTRIES,
    slice(lastKey, rowsMax) {
      const { size, etag } = lastKey === '' ? TOP : parsePlace(lastKey);
      const params = [call.project, size, etag, minSize, ...members, rowsMax];
      return { statement: duplicatesSlice, params };
    },
    encode: (fields) =>
      toBinary(FindDuplicatesResponseSchema, create(FindDuplicatesResponseSchema, fields)),
  };
  return streamSlices(store, call, source, search.resumeToken);
}
