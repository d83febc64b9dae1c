/** StorageService: messages to store calls and back. */

import { StorageService } from '../../gen/stowage/v1/storage_service_pb.js';
import { listObjects } from '../store/list-objects.js';
import { readObject, readObjects, removeObject } from '../store/objects.js';
import { recordBatch, recordObject } from '../store/record-calls.js';
import type { Store } from '../store/store.js';
import { streamObjects } from '../store/stream-objects.js';
import {
  defineService,
  EncodedMessage,
  type Handlers,
  type ServiceDefinition,
  scopedCall,
} from './handler.js';
import { ingestObjects } from './ingest-objects.js';

/** StorageService over a store. */
export function storageService(store: Store): ServiceDefinition {
  const handlers = {
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

    async getObject(request, context) {
      const call = scopedCall(context, request);
      return { object: await readObject(store, call, request.objectKey, request.showDeleted) };
    },

    batchGetObjects(request, context) {
      const call = scopedCall(context, request);
      return readObjects(store, call, request.objectKeys, request.showDeleted);
    },

    listObjects: (request, context) => listObjects(store, scopedCall(context, request), request),

    async *streamObjects(request, context) {
      const call = scopedCall(context, request);
      for await (const bytes of streamObjects(store, call, request)) {
        yield new EncodedMessage(bytes);
      }
    },

    async deleteObject(request, context) {
      const call = scopedCall(context, { project: request.project });
      const { response, token } = await removeObject(store, call, request);
      return { ...response, token };
    },
  } satisfies Handlers<typeof StorageService>;
  return defineService(StorageService, handlers);
}
