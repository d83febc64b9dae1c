/** StorageService: what reads objects by their keys. */

import type { StorageService } from '../../gen/stowage/v1/storage_service_pb.js';
import { readObject, readObjects } from '../store/objects.js';
import type { Store } from '../store/store.js';
import { type Handlers, scopedCall } from './handler.js';

/** Handlers of storage_read.proto. */
export function readHandlers(store: Store) {
  return {
    async getObject(request, context) {
      const call = scopedCall(context, request);
      return { object: await readObject(store, call, request.objectKey, request.showDeleted) };
    },

    batchGetObjects(request, context) {
      const call = scopedCall(context, request);
      return readObjects(store, call, request.objectKeys, request.showDeleted);
    },
  } satisfies Partial<Handlers<typeof StorageService>>;
}
