/** StorageService: what changes, deletes and takes back objects. */

import type { StorageService } from '../../gen/stowage/v1/storage_service_pb.js';
import { StowageError } from '../errors.js';
import { removeObject } from '../store/objects.js';
import type { Store } from '../store/store.js';
import { type Handlers, scopedCall } from './handler.js';

/** Handlers of storage_update.proto. */
export function updateHandlers(store: Store) {
  return {
    async deleteObject(request, context) {
      const call = scopedCall(context, { project: request.project });
      const { response, token } = await removeObject(store, call, request);
      return { ...response, token };
    },

    updateObject() {
      throw new StowageError('UNIMPLEMENTED');
    },

    batchDeleteObjects() {
      throw new StowageError('UNIMPLEMENTED');
    },

    undeleteObject() {
      throw new StowageError('UNIMPLEMENTED');
    },
  } satisfies Partial<Handlers<typeof StorageService>>;
}
