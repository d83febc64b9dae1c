/** Objects: what is done to them, and how they are read one by one or in pages. */

import { createHash } from 'node:crypto';
import { create } from '@bufbuild/protobuf';
import { v7 as uuid } from 'uuid';
import type { StorageObject } from '../../gen/stowage/v1/storage_object_pb.js';
import {
  type BatchGetObjectsResponse,
  BatchGetObjectsResponseSchema,
} from '../../gen/stowage/v1/storage_read_pb.js';
import {
  type DeleteObjectResponse,
  DeleteObjectResponseSchema,
} from '../../gen/stowage/v1/storage_update_pb.js';
import { StowageError } from '../errors.js';
import { fromMillis, toIsoMicros } from '../lib/timestamp.js';
import type { Call } from '../postgres/call.js';
import type { Transaction } from '../postgres/router-api.js';
import { type CommitResult, commit, projectNotFound } from './commit.js';
import type { Preconditions } from './object-input.js';
import { compareKeys } from './object-keys.js';
import { batchGetObjects, deleteObject, findProject, getObject } from './object-reads.sql.js';
import { toObject } from './object-row.js';
import { lockObject } from './objects.sql.js';
import type { Store } from './store.js';

/** The error for an object that is not there. */
function objectNotFound(call: Call, objectKey: string): StowageError {
  return new StowageError('OBJECT_NOT_FOUND', {
    metadata: { project: call.project, object_key: objectKey },
  });
}

/**
 * Throws where there is no project. Asked only after a read that found nothing, as every read of
 * objects does in a project that is not there, so the common read needs no second statement.
 * @throws StowageError PROJECT_NOT_FOUND.
 */
export async function requireProject(store: Store, call: Call): Promise<void> {
  const [row] = await store.router.run(findProject, [call.project], call);
  if (!row?.found) throw projectNotFound(call.project);
}

/**
 * Reads one object.
 * @throws StowageError OBJECT_NOT_FOUND, PROJECT_NOT_FOUND.
 */
export async function readObject(
  store: Store,
  call: Call,
  objectKey: string,
  showDeleted: boolean,
): Promise<StorageObject> {
  const [row] = await store.router.run(getObject, [call.project, objectKey], call);
  if (row !== undefined && (showDeleted || row.deleted_at === null)) return toObject(row);
  await requireProject(store, call);
  throw objectNotFound(call, objectKey);
}

/** Reads some objects of one state; what does not fit into 1 MiB is named. */
export async function readObjects(
  store: Store,
  call: Call,
  objectKeys: readonly string[],
  showDeleted: boolean,
): Promise<BatchGetObjectsResponse> {
  const rows = await store.router.run(batchGetObjects, [call.project, objectKeys], call);
  if (rows.length === 0) await requireProject(store, call);
  const cut = rows.length < Number(rows[0]?.page_rows ?? 0n);
  const lastKey = rows.at(-1)?.object_key ?? '';
  const found = new Map(rows.map((row) => [row.object_key, row]));
  const response = create(BatchGetObjectsResponseSchema);
  for (const key of objectKeys) {
    const row = found.get(key);
    if (row !== undefined && (showDeleted || row.deleted_at === null)) {
      response.objects.push(toObject(row));
    } else if (cut && compareKeys(key, lastKey) > 0) {
      response.remainingObjectKeys.push(key);
    } else {
      response.missingObjectKeys.push(key);
    }
  }
  return response;
}

/** What to delete. */
export interface Deletion extends Preconditions {
  readonly objectKey: string;
  readonly requestId: string;
}

/**
 * Deletes an object softly.
 * @throws StowageError OBJECT_NOT_FOUND, ETAG_MISMATCH, REVISION_MISMATCH, and those of `commit`.
 */
export function removeObject(
  store: Store,
  call: Call,
  deletion: Deletion,
): Promise<CommitResult<typeof DeleteObjectResponseSchema>> {
  const { objectKey, ifMatchEtag, ifRevision } = deletion;
  return commit(store.router, call, {
    action: 'DELETE_OBJECT',
    requestId: deletion.requestId,
    digest: () =>
      createHash('sha256')
        .update(JSON.stringify([objectKey, ifMatchEtag ?? null, ifRevision?.toString() ?? null]))
        .digest(),
    projectMustExist: true,
    responseSchema: DeleteObjectResponseSchema,
    write: async (transaction) => {
      const response = await removeLocked(transaction, call, deletion);
      const { revision = 0n, versionId = '', owner = '' } = response.object ?? {};
      const change = { kind: 'object.deleted', objectKey, revision, versionId, owner } as const;
      return { response, changes: [{ ...change, changedFields: [] }] };
    },
  });
}

async function removeLocked(
  transaction: Transaction,
  call: Call,
  { objectKey, ifMatchEtag, ifRevision }: Deletion,
): Promise<DeleteObjectResponse> {
  const [locked] = await transaction.run(lockObject, [call.project, objectKey]);
  if (locked === undefined || locked.deleted) throw objectNotFound(call, objectKey);
  const metadata = { object_key: objectKey };
  if (ifMatchEtag !== undefined && ifMatchEtag !== locked.etag) {
    throw new StowageError('ETAG_MISMATCH', { metadata: { ...metadata, etag: locked.etag } });
  }
  if (ifRevision !== undefined && ifRevision !== locked.revision) {
    const revision = String(locked.revision);
    throw new StowageError('REVISION_MISMATCH', { metadata: { ...metadata, revision } });
  }
  const now = toIsoMicros(fromMillis(Date.now()));
  const params = [call.project, objectKey, uuid(), now, call.principal];
  const [row] = await transaction.run(deleteObject, params);
  if (row === undefined) throw objectNotFound(call, objectKey);
  return create(DeleteObjectResponseSchema, { object: toObject(row) });
}
