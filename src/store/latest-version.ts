/** Which version is the latest: the object's row says so, and takes what the version has. */

import type { ObjectVersion } from '../../gen/stowage/v1/version_pb.js';
import { StowageError } from '../errors.js';
import { canonicalJson, type JsonMap } from '../lib/canonical-json.js';
import { toIsoMicros } from '../lib/timestamp.js';
import type { Call } from '../postgres/call.js';
import type { Transaction } from '../postgres/router-api.js';
import type { Change } from './commit.js';
import { lockObject } from './object-changes.sql.js';
import type { ObjectRow } from './object-reads.sql.js';
import { objectNotFound, requireRevision } from './preconditions.js';
import { insertVersion, makeLatest } from './version-changes.sql.js';
import type { VersionRow } from './version-columns.js';
import { readLockedVersion, toVersion } from './versions.js';

/**
 * Locks an object, deleted or not: first of every write of its versions, so that their order and
 * which is the latest are one.
 * @throws StowageError OBJECT_NOT_FOUND, REVISION_MISMATCH.
 */
export async function lockForVersions(
  transaction: Transaction,
  call: Call,
  objectKey: string,
  ifRevision?: bigint,
): Promise<ObjectRow> {
  const [object] = await transaction.run(lockObject, [call.project, objectKey]);
  if (object === undefined) throw objectNotFound(call, { objectKey });
  requireRevision({ objectKey, ifRevision }, object);
  return object;
}

/** A version to record; the rest of its row is the service's. */
export interface NewVersion
  extends Pick<
    VersionRow,
    | 'version_id'
    | 'size'
    | 'etag'
    | 'content_type'
    | 'last_modified'
    | 'created_by'
    | 'metadata'
    | 'restored_from'
    | 'comment'
    | 'tags'
  > {
  /** Whether it becomes the latest. */
  readonly isLatest: boolean;
}

/** What recording a version came to. */
export interface RecordedVersion {
  readonly version: ObjectVersion;
  readonly changes: readonly Change[];
}

/** Records a version of a locked object. */
export async function recordLocked(
  transaction: Transaction,
  call: Call,
  object: ObjectRow,
  version: NewVersion,
): Promise<RecordedVersion> {
  const { version_id: versionId } = version;
  await transaction.run(insertVersion, [
    call.project,
    object.object_key,
    versionId,
    version.size,
    version.etag,
    version.content_type,
    version.last_modified,
    version.created_by,
    canonicalJson(version.metadata as JsonMap),
    version.restored_from,
    version.comment,
    canonicalJson(version.tags),
  ]);
  const change = version.isLatest
    ? await adoptVersion(transaction, call, object, versionId)
    : versionChange('version.created', object, versionId);
  const row = await readLockedVersion(transaction, call, object.object_key, versionId);
  return { version: toVersion(row), changes: [change] };
}

/** A change of a version that leaves its object as it is. */
export function versionChange(
  kind: 'version.created' | 'version.updated' | 'version.deleted',
  { object_key: objectKey, revision, owner }: Pick<ObjectRow, 'object_key' | 'revision' | 'owner'>,
  versionId: string,
  changedFields: readonly string[] = [],
): Change {
  return { kind, objectKey, revision, versionId, owner, changedFields };
}

/** Makes a version the latest of a locked object. */
export async function adoptVersion(
  transaction: Transaction,
  call: Call,
  before: ObjectRow,
  versionId: string,
): Promise<Change> {
  const { object_key: objectKey } = before;
  const [after] = await transaction.run(makeLatest, [call.project, objectKey, versionId]);
  if (after === undefined) throw new StowageError('INTERNAL');
  const { revision, owner } = after;
  const kind = kindOf(before, after);
  const changedFields = kind === 'object.deleted' ? [] : changedFieldsOf(before, after);
  return { kind, objectKey, revision, versionId, owner, changedFields };
}

/** A marker behind a marker is a deletion again: whoever follows the feed looks at the last. */
function kindOf(before: ObjectRow, after: ObjectRow): Change['kind'] {
  if (after.deleted_at !== null) return 'object.deleted';
  return before.deleted_at === null ? 'object.updated' : 'object.undeleted';
}

const adopted = [
  'size',
  'content_type',
  'etag',
  'last_modified',
  'version_id',
  'metadata',
] as const satisfies readonly (keyof ObjectRow)[];

function changedFieldsOf(before: ObjectRow, after: ObjectRow): string[] {
  const texts = (row: ObjectRow) => ({
    ...row,
    last_modified: toIsoMicros(row.last_modified),
    metadata: canonicalJson(row.metadata as JsonMap),
  });
  const [was, is] = [texts(before), texts(after)];
  return adopted.filter((column) => was[column] !== is[column]);
}
