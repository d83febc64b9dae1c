/** VersionService: what reads, lists and compares versions. */

import type { VersionService } from '../../gen/stowage/v1/version_service_pb.js';
import { diffVersions } from '../store/diff-versions.js';
import { listPage } from '../store/list-versions.js';
import type { Store } from '../store/store.js';
import { readVersion } from '../store/versions.js';
import { type Handlers, scopedCall } from './handler.js';

/** Handlers of version_read.proto but its stream. */
export function versionReadHandlers(store: Store) {
  return {
    async getVersion(request, context) {
      const { objectKey, versionId } = request;
      const call = scopedCall(context, request);
      return { version: await readVersion(store, call, objectKey, versionId) };
    },

    listVersions: (request, context) => listPage(store, scopedCall(context, request), request),

    diffVersions: (request, context) => diffVersions(store, scopedCall(context, request), request),
  } satisfies Partial<Handlers<typeof VersionService>>;
}
