/** Objects in pages: which ways to list can be asked for together, and the tokens between pages. */

import { create } from '@bufbuild/protobuf';
import {
  type ListObjectsResponse,
  ListObjectsResponseSchema,
  type MetadataComparison,
} from '../../gen/stowage/v1/storage_list_pb.js';
import { invalidField } from '../errors.js';
import type { Call } from '../postgres/call.js';
import { folderPage } from './list-folders.js';
import { parseOrder, startOf } from './list-order.js';
import { formatPosition, type ListPosition, parsePosition } from './list-position.js';
import { type Scan, scanPage } from './list-scan.js';
import { metadataRange, notIndexed } from './metadata-range.js';
import { filterBinding, metadataText, type ObjectFilter } from './object-filter.js';
import { requireProject } from './objects.js';
import { openPageToken, sealPageToken } from './page-token.js';
import type { Store } from './store.js';

const PAGE_SIZE_DEFAULT = 100;

/** Which page. */
export interface ObjectPage extends ObjectFilter {
  /** Empty: no folders. */
  readonly delimiter: string;
  readonly metadataComparisons: readonly MetadataComparison[];
  /** Empty: by key. */
  readonly orderBy: string;
  /** 0: 100. */
  readonly pageSize: number;
  readonly pageToken: string;
}

/**
 * Lists a page. It may be short, or empty, and still not be the last.
 * @throws StowageError INVALID_REQUEST for what cannot be asked for together, or needs an index
 *   that is not there; PAGE_TOKEN_INVALID, PROJECT_NOT_FOUND.
 */
export async function listObjects(
  store: Store,
  call: Call,
  page: ObjectPage,
): Promise<ListObjectsResponse> {
  const scan = scanOf(page);
  const args = [...filterBinding(page), page.delimiter, page.orderBy, comparisonsText(page)];
  const token = await openPageToken(store.sealer, call, args, page.pageToken);
  const start: ListPosition = { way: 'open', ...(scan.range?.above ?? startOf(scan.order)) };
  const position = token === '' ? start : parsePosition(token);
  const rowsMax = page.pageSize || PAGE_SIZE_DEFAULT;
  const { delimiter } = page;
  const { objects, folders, hasRows, isIndexed, next } =
    delimiter === ''
      ? await scanPage(store, call, scan, position, rowsMax)
      : await folderPage(store, call, { filter: page, delimiter }, position, rowsMax);
  if (!hasRows) await requireProject(store, call);
  if (scan.range !== undefined && isIndexed === false) throw notIndexed(scan.range);
  return create(ListObjectsResponseSchema, {
    objects: [...objects],
    folders: [...folders],
    nextPageToken:
      next === undefined ? '' : await sealPageToken(store.sealer, call, args, formatPosition(next)),
  });
}

/** What a token is bound to of the comparisons. */
function comparisonsText({ metadataComparisons }: ObjectPage): string {
  const parts = metadataComparisons.map(({ path, operator, operand }) => [path, operator, operand]);
  return JSON.stringify(parts);
}

/**
 * Each refusal is of a page whose work nothing would bound, or which would have two orders.
 * @throws StowageError INVALID_REQUEST.
 */
function scanOf(page: ObjectPage): Scan {
  const order = parseOrder(page.orderBy);
  const range = metadataRange(page.metadataComparisons, page.prefix);
  const { field, isDescending } = order;
  if (page.delimiter !== '') refuseBesideDelimiter(page);
  if (page.delimiter !== '' && (field !== 'object_key' || isDescending)) {
    throw invalidField('order_by', 'must be object_key beside a delimiter');
  }
  if (page.showDeleted && field !== 'object_key') {
    throw invalidField('order_by', 'must be object_key, or that with " desc", beside show_deleted');
  }
  if (range !== undefined && page.showDeleted) {
    throw invalidField('show_deleted', 'cannot stand beside metadata_comparisons');
  }
  const isByKey = range === undefined || (range.isEqual && field === 'object_key' && !isDescending);
  if (!isByKey && page.orderBy !== '') {
    throw invalidField('order_by', 'must be empty beside metadata_comparisons');
  }
  return { filter: page, order, range };
}

/** A folder would have to be searched for an object that a filter lets through. */
function refuseBesideDelimiter(page: ObjectPage): void {
  const refused = {
    storage_class: page.storageClass !== '',
    metadata_filter: metadataText(page) !== undefined,
    metadata_comparisons: page.metadataComparisons.length > 0,
    storage_backend: page.showDeleted && page.storageBackend !== '',
  };
  const field = Object.entries(refused).find(([, isThere]) => isThere)?.[0];
  if (field === undefined) return;
  const beside = field === 'storage_backend' ? 'a delimiter and show_deleted' : 'a delimiter';
  throw invalidField(field, `cannot stand beside ${beside}`);
}
