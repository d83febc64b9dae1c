/** StorageService: what searches objects. */

import type { StorageService } from '../../gen/stowage/v1/storage_service_pb.js';
import { StowageError } from '../errors.js';
import type { Store } from '../store/store.js';
import type { Handlers } from './handler.js';

/** Handlers of storage_search.proto. */
export function searchHandlers(_store: Store) {
  return {
    searchObjects() {
      throw new StowageError('UNIMPLEMENTED');
    },
  } satisfies Partial<Handlers<typeof StorageService>>;
}
