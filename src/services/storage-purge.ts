/** StorageService: what removes objects for good. */

import type { StorageService } from '../../gen/stowage/v1/storage_service_pb.js';
import { countPurgeable, purgeObjects } from '../store/purge-objects.js';
import type { Store } from '../store/store.js';
import { type Handlers, scopedCall } from './handler.js';

/** Handlers of storage_purge.proto. */
export function purgeHandlers(store: Store) {
  return {
    async purgeObjects(request, context) {
      const call = scopedCall(context, { project: request.project });
      if (request.dryRun) return countPurgeable(store, call, request);
      const { response, token } = await purgeObjects(store, call, request);
      return { ...response, token };
    },
  } satisfies Partial<Handlers<typeof StorageService>>;
}
