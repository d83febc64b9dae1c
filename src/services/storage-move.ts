/** StorageService: what moves objects. */

import type { StorageService } from '../../gen/stowage/v1/storage_service_pb.js';
import { moveObject } from '../store/move-objects.js';
import { movePrefix } from '../store/move-prefix.js';
import type { Store } from '../store/store.js';
import { type Handlers, scopedCall } from './handler.js';

/** Handlers of storage_move.proto. */
export function moveHandlers(store: Store) {
  return {
    async moveObject(request, context) {
      const call = scopedCall(context, { project: request.project });
      const { response, token } = await moveObject(store, call, request);
      return { ...response, token };
    },

    async movePrefix(request, context) {
      const call = scopedCall(context, { project: request.project });
      const { response, token } = await movePrefix(store, call, request);
      return { ...response, token };
    },
  } satisfies Partial<Handlers<typeof StorageService>>;
}
