/** StorageService: what reports on objects. */

import type { StorageService } from '../../gen/stowage/v1/storage_service_pb.js';
import { findDuplicates } from '../store/find-duplicates.js';
import { readStatistics } from '../store/statistics.js';
import type { Store } from '../store/store.js';
import { EncodedMessage, type Handlers, scopedCall } from './handler.js';

/** Handlers of storage_report.proto. */
export function reportHandlers(store: Store) {
  return {
    async *findDuplicates(request, context) {
      const call = scopedCall(context, request);
      for await (const bytes of findDuplicates(store, call, request)) {
        yield new EncodedMessage(bytes);
      }
    },

    getStatistics: (request, context) => readStatistics(store, scopedCall(context, request)),
  } satisfies Partial<Handlers<typeof StorageService>>;
}
