/** StorageService: what searches objects. */

import type { StorageService } from '../../gen/stowage/v1/storage_service_pb.js';
import { searchObjects } from '../store/search-objects.js';
import type { Store } from '../store/store.js';
import { type Handlers, scopedCall } from './handler.js';

/** Handlers of storage_search.proto. */
export function searchHandlers(store: Store) {
  return {
    searchObjects: (request, context) =>
      searchObjects(store, scopedCall(context, request), request),
  } satisfies Partial<Handlers<typeof StorageService>>;
}
