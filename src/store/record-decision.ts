/** What recording an object comes to, given what is there: pure, so tested without a database. */

import { v7 as uuid } from 'uuid';
import { RecordOutcome } from '../../gen/stowage/v1/storage_record_pb.js';
import { invalidField, StowageError } from '../errors.js';
import type { TimestampValue } from '../lib/timestamp.js';
import type { ObjectInput } from './object-input.js';
import type { LockedObject } from './objects.sql.js';

/** One object with everything that its row will have. */
export interface Decision {
  readonly input: ObjectInput;
  readonly outcome: RecordOutcome;
  readonly id: string;
  readonly versionId: string;
  readonly lastModified: TimestampValue;
  readonly createdAt: TimestampValue;
  readonly revision: bigint;
  /** Columns that change; empty for a new object. */
  readonly changedFields: readonly string[];
}

/**
 * Decides on one object.
 * @throws StowageError ALREADY_EXISTS, ETAG_MISMATCH or REVISION_MISMATCH by its precondition;
 * INVALID_REQUEST for a live object whose latest version would be a delete marker.
 */
export function decide(
  input: ObjectInput,
  locked: LockedObject | undefined,
  now: TimestampValue,
): Decision {
  const live = locked?.deleted === false ? locked : undefined;
  checkPreconditions(input, live);
  if (locked?.deleted && locked.version_id === input.versionId) {
    const rule = 'is that of the delete marker; leave it out, or name that of the content';
    throw invalidField(`${input.path}.version_id`, rule);
  }
  const changedFields = live?.changed_fields ?? [];
  if (live !== undefined && changedFields.length === 0) {
    return {
      input,
      outcome: RecordOutcome.UNCHANGED,
      id: live.id,
      versionId: live.version_id,
      lastModified: live.last_modified,
      createdAt: live.created_at,
      revision: live.revision,
      changedFields,
    };
  }
  const sameContent = live !== undefined && live.etag === input.etag;
  return {
    input,
    outcome: live === undefined ? RecordOutcome.CREATED : RecordOutcome.UPDATED,
    id: locked?.id ?? uuid(),
    versionId: input.versionId || (sameContent ? live.version_id : uuid()),
    lastModified: input.lastModified ?? (sameContent ? live.last_modified : now),
    createdAt: locked?.created_at ?? now,
    revision: (locked?.revision ?? 0n) + 1n,
    changedFields,
  };
}

function checkPreconditions(input: ObjectInput, live: LockedObject | undefined): void {
  if (input.ifAbsent && live !== undefined) {
    throw failed('ALREADY_EXISTS', input, {});
  }
  if (input.ifMatchEtag !== undefined && live?.etag !== input.ifMatchEtag) {
    throw failed('ETAG_MISMATCH', input, live === undefined ? {} : { etag: live.etag });
  }
  if (input.ifRevision !== undefined && live?.revision !== input.ifRevision) {
    throw failed(
      'REVISION_MISMATCH',
      input,
      live === undefined ? {} : { revision: String(live.revision) },
    );
  }
}

/** The error of a precondition, with what is there in its metadata. */
function failed(
  reason: 'ALREADY_EXISTS' | 'ETAG_MISMATCH' | 'REVISION_MISMATCH',
  input: ObjectInput,
  present: Record<string, string>,
): StowageError {
  return new StowageError(reason, {
    metadata: { object_key: input.objectKey, field: input.path, ...present },
  });
}
