/** What must be so of an object before it is read or changed, and the errors where it is not. */

import { StowageError } from '../errors.js';
import type { Call } from '../postgres/call.js';
import type { LockedKey } from './object-changes.sql.js';

/** Which object is meant, and what must be so of it. */
export interface Expected {
  readonly objectKey: string;
  readonly ifMatchEtag?: string | undefined;
  readonly ifRevision?: bigint | undefined;
  /** How errors name it in a batch, such as `requests[3]`. */
  readonly path?: string;
}

/** The error for an object that is not there. */
export function objectNotFound(call: Call, expected: Expected): StowageError {
  return new StowageError('OBJECT_NOT_FOUND', {
    metadata: { project: call.project, ...factsOf(expected) },
  });
}

/**
 * A locked object, which lives and is as it must be.
 * @throws StowageError OBJECT_NOT_FOUND, ETAG_MISMATCH, REVISION_MISMATCH.
 */
export function requireLive<Row extends Omit<LockedKey, 'object_key'>>(
  call: Call,
  expected: Expected,
  locked: Row | undefined,
): Row {
  if (locked === undefined || locked.deleted) throw objectNotFound(call, expected);
  const { etag } = locked;
  if (expected.ifMatchEtag !== undefined && expected.ifMatchEtag !== etag) {
    throw new StowageError('ETAG_MISMATCH', { metadata: { ...factsOf(expected), etag } });
  }
  requireRevision(expected, locked);
  return locked;
}

/** @throws StowageError REVISION_MISMATCH where a locked row has another revision. */
export function requireRevision(expected: Expected, locked: Pick<LockedKey, 'revision'>): void {
  if (expected.ifRevision === undefined || expected.ifRevision === locked.revision) return;
  const revision = String(locked.revision);
  throw new StowageError('REVISION_MISMATCH', { metadata: { ...factsOf(expected), revision } });
}

function factsOf({ objectKey, path }: Expected): Record<string, string> {
  return { object_key: objectKey, ...(path === undefined ? {} : { field: path }) };
}
