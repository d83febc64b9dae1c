/** Makes an old version the latest again: by a new version that names it. */

import { create } from '@bufbuild/protobuf';
import { v7 as uuid } from 'uuid';
import {
  type RestoreVersionRequest,
  RestoreVersionResponseSchema,
} from '../../gen/stowage/v1/version_write_pb.js';
import { invalidField } from '../errors.js';
import type { Call } from '../postgres/call.js';
import { type CommitResult, commit } from './commit.js';
import { digestOf } from './digest.js';
import { lockForVersions, recordLocked } from './latest-version.js';
import type { Store } from './store.js';
import { readLockedVersion } from './versions.js';

/**
 * Restores a version; a deleted object lives again.
 * @throws StowageError INVALID_REQUEST for a delete marker, OBJECT_NOT_FOUND, VERSION_NOT_FOUND,
 * REVISION_MISMATCH, and those of `commit`.
 */
export function restoreVersion(
  store: Store,
  call: Call,
  request: RestoreVersionRequest,
): Promise<CommitResult<typeof RestoreVersionResponseSchema>> {
  const { objectKey, versionId, comment, ifRevision } = request;
  return commit(store, call, {
    action: 'RESTORE_VERSION',
    requestId: request.requestId,
    digest: () => digestOf(objectKey, versionId, comment, ifRevision?.toString() ?? null),
    projectMustExist: true,
    responseSchema: RestoreVersionResponseSchema,
    write: async (transaction) => {
      const object = await lockForVersions(transaction, call, objectKey, ifRevision);
      const restored = await readLockedVersion(transaction, call, objectKey, versionId);
      if (restored.delete_marker) {
        throw invalidField('version_id', 'is a delete marker; DeleteObject deletes the object');
      }
      const { version, changes } = await recordLocked(transaction, call, object, {
        ...restored,
        version_id: uuid(),
        created_by: call.principal,
        restored_from: versionId,
        comment,
        tags: {},
        isLatest: true,
      });
      return { response: create(RestoreVersionResponseSchema, { version }), changes };
    },
  });
}
