/** The next slice of a stream: bounded by its rows and, under filters, by the rows it passes. */

import type { Call } from '../postgres/call.js';
import { metadataText, type ObjectFilter } from './object-filter.js';
import { prefixCeiling } from './object-keys.js';
import { PASSED_ROWS } from './slice-size.js';
import type { Slice } from './slice-stream.js';
import type { Store } from './store.js';
import { sliceStatements } from './stream-slices.sql.js';

/** At most `rowsMax` objects behind a key, of a filter that an index answers. */
export function wholeSlice(
  project: string,
  filter: ObjectFilter,
  afterKey: string,
  rowsMax: number,
): Slice {
  const { prefix, storageBackend } = filter;
  const params: unknown[] = [project, afterKey, prefix, prefixCeiling(prefix), rowsMax];
  if (storageBackend !== '') params.push(storageBackend);
  return { statement: statementsOf(filter).whole, params };
}

/** The slice behind a key: at most `rowsMax` objects that match. */
export async function nextSlice(
  store: Store,
  call: Call,
  filter: ObjectFilter,
  afterKey: string,
  rowsMax: number,
): Promise<Slice> {
  const { prefix, storageBackend, storageClass, showDeleted } = filter;
  const metadata = metadataText(filter);
  const isIndexed = !showDeleted || storageBackend === '';
  if (storageClass === '' && metadata === undefined && isIndexed) {
    return wholeSlice(call.project, filter, afterKey, rowsMax);
  }
  const { filtered, boundary } = statementsOf(filter);
  const from = [call.project, afterKey, prefix];
  const backend = boundary === sliceStatements.liveOfBackend.boundary ? [storageBackend] : [];
  const range = [...from, prefixCeiling(prefix), PASSED_ROWS - 1, ...backend];
  const [last] = await store.router.run(boundary, range, call);
  const end = last?.object_key;
  // No key has U+0000, so nothing lies between a key and the key with U+0001.
  const ceiling = end === undefined ? prefixCeiling(prefix) : `${end}\u0001`;
  const params = [...from, ceiling, rowsMax, storageBackend, storageClass, metadata];
  return { statement: filtered, params, end };
}

function statementsOf({ showDeleted, storageBackend }: ObjectFilter) {
  if (showDeleted) return sliceStatements.all;
  return storageBackend === '' ? sliceStatements.live : sliceStatements.liveOfBackend;
}
