/** Deletes objects softly, one or a batch, and takes a deletion back. */

import { create } from '@bufbuild/protobuf';
import { v7 as uuid } from 'uuid';
import {
  type BatchDeleteObjectsRequest,
  BatchDeleteObjectsResponseSchema,
  type DeleteObjectRequest,
  DeleteObjectResponseSchema,
  type UndeleteObjectRequest,
  UndeleteObjectResponseSchema,
} from '../../gen/stowage/v1/storage_update_pb.js';
import { invalidField, StowageError } from '../errors.js';
import type { Json } from '../lib/canonical-json.js';
import { fromMillis, toIsoMicros } from '../lib/timestamp.js';
import type { Call } from '../postgres/call.js';
import type { Transaction } from '../postgres/router-api.js';
import type { Statement } from '../postgres/statement.js';
import { type Change, type CommitResult, commit } from './commit.js';
import { digestOf } from './digest.js';
import * as sql from './object-changes.sql.js';
import { sortInputs } from './object-input.js';
import { toObject } from './object-row.js';
import { type Expected, objectNotFound, requireLive, requireRevision } from './preconditions.js';
import type { Store } from './store.js';

/** The change of a row for the feed; of one that came or went no fields are listed. */
export function changeOf(kind: Change['kind'], row: sql.ChangedKey): Change {
  const { object_key: objectKey, revision, version_id: versionId, owner } = row;
  return { kind, objectKey, revision, versionId, owner, changedFields: [] };
}

/** Deletes locked, live objects in the order of keys; the statement says what is given of them. */
export async function deleteLocked<Row extends sql.ChangedKey>(
  transaction: Transaction,
  call: Call,
  statement: Statement<Row>,
  objectKeys: readonly string[],
): Promise<{ readonly rows: readonly Row[]; readonly changes: readonly Change[] }> {
  if (objectKeys.length === 0) return { rows: [], changes: [] };
  const rows = await transaction.run(statement, [
    call.project,
    objectKeys,
    objectKeys.map(() => uuid()),
    toIsoMicros(fromMillis(Date.now())),
    call.principal,
  ]);
  const found = new Map(rows.map((row) => [row.object_key, row]));
  const changed = objectKeys.flatMap((objectKey) => found.get(objectKey) ?? []);
  if (changed.length < objectKeys.length) throw new StowageError('INTERNAL');
  return { rows: changed, changes: changed.map((row) => changeOf('object.deleted', row)) };
}

/**
 * Deletes an object softly.
 * @throws StowageError OBJECT_NOT_FOUND, ETAG_MISMATCH, REVISION_MISMATCH, and those of `commit`.
 */
export function removeObject(
  store: Store,
  call: Call,
  request: DeleteObjectRequest,
): Promise<CommitResult<typeof DeleteObjectResponseSchema>> {
  const { objectKey, ifMatchEtag, ifRevision, allowMissing } = request;
  return commit(store, call, {
    action: 'DELETE_OBJECT',
    requestId: request.requestId,
    digest: () => digestOf(asked(request)),
    projectMustExist: true,
    responseSchema: DeleteObjectResponseSchema,
    write: async (transaction) => {
      const [locked] = await transaction.run(sql.lockKeys, [call.project, [objectKey]]);
      if (allowMissing && isMissing(locked)) {
        return { response: create(DeleteObjectResponseSchema), changes: [] };
      }
      requireLive(call, { objectKey, ifMatchEtag, ifRevision }, locked);
      const deleted = await deleteLocked(transaction, call, sql.deleteObject, [objectKey]);
      const [object] = deleted.rows.map(toObject);
      const response = create(DeleteObjectResponseSchema, object === undefined ? {} : { object });
      return { response, changes: deleted.changes };
    },
  });
}

/** One deletion of a batch. */
interface Deletion extends Expected {
  readonly path: string;
  readonly allowMissing: boolean;
}

/**
 * Deletes a batch softly: all of it or nothing.
 * @throws StowageError INVALID_REQUEST, OBJECT_NOT_FOUND, ETAG_MISMATCH, REVISION_MISMATCH, which
 * name the key and the deletion, and those of `commit`.
 */
