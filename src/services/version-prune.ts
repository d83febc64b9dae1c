/** VersionService: what deletes old versions for good. */

import type { VersionService } from '../../gen/stowage/v1/version_service_pb.js';
import { countPrunable, pruneVersions } from '../store/prune-versions.js';
import type { Store } from '../store/store.js';
import { type Handlers, scopedCall } from './handler.js';

/** Handlers of version_prune.proto. */
export function versionPruneHandlers(store: Store) {
  return {
    async pruneVersions(request, context) {
      const call = scopedCall(context, { project: request.project });
      if (request.dryRun) return countPrunable(store, call, request);
      const { response, token } = await pruneVersions(store, call, request);
      return { ...response, token };
    },
  } satisfies Partial<Handlers<typeof VersionService>>;
}
