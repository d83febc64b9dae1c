/** Records a version of an object that is there: in its history alone, or as the latest. */

import { create } from '@bufbuild/protobuf';
import { v7 as uuid } from 'uuid';
import type { ObjectVersion } from '../../gen/stowage/v1/version_pb.js';
import {
  type RecordVersionRequest,
  RecordVersionResponseSchema,
} from '../../gen/stowage/v1/version_write_pb.js';
import { invalidField, StowageError } from '../errors.js';
import { canonicalJson, type Json, type JsonMap } from '../lib/canonical-json.js';
import { cutToMicros, fromMillis, type TimestampValue, toIsoMicros } from '../lib/timestamp.js';
import type { Call } from '../postgres/call.js';
import type { Transaction } from '../postgres/router-api.js';
import { type CommitResult, commit, type Written } from './commit.js';
import { digestOf } from './digest.js';
import { lockForVersions, type NewVersion, recordLocked } from './latest-version.js';
import type { ObjectRow } from './object-reads.sql.js';
import { objectNotFound } from './preconditions.js';
import type { Store } from './store.js';
import type { VersionRow } from './version-columns.js';
import { findLockedVersion, toVersion } from './versions.js';

/**
 * Records a version.
 * @throws StowageError INVALID_REQUEST, OBJECT_NOT_FOUND, ALREADY_EXISTS where the object has had
 * another version of the id, REVISION_MISMATCH, and those of `commit`.
 */
export function recordVersion(
  store: Store,
  call: Call,
  request: RecordVersionRequest,
): Promise<CommitResult<typeof RecordVersionResponseSchema>> {
  const { version, ifRevision } = request;
  if (version === undefined) throw invalidField('version', 'is required');
  return commit(store, call, {
    action: 'RECORD_VERSION',
    requestId: request.requestId,
    digest: () => digestOf(asked(version), ifRevision?.toString() ?? null),
    projectMustExist: true,
    responseSchema: RecordVersionResponseSchema,
    write: (transaction) => write(transaction, call, version, ifRevision),
  });
}

async function write(
  transaction: Transaction,
  call: Call,
  given: ObjectVersion,
  ifRevision: bigint | undefined,
): Promise<Written<typeof RecordVersionResponseSchema>> {
  const { objectKey } = given;
  const object = await lockForVersions(transaction, call, objectKey, ifRevision);
  if (object.deleted_at !== null) throw objectNotFound(call, { objectKey });
  const present =
    given.versionId === ''
      ? undefined
      : await findLockedVersion(transaction, call, objectKey, given.versionId);
  if (present === undefined) {
    const made = newVersion(given, object, call.principal);
    const { version, changes } = await recordLocked(transaction, call, object, made);
    return { response: create(RecordVersionResponseSchema, { version, created: true }), changes };
  }
  const differing = differingFacts(given, present);
  if (differing.length > 0) throw alreadyExists(given, differing);
  const version = toVersion(present);
  return { response: create(RecordVersionResponseSchema, { version }), changes: [] };
}

/** What is left out is as the object has it, made by the caller, of now. */
function newVersion(given: ObjectVersion, object: ObjectRow, principal: string): NewVersion {
  return {
    version_id: given.versionId || uuid(),
    size: given.size,
    etag: given.etag,
    content_type: given.contentType || object.content_type,
    last_modified: timeOf(given) ?? fromMillis(Date.now()),
    created_by: given.createdBy || principal,
    metadata: given.metadata ?? object.metadata,
    restored_from: '',
    comment: given.comment,
    tags: given.tags,
    isLatest: given.isLatest,
  };
}

/** The facts that are given and that the version with the id has otherwise. */
function differingFacts(given: ObjectVersion, present: VersionRow): string[] {
  const time = timeOf(given);
  const { metadata } = given;
  const isOther = {
    size: given.size !== present.size,
    etag: given.etag !== present.etag,
    content_type: given.contentType !== '' && given.contentType !== present.content_type,
    last_modified: time !== undefined && toIsoMicros(time) !== toIsoMicros(present.last_modified),
    created_by: given.createdBy !== '' && given.createdBy !== present.created_by,
    metadata: metadata !== undefined && text(metadata) !== text(present.metadata),
    delete_marker: present.delete_marker,
  };
  return Object.entries(isOther).flatMap(([fact, isDiffering]) => (isDiffering ? [fact] : []));
}

function alreadyExists(
  { objectKey, versionId }: ObjectVersion,
  differing: readonly string[],
): StowageError {
  return new StowageError('ALREADY_EXISTS', {
    message:
      `The object has a version of this id with another ${differing.join(', ')}; ` +
      'facts never change: record another version_id, or leave it out.',
    metadata: { object_key: objectKey, version_id: versionId },
  });
}

const text = (metadata: object) => canonicalJson(metadata as JsonMap);

const timeOf = ({ lastModified }: ObjectVersion): TimestampValue | undefined =>
  lastModified && cutToMicros(lastModified);

/** What is asked for, as the request log tells it from another. */
function asked(given: ObjectVersion): Json {
  const time = timeOf(given);
  return [
    given.objectKey,
    given.versionId,
    given.size.toString(),
    given.etag,
    given.contentType,
    time === undefined ? null : toIsoMicros(time),
    given.isLatest,
    given.createdBy,
    given.comment,
    given.tags,
    given.metadata === undefined ? null : (given.metadata as JsonMap),
  ];
}
