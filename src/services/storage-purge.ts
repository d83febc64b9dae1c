/** StorageService: what removes objects for good. */

import type { StorageService } from '../../gen/stowage/v1/storage_service_pb.js';
import { StowageError } from '../errors.js';
import type { Store } from '../store/store.js';
import type { Handlers } from './handler.js';

/** Handlers of storage_purge.proto. */
export function purgeHandlers(_store: Store) {
  return {
    purgeObjects() {
      throw new StowageError('UNIMPLEMENTED');
    },
  } satisfies Partial<Handlers<typeof StorageService>>;
}
