/** Deletes one version for good; of the latest, the newest of those left becomes the latest. */

import { create } from '@bufbuild/protobuf';
import {
  type DeleteVersionRequest,
  DeleteVersionResponseSchema,
} from '../../gen/stowage/v1/version_write_pb.js';
import { StowageError } from '../errors.js';
import type { Call } from '../postgres/call.js';
import type { Transaction } from '../postgres/router-api.js';
import { type Change, type CommitResult, commit } from './commit.js';
import { digestOf } from './digest.js';
import { adoptVersion, lockForVersions, versionChange } from './latest-version.js';
import type { ObjectRow } from './object-reads.sql.js';
import type { Store } from './store.js';
import { deleteVersions, newestOther } from './version-changes.sql.js';
import { readLockedVersion } from './versions.js';

/**
 * Deletes a version.
 * @throws StowageError OBJECT_NOT_FOUND, VERSION_NOT_FOUND, ONLY_VERSION, REVISION_MISMATCH, and
 * those of `commit`.
 */
export function removeVersion(
  store: Store,
  call: Call,
  request: DeleteVersionRequest,
): Promise<CommitResult<typeof DeleteVersionResponseSchema>> {
  const { objectKey, versionId, ifRevision } = request;
  return commit(store, call, {
    action: 'DELETE_VERSION',
    requestId: request.requestId,
    digest: () => digestOf(objectKey, versionId, ifRevision?.toString() ?? null),
    projectMustExist: true,
    responseSchema: DeleteVersionResponseSchema,
    write: async (transaction) => {
      const object = await lockForVersions(transaction, call, objectKey, ifRevision);
      const doomed = await readLockedVersion(transaction, call, objectKey, versionId);
      const change = doomed.is_latest ? await adoptNewest(transaction, call, object) : undefined;
      const params = [call.project, [objectKey], [versionId]];
      const [{ deleted } = { deleted: 0n }] = await transaction.run(deleteVersions, params);
      if (deleted !== 1n) throw new StowageError('INTERNAL');
      // The feed tells of both. What the caller did is the second, which the audit trail names.
      const revision = change?.revision ?? object.revision;
      const gone = versionChange('version.deleted', { ...object, revision }, versionId);
      const latest = change?.versionId ?? object.version_id;
      return {
        response: create(DeleteVersionResponseSchema, { versionId: latest }),
        changes: change === undefined ? [gone] : [{ ...change, isUnaudited: true }, gone],
      };
    },
  });
}

/** @throws StowageError ONLY_VERSION. */
async function adoptNewest(
  transaction: Transaction,
  call: Call,
  object: ObjectRow,
): Promise<Change> {
  const { object_key: objectKey, version_id: versionId } = object;
  const [newest] = await transaction.run(newestOther, [call.project, objectKey, versionId]);
  if (newest === undefined) {
    throw new StowageError('ONLY_VERSION', {
      metadata: { object_key: objectKey, version_id: versionId },
    });
  }
  return adoptVersion(transaction, call, object, newest.version_id);
}
