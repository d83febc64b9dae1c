/** Changes the comment and the tags of a version, by a field mask; its facts stay. */

import { create } from '@bufbuild/protobuf';
import type { ObjectVersion } from '../../gen/stowage/v1/version_pb.js';
import {
  type UpdateVersionRequest,
  UpdateVersionResponseSchema,
} from '../../gen/stowage/v1/version_write_pb.js';
import { invalidField, StowageError } from '../errors.js';
import { canonicalJson } from '../lib/canonical-json.js';
import type { Call } from '../postgres/call.js';
import type { Transaction } from '../postgres/router-api.js';
import { type CommitResult, commit, type Written } from './commit.js';
import { digestOf } from './digest.js';
import { type FieldMask, mergeMembers, readFieldMask, refuseMisread } from './field-mask.js';
import { lockForVersions, versionChange } from './latest-version.js';
import type { Store } from './store.js';
import { writeNotes } from './version-changes.sql.js';
import { versionMask, versionUpdatable } from './version-mask.js';
import { readLockedVersion, toVersion } from './versions.js';

type Notes = Pick<ObjectVersion, 'comment' | 'tags'>;
type VersionMask = FieldMask<keyof Notes>;

const TAGS_MAX = 50;

/**
 * Changes what the mask names; where that is just so already, nothing is written.
 * @throws StowageError INVALID_REQUEST, OBJECT_NOT_FOUND, VERSION_NOT_FOUND, REVISION_MISMATCH, and
 * those of `commit`.
 */
export function updateVersion(
  store: Store,
  call: Call,
  request: UpdateVersionRequest,
): Promise<CommitResult<typeof UpdateVersionResponseSchema>> {
  const { version, ifRevision } = request;
  if (version === undefined) throw invalidField('version', 'is required');
  if (version.versionId === '') throw invalidField('version.version_id', 'is required');
  const mask = readFieldMask(request.updateMask?.paths ?? [], versionMask);
  refuseMisread(versionMask, mask.members, version.tags);
  const { objectKey, versionId, comment, tags } = version;
  return commit(store, call, {
    action: 'UPDATE_VERSION',
    requestId: request.requestId,
    digest: () =>
      digestOf(
        [objectKey, versionId, comment, tags, ifRevision?.toString() ?? null],
        [...mask.columns].sort(),
        [...mask.members].sort(),
      ),
    projectMustExist: true,
    responseSchema: UpdateVersionResponseSchema,
    write: (transaction) => write(transaction, call, version, mask, ifRevision),
  });
}

async function write(
  transaction: Transaction,
  call: Call,
  given: ObjectVersion,
  mask: VersionMask,
  ifRevision: bigint | undefined,
): Promise<Written<typeof UpdateVersionResponseSchema>> {
  const { objectKey, versionId } = given;
  const object = await lockForVersions(transaction, call, objectKey);
  const before = await readLockedVersion(transaction, call, objectKey, versionId);
  if (ifRevision !== undefined && ifRevision !== before.revision) {
    throw new StowageError('REVISION_MISMATCH', {
      metadata: {
        object_key: objectKey,
        version_id: versionId,
        revision: String(before.revision),
      },
    });
  }
  const was = textsOf(before);
  const notes = changed(mask, given, before);
  const is = textsOf(notes);
  const changedFields = versionUpdatable.filter((column) => was[column] !== is[column]);
  if (changedFields.length === 0) {
    const version = toVersion(before);
    return { response: create(UpdateVersionResponseSchema, { version }), changes: [] };
  }
  requireBounds(notes);
  const values = [is.comment, is.tags, call.principal];
  await transaction.run(writeNotes, [call.project, objectKey, versionId, ...values]);
  const after = await readLockedVersion(transaction, call, objectKey, versionId);
  return {
    response: create(UpdateVersionResponseSchema, { version: toVersion(after) }),
    changes: [versionChange('version.updated', object, versionId, changedFields)],
  };
}

/** The notes with what the mask names. */
function changed(mask: VersionMask, given: Notes, before: Readonly<Notes>): Notes {
  const { columns } = mask;
  const tags = columns.has('tags') ? given.tags : mergeMembers(before.tags, given.tags, mask);
  return { comment: columns.has('comment') ? given.comment : before.comment, tags };
}

/** As they are compared and written. */
const textsOf = ({ comment, tags }: Readonly<Notes>) => ({ comment, tags: canonicalJson(tags) });

/** What is there and what is given each keep their bounds; only together can they be too many. */
function requireBounds({ tags }: Notes): void {
  const count = Object.keys(tags).length;
  if (count <= TAGS_MAX) return;
  throw invalidField('version.tags', `would be ${count} with what is there, at most ${TAGS_MAX}`);
}
