/** StorageService: what records objects. */

import type { StorageService } from '../../gen/stowage/v1/storage_service_pb.js';
import { recordBatch, recordObject } from '../store/record-calls.js';
import type { Store } from '../store/store.js';
import { type Handlers, scopedCall } from './handler.js';
import { ingestObjects } from './ingest-objects.js';

/** Handlers of storage_record.proto. */
export function recordHandlers(store: Store) {
  return {
    async recordObject(request, context) {
      const call = scopedCall(context, { project: request.project });
      const { response, token } = await recordObject(store, call, request);
      return { ...response, token };
    },

    async batchRecordObjects(request, context) {
      const call = scopedCall(context, { project: request.project });
      const { response, token } = await recordBatch(store, call, request);
      return { ...response, token };
    },

    ingestObjects: (requests, context) => ingestObjects(store, requests, context),
  } satisfies Partial<Handlers<typeof StorageService>>;
}
