/** VersionService: recordVersion, updateVersion, restoreVersion, deleteVersion. */

import type { VersionService } from '../../gen/stowage/v1/version_service_pb.js';
import type { Store } from '../store/store.js';
import type { Handlers } from './handler.js';
import { pending } from './pending.js';

/** Its handlers. */
export function versionWriteHandlers(_store: Store) {
  return pending(['recordVersion', 'updateVersion', 'restoreVersion', 'deleteVersion']) as Pick<
    Handlers<typeof VersionService>,
    'recordVersion' | 'updateVersion' | 'restoreVersion' | 'deleteVersion'
  >;
}
