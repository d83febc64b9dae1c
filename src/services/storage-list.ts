/** StorageService: what lists, streams and counts objects. */

import type { StorageService } from '../../gen/stowage/v1/storage_service_pb.js';
import { listObjects } from '../store/list-objects.js';
import type { Store } from '../store/store.js';
import { streamObjects } from '../store/stream-objects.js';
import { readUsage } from '../store/usage.js';
import { EncodedMessage, type Handlers, scopedCall } from './handler.js';

/** Handlers of storage_list.proto. */
export function listHandlers(store: Store) {
  return {
    listObjects: (request, context) => listObjects(store, scopedCall(context, request), request),

    async *streamObjects(request, context) {
      const call = scopedCall(context, request);
      for await (const bytes of streamObjects(store, call, request)) {
        yield new EncodedMessage(bytes);
      }
    },

    getUsage: (request, context) => readUsage(store, scopedCall(context, request), request),
  } satisfies Partial<Handlers<typeof StorageService>>;
}
