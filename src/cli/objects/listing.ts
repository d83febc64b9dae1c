/** Pages of a listing, one after another, with objects and folders in one order. */

import type { MessageInitShape } from '@bufbuild/protobuf';
import type {
  ListObjectsRequestSchema,
  ListObjectsResponse,
} from '../../../gen/stowage/v1/storage_list_pb.js';
import type { StorageObject } from '../../../gen/stowage/v1/storage_object_pb.js';
import type { Client, StorageService } from '../../client/index.js';
import { strong } from '../call.js';
import { compareKeys } from '../scan/names.js';

/** The one call of a listing. */
export type ListCall = Pick<Client<typeof StorageService>, 'listObjects'>;

/** What to list; the pages are cut here. */
export type ListRequest = Omit<
  MessageInitShape<typeof ListObjectsRequestSchema>,
  '$typeName' | '$unknown' | 'freshness' | 'pageSize' | 'pageToken'
>;

/** A line of a listing: an object, or the folder that stands for many. */
export interface Entry {
  /** The object's key, or the folder with its delimiter. */
  readonly key: string;
  /** Undefined for a folder. */
  readonly object?: StorageObject;
}

/** As many as the service gives in one page. */
const pageSizeMax = 1000;

function entriesOf({ objects, folders }: ListObjectsResponse): Entry[] {
  const entries: Entry[] = objects.map((object) => ({ key: object.objectKey, object }));
  // Folders come only in the order of keys; every other order is one that the server knows.
  if (folders.length === 0) return entries;
  entries.push(...folders.map((key) => ({ key })));
  return entries.sort((a, b) => compareKeys(a.key, b.key));
}

/** Lists at most `limit` entries, a page at a time; a page may be empty. */
export async function* listPages(
  client: ListCall,
  request: ListRequest,
  limit = Number.POSITIVE_INFINITY,
): AsyncGenerator<Entry[], void, void> {
  let left = limit;
  let pageToken = '';
  do {
    const pageSize = Math.min(left, pageSizeMax);
    const page = await client.listObjects({ ...request, freshness: strong, pageSize, pageToken });
    const entries = entriesOf(page);
    left -= entries.length;
    pageToken = page.nextPageToken;
    yield entries;
  } while (pageToken !== '' && left > 0);
}
