/** VersionService: what records, changes, restores and deletes versions. */

import type { VersionService } from '../../gen/stowage/v1/version_service_pb.js';
import { removeVersion } from '../store/delete-version.js';
import { recordVersion } from '../store/record-version.js';
import { restoreVersion } from '../store/restore-version.js';
import type { Store } from '../store/store.js';
import { updateVersion } from '../store/update-version.js';
import { type Handlers, scopedCall } from './handler.js';

/** Handlers of version_write.proto. */
export function versionWriteHandlers(store: Store) {
  return {
    async recordVersion(request, context) {
      const call = scopedCall(context, { project: request.project });
      const { response, token } = await recordVersion(store, call, request);
      return { ...response, token };
    },

    async updateVersion(request, context) {
      const call = scopedCall(context, { project: request.project });
      const { response, token } = await updateVersion(store, call, request);
      return { ...response, token };
    },

    async restoreVersion(request, context) {
      const call = scopedCall(context, { project: request.project });
      const { response, token } = await restoreVersion(store, call, request);
      return { ...response, token };
    },

    async deleteVersion(request, context) {
      const call = scopedCall(context, { project: request.project });
      const { response, token } = await removeVersion(store, call, request);
      return { ...response, token };
    },
  } satisfies Partial<Handlers<typeof VersionService>>;
}
