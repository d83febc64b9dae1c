/** VersionService: pruneVersions. */

import type { VersionService } from '../../gen/stowage/v1/version_service_pb.js';
import type { Store } from '../store/store.js';
import type { Handlers } from './handler.js';
import { pending } from './pending.js';

/** Its handlers. */
export function versionPruneHandlers(_store: Store) {
  return pending(['pruneVersions']) as Pick<Handlers<typeof VersionService>, 'pruneVersions'>;
}
