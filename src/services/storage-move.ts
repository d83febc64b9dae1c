/** StorageService: what moves objects. */

import type { StorageService } from '../../gen/stowage/v1/storage_service_pb.js';
import { StowageError } from '../errors.js';
import type { Store } from '../store/store.js';
import type { Handlers } from './handler.js';

/** Handlers of storage_move.proto. */
export function moveHandlers(_store: Store) {
  return {
    moveObject() {
      throw new StowageError('UNIMPLEMENTED');
    },

    movePrefix() {
      throw new StowageError('UNIMPLEMENTED');
    },
  } satisfies Partial<Handlers<typeof StorageService>>;
}
