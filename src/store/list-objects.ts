/** Objects in pages. */

import { create } from '@bufbuild/protobuf';
import {
  type ListObjectsResponse,
  ListObjectsResponseSchema,
} from '../../gen/stowage/v1/storage_list_pb.js';
import type { Call } from '../postgres/call.js';
import { filterBinding, listingOf, listingParams, type ObjectFilter } from './object-filter.js';
import { toObject } from './object-row.js';
import { requireProject } from './objects.js';
import { openPageToken, sealPageToken } from './page-token.js';
import type { Store } from './store.js';

const PAGE_SIZE_DEFAULT = 100;

/** Which page. */
export interface ObjectPage extends ObjectFilter {
  /** 0: 100. */
  readonly pageSize: number;
  readonly pageToken: string;
}

/**
 * Lists a page in key order.
 * @throws StowageError PAGE_TOKEN_INVALID, PROJECT_NOT_FOUND.
 */
export async function listObjects(
  store: Store,
  call: Call,
  page: ObjectPage,
): Promise<ListObjectsResponse> {
  const args = filterBinding(page);
  const afterKey = await openPageToken(store.sealer, call, args, page.pageToken);
  const rowsMax = page.pageSize || PAGE_SIZE_DEFAULT;
  // One row more than asked tells whether there is a next page.
  const params = listingParams(call.project, page, afterKey, rowsMax + 1);
  const rows = await store.router.run(listingOf(page).page, params, call);
  if (rows.length === 0) await requireProject(store, call);
  const objects = rows.slice(0, rowsMax).map(toObject);
  const lastKey = objects.at(-1)?.objectKey;
  const more = objects.length < Number(rows[0]?.page_rows ?? 0n);
  return create(ListObjectsResponseSchema, {
    objects,
    nextPageToken:
      more && lastKey !== undefined ? await sealPageToken(store.sealer, call, args, lastKey) : '',
  });
}
