/** StorageService: what reports on objects. */

import type { StorageService } from '../../gen/stowage/v1/storage_service_pb.js';
import { StowageError } from '../errors.js';
import type { Store } from '../store/store.js';
import type { Handlers } from './handler.js';

/** Handlers of storage_report.proto. */
export function reportHandlers(_store: Store) {
  return {
    findDuplicates() {
      throw new StowageError('UNIMPLEMENTED');
    },

    getStatistics() {
      throw new StowageError('UNIMPLEMENTED');
    },
  } satisfies Partial<Handlers<typeof StorageService>>;
}
