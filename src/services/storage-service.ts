/** StorageService: messages to store calls and back, in files like those of its protos. */

import { StorageService } from '../../gen/stowage/v1/storage_service_pb.js';
import type { Store } from '../store/store.js';
import { defineService, type Handlers, type ServiceDefinition } from './handler.js';
import { listHandlers } from './storage-list.js';
import { moveHandlers } from './storage-move.js';
import { purgeHandlers } from './storage-purge.js';
import { readHandlers } from './storage-read.js';
import { recordHandlers } from './storage-record.js';
import { reportHandlers } from './storage-report.js';
import { searchHandlers } from './storage-search.js';
import { updateHandlers } from './storage-update.js';

/** StorageService over a store. */
export function storageService(store: Store): ServiceDefinition {
  const handlers = {
    ...readHandlers(store),
    ...recordHandlers(store),
    ...listHandlers(store),
    ...searchHandlers(store),
    ...updateHandlers(store),
    ...moveHandlers(store),
    ...purgeHandlers(store),
    ...reportHandlers(store),
  } satisfies Handlers<typeof StorageService>;
  return defineService(StorageService, handlers);
}