export function removeObjects(
  store: Store,
  call: Call,
  request: BatchDeleteObjectsRequest,
): Promise<CommitResult<typeof BatchDeleteObjectsResponseSchema>> {
  const deletions = request.requests.map(readDeletion);
  const sorted = sortInputs(deletions).map(({ objectKey }) => objectKey);
  return commit(store, call, {
    action: 'DELETE_OBJECT',
    requestId: request.requestId,
    digest: () => digestOf(...request.requests.map(asked)),
    projectMustExist: true,
    responseSchema: BatchDeleteObjectsResponseSchema,
    write: async (transaction) => {
      const rows = await transaction.run(sql.lockKeys, [call.project, sorted]);
      const locked = new Map(rows.map((row) => [row.object_key, row]));
      for (const deletion of deletions) {
        const row = locked.get(deletion.objectKey);
        if (!(deletion.allowMissing && isMissing(row))) requireLive(call, deletion, row);
      }
      const live = sorted.filter((objectKey) => !isMissing(locked.get(objectKey)));
      const deleted = await deleteLocked(transaction, call, sql.deleteObjects, live);
      const revisions = new Map(deleted.rows.map((row) => [row.object_key, row.revision]));
      const results = deletions.map(({ objectKey }) => {
        const revision = revisions.get(objectKey);
        return { deleted: revision !== undefined, revision: revision ?? 0n };
      });
      const response = create(BatchDeleteObjectsResponseSchema, { results });
      return { response, changes: deleted.changes };
    },
  });
}

function readDeletion(request: DeleteObjectRequest, at: number): Deletion {
  const path = `requests[${at}]`;
  if (request.project !== '' || request.requestId !== '') {
    throw invalidField(path, 'project and request_id belong to the batch; leave them empty');
  }
  const { objectKey, ifMatchEtag, ifRevision, allowMissing } = request;
  return { path, objectKey, ifMatchEtag, ifRevision, allowMissing };
}

/** What a deletion asks for, as the request log tells it from another. */
function asked({ objectKey, ifMatchEtag, ifRevision, allowMissing }: DeleteObjectRequest): Json {
  return [objectKey, ifMatchEtag ?? null, ifRevision?.toString() ?? null, allowMissing];
}

function isMissing(locked: sql.LockedKey | undefined): boolean {
  return locked === undefined || locked.deleted;
}

/**
 * Takes a deletion back.
 * @throws StowageError OBJECT_NOT_FOUND, ALREADY_EXISTS where the object lives, REVISION_MISMATCH,
 * VERSION_NOT_FOUND where the version that it had is gone, and those of `commit`.
 */
export function undeleteObject(
  store: Store,
  call: Call,
  request: UndeleteObjectRequest,
): Promise<CommitResult<typeof UndeleteObjectResponseSchema>> {
  const { objectKey, ifRevision } = request;
  return commit(store, call, {
    action: 'UNDELETE_OBJECT',
    requestId: request.requestId,
    digest: () => digestOf(objectKey, ifRevision?.toString() ?? null),
    projectMustExist: true,
    responseSchema: UndeleteObjectResponseSchema,
    write: async (transaction) => {
      const [locked] = await transaction.run(sql.lockKeys, [call.project, [objectKey]]);
      if (locked === undefined) throw objectNotFound(call, { objectKey });
      if (!locked.deleted) {
        throw new StowageError('ALREADY_EXISTS', {
          message: 'The object is not deleted; there is nothing to take back.',
          metadata: { object_key: objectKey, revision: String(locked.revision) },
        });
      }
      requireRevision({ objectKey, ifRevision }, locked);
      const [row] = await transaction.run(sql.undeleteObject, [call.project, objectKey]);
      if (row === undefined) {
        throw new StowageError('VERSION_NOT_FOUND', {
          message:
            'The version that the object had is deleted for good; restore one that is left with ' +
            'RestoreVersion, or record the object anew.',
          metadata: { project: call.project, object_key: objectKey },
        });
      }
      const response = create(UndeleteObjectResponseSchema, { object: toObject(row) });
      return { response, changes: [changeOf('object.undeleted', row)] };
    },
  });
}
