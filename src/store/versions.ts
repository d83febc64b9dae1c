/** Versions, read by their ids; what must be so of one, and the errors where it is not. */

import { create } from '@bufbuild/protobuf';
import { type ObjectVersion, ObjectVersionSchema } from '../../gen/stowage/v1/version_pb.js';
import { StowageError } from '../errors.js';
import type { Call } from '../postgres/call.js';
import type { Transaction } from '../postgres/router-api.js';
import { timestampMessage } from './messages.js';
import { metadataField } from './object-row.js';
import { requireProject } from './objects.js';
import { objectNotFound } from './preconditions.js';
import type { Store } from './store.js';
import type { VersionRow } from './version-columns.js';
import { type AskedVersion, getVersions } from './version-reads.sql.js';

/** The message for a row. */
export function toVersion(row: VersionRow): ObjectVersion {
  return create(ObjectVersionSchema, {
    objectKey: row.object_key,
    versionId: row.version_id,
    size: row.size,
    etag: row.etag,
    contentType: row.content_type,
    lastModified: timestampMessage(row.last_modified),
    isLatest: row.is_latest,
    createdBy: row.created_by,
    comment: row.comment,
    tags: { ...row.tags },
    ...metadataField(row.metadata),
    deleteMarker: row.delete_marker,
    restoredFrom: row.restored_from,
    createdAt: timestampMessage(row.created_at),
    revision: row.revision,
  });
}

/**
 * Reads versions of one object at one state of it, in the order of the ids; an empty id is that of
 * the latest.
 * @throws StowageError PROJECT_NOT_FOUND, OBJECT_NOT_FOUND, VERSION_NOT_FOUND that names the id.
 */
export async function readVersions(
  store: Store,
  call: Call,
  objectKey: string,
  versionIds: readonly string[],
): Promise<VersionRow[]> {
  const rows = await store.router.run(getVersions, [call.project, objectKey, versionIds], call);
  if (rows.length === 0) {
    await requireProject(store, call);
    throw objectNotFound(call, { objectKey });
  }
  return rows.map((row, at) => requireVersion(call, objectKey, versionIds[at] ?? '', row));
}

/**
 * Reads one version; an empty id is that of the latest.
 * @throws StowageError PROJECT_NOT_FOUND, OBJECT_NOT_FOUND, VERSION_NOT_FOUND.
 */
export async function readVersion(
  store: Store,
  call: Call,
  objectKey: string,
  versionId: string,
): Promise<ObjectVersion> {
  const [row] = await readVersions(store, call, objectKey, [versionId]);
  if (row === undefined) throw new StowageError('INTERNAL');
  return toVersion(row);
}

/**
 * Reads one version of an object that the transaction has locked.
 * @throws StowageError VERSION_NOT_FOUND.
 */
export async function readLockedVersion(
  transaction: Transaction,
  call: Call,
  objectKey: string,
  versionId: string,
): Promise<VersionRow> {
  const row = await findLockedVersion(transaction, call, objectKey, versionId);
  return requireVersion(call, objectKey, versionId, row);
}

/** The same, undefined where the object has no such version. */
export async function findLockedVersion(
  transaction: Transaction,
  call: Call,
  objectKey: string,
  versionId: string,
): Promise<VersionRow | undefined> {
  const params = [call.project, objectKey, [versionId]];
  const [row] = await transaction.run(getVersions, params);
  return row === undefined || row.object_key === null ? undefined : row;
}

function requireVersion(
  call: Call,
  objectKey: string,
  versionId: string,
  row: AskedVersion | undefined,
): VersionRow {
  if (row !== undefined && row.object_key !== null) return row;
  throw new StowageError('VERSION_NOT_FOUND', {
    metadata: { project: call.project, object_key: objectKey, version_id: versionId },
  });
}
