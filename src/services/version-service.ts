/** VersionService: versions of objects, in files like those of its protos. */

import { VersionService } from '../../gen/stowage/v1/version_service_pb.js';
import type { Store } from '../store/store.js';
import { defineService, type Handlers, type ServiceDefinition } from './handler.js';
import { versionPruneHandlers } from './version-prune.js';
import { versionReadHandlers } from './version-read.js';
import { versionStreamHandlers } from './version-stream.js';
import { versionWriteHandlers } from './version-write.js';

/** VersionService over a store. */
export function versionService(store: Store): ServiceDefinition {
  const handlers = {
    ...versionWriteHandlers(store),
    ...versionReadHandlers(store),
    ...versionStreamHandlers(store),
    ...versionPruneHandlers(store),
  } satisfies Handlers<typeof VersionService>;
  return defineService(VersionService, handlers);
}
