/** Changes what is known of an object beside its content, by a field mask. */

import { create, type JsonObject } from '@bufbuild/protobuf';
import type { StorageObject } from '../../gen/stowage/v1/storage_object_pb.js';
import {
  type UpdateObjectRequest,
  UpdateObjectResponseSchema,
} from '../../gen/stowage/v1/storage_update_pb.js';
import { invalidField } from '../errors.js';
import { canonicalJson, type JsonMap } from '../lib/canonical-json.js';
import { structBytesMax } from '../lib/struct-bounds.js';
import { type TimestampValue, toIsoMicros } from '../lib/timestamp.js';
import type { Call } from '../postgres/call.js';
import type { Transaction } from '../postgres/router-api.js';
import { type CommitResult, commit, type Written } from './commit.js';
import { digestOf } from './digest.js';
import { mergeMembers, readFieldMask, refuseMisread } from './field-mask.js';
import * as sql from './object-changes.sql.js';
import type { ObjectRow } from './object-reads.sql.js';
import { toObject } from './object-row.js';
import { objectNotFound, requireLive } from './preconditions.js';
import type { Store } from './store.js';
import { objectMask, type Updatable, type UpdateMask, updatable } from './update-mask.js';

/** Each column as the text in which it is compared and sent. */
type Values = Readonly<Record<Updatable, string | null>>;

/** An update that has been read. */
interface Update {
  readonly request: UpdateObjectRequest;
  readonly objectKey: string;
  readonly mask: UpdateMask;
  readonly given: Values;
  readonly metadata: JsonObject;
}

/**
 * Changes what the mask names; where that is just so already, nothing is written.
 * @throws StowageError INVALID_REQUEST, OBJECT_NOT_FOUND, ETAG_MISMATCH, REVISION_MISMATCH, and
 * those of `commit`.
 */
export function updateObject(
  store: Store,
  call: Call,
  request: UpdateObjectRequest,
): Promise<CommitResult<typeof UpdateObjectResponseSchema>> {
  const update = readUpdate(request);
  const { objectKey, mask, given } = update;
  return commit(store, call, {
    action: 'UPDATE_OBJECT',
    requestId: request.requestId,
    digest: () =>
      digestOf(
        [objectKey, given, request.ifMatchEtag ?? null, request.ifRevision?.toString() ?? null],
        [...mask.columns].sort(),
        [...mask.members].sort(),
      ),
    projectMustExist: true,
    responseSchema: UpdateObjectResponseSchema,
    write: (transaction) => write(transaction, call, update),
  });
}

function readUpdate(request: UpdateObjectRequest): Update {
  const { object } = request;
  if (object === undefined) throw invalidField('object', 'is required');
  const mask = readFieldMask(request.updateMask?.paths ?? [], objectMask);
  if (mask.columns.has('storage_backend') && object.storageBackend === '') {
    throw invalidField('object.storage_backend', 'is required where update_mask names it');
  }
  const metadata = object.metadata ?? {};
  refuseMisread(objectMask, mask.members, metadata);
  return { request, objectKey: object.objectKey, mask, given: givenValues(object), metadata };
}

async function write(
  transaction: Transaction,
  call: Call,
  { request, objectKey, mask, given, metadata }: Update,
): Promise<Written<typeof UpdateObjectResponseSchema>> {
  const [found] = await transaction.run(sql.lockObject, [call.project, objectKey]);
  const { ifMatchEtag, ifRevision } = request;
  const expected = { objectKey, ifMatchEtag, ifRevision };
  const deleted = found?.deleted_at !== null;
  const locked = requireLive(call, expected, found && { ...found, deleted });
  const before = presentValues(locked);
  const after = {
    ...before,
    ...changesOf(mask, given, mergeMembers(locked.metadata, metadata, mask) as JsonMap),
  };
  const changedFields = updatable.filter((column) => before[column] !== after[column]);
  if (changedFields.length === 0) return written(locked, []);
  const isMetadataKept = before.metadata === after.metadata;
  if (!isMetadataKept) requireBounds(after.metadata);
  const [row] = await transaction.run(sql.updateObject, [
    call.project,
    objectKey,
    after.content_type,
    after.storage_backend,
    after.storage_class,
    isMetadataKept ? null : after.metadata,
    after.owner,
    after.purge_at,
  ]);
  if (row === undefined) throw objectNotFound(call, expected);
  return written(row, changedFields);
}

function written(
  row: ObjectRow,
  changedFields: readonly Updatable[],
): Written<typeof UpdateObjectResponseSchema> {
  const response = create(UpdateObjectResponseSchema, { object: toObject(row) });
  if (changedFields.length === 0) return { response, changes: [] };
  const { object_key: objectKey, revision, version_id: versionId, owner } = row;
  const kind = 'object.updated';
  return { response, changes: [{ kind, objectKey, revision, versionId, owner, changedFields }] };
}

const timeText = (time: TimestampValue | null | undefined) => (time ? toIsoMicros(time) : null);

function givenValues(object: StorageObject): Values {
  return {
    content_type: object.contentType || 'application/octet-stream',
    storage_backend: object.storageBackend,
    storage_class: object.storageClass,
    metadata: canonicalJson((object.metadata ?? {}) as JsonMap),
    owner: object.owner,
    purge_at: timeText(object.purgeAt),
  };
}

function presentValues(row: ObjectRow): Values {
  return {
    content_type: row.content_type,
    storage_backend: row.storage_backend,
    storage_class: row.storage_class,
    metadata: canonicalJson(row.metadata as JsonMap),
    owner: row.owner,
    purge_at: timeText(row.purge_at),
  };
}

function changesOf(mask: UpdateMask, given: Values, members: JsonMap): Partial<Values> {
  const named = updatable.filter((column) => mask.columns.has(column));
  const changes = Object.fromEntries(named.map((column) => [column, given[column]]));
  return mask.members.size === 0 ? changes : { ...changes, metadata: canonicalJson(members) };
}

/** What is there and what is given each keep their bounds; only together can they be too large. */
function requireBounds(metadata: string | null): void {
  if (Buffer.byteLength(metadata ?? '') <= structBytesMax) return;
  const rule = `with what is there it would be over ${structBytesMax} bytes as JSON`;
  throw invalidField('object.metadata', rule);
}
