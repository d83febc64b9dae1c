/** Versions of an object in pages, the newest recorded first. */

import { create } from '@bufbuild/protobuf';
import {
  type ListVersionsRequest,
  type ListVersionsResponse,
  ListVersionsResponseSchema,
} from '../../gen/stowage/v1/version_read_pb.js';
import type { Call } from '../postgres/call.js';
import { readObject } from './objects.js';
import { openPageToken, sealPageToken } from './page-token.js';
import type { Store } from './store.js';
import { listVersions } from './version-reads.sql.js';
import { toVersion } from './versions.js';

const PAGE_SIZE_DEFAULT = 100;

/** Above the place of every version. */
const FIRST = '9223372036854775807';

/**
 * Lists versions. A page goes on behind the place of the last version, so that what is recorded or
 * deleted meanwhile neither repeats nor hides another.
 * @throws StowageError PAGE_TOKEN_INVALID, OBJECT_NOT_FOUND, PROJECT_NOT_FOUND.
 */
export async function listPage(
  store: Store,
  call: Call,
  { objectKey, pageSize, pageToken }: ListVersionsRequest,
): Promise<ListVersionsResponse> {
  const before = (await openPageToken(store.sealer, call, [objectKey], pageToken)) || FIRST;
  const rowsMax = pageSize || PAGE_SIZE_DEFAULT;
  // One row more than asked tells whether there is a next page.
  const params = [call.project, objectKey, before, rowsMax + 1];
  const rows = await store.router.run(listVersions, params, call);
  // Behind the last version there is no row either.
  if (rows.length === 0) await readObject(store, call, objectKey, true);
  const page = rows.slice(0, rowsMax);
  const last = page.at(-1);
  const isMore = last !== undefined && page.length < Number(last.page_rows);
  return create(ListVersionsResponseSchema, {
    versions: page.map(toVersion),
    nextPageToken: isMore
      ? await sealPageToken(store.sealer, call, [objectKey], String(last.seq))
      : '',
  });
}
