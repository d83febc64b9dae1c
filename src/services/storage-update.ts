/** StorageService: what changes, deletes and takes back objects. */

import type { StorageService } from '../../gen/stowage/v1/storage_service_pb.js';
import { removeObject, removeObjects, undeleteObject } from '../store/delete-objects.js';
import type { Store } from '../store/store.js';
import { updateObject } from '../store/update-object.js';
import { type Handlers, scopedCall } from './handler.js';

/** Handlers of storage_update.proto. */
export function updateHandlers(store: Store) {
  return {
    async updateObject(request, context) {
      const call = scopedCall(context, { project: request.project });
      const { response, token } = await updateObject(store, call, request);
      return { ...response, token };
    },

    async deleteObject(request, context) {
      const call = scopedCall(context, { project: request.project });
      const { response, token } = await removeObject(store, call, request);
      return { ...response, token };
    },

    async batchDeleteObjects(request, context) {
      const call = scopedCall(context, { project: request.project });
      const { response, token } = await removeObjects(store, call, request);
      return { ...response, token };
    },

    async undeleteObject(request, context) {
      const call = scopedCall(context, { project: request.project });
      const { response, token } = await undeleteObject(store, call, request);
      return { ...response, token };
    },
  } satisfies Partial<Handlers<typeof StorageService>>;
}
