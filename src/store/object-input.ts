/** Objects as callers give them, brought to the form in which they are compared and written. */

import { createHash } from 'node:crypto';
import type { StorageObject } from '../../gen/stowage/v1/storage_object_pb.js';
import { invalidField, StowageError } from '../errors.js';
import { canonicalJson, type JsonMap } from '../lib/canonical-json.js';
import { cutToMicros, type TimestampValue, toIsoMicros } from '../lib/timestamp.js';
import { compareKeys } from './object-keys.js';

/** What must be so for an object to be recorded; at most one of them is set. */
export interface Preconditions {
  readonly ifAbsent?: boolean | undefined;
  readonly ifMatchEtag?: string | undefined;
  readonly ifRevision?: bigint | undefined;
}

/** One object to record. */
export interface ObjectInput extends Preconditions {
  /** How errors name it, such as `requests[3].object`. */
  readonly path: string;
  readonly objectKey: string;
  readonly size: bigint;
  readonly contentType: string;
  readonly etag: string;
  readonly lastModified: TimestampValue | undefined;
  readonly versionId: string;
  readonly storageBackend: string;
  readonly storageClass: string;
  /** Canonical JSON text. */
  readonly metadata: string;
  readonly owner: string;
  readonly purgeAt: TimestampValue | undefined;
}

/**
 * Brings a validated object to the form of this room.
 * @throws StowageError INVALID_REQUEST without a backend, which only an update may leave out.
 */
export function objectInput(
  object: StorageObject,
  path: string,
  preconditions: Preconditions = {},
): ObjectInput {
  if (object.storageBackend === '') throw invalidField(`${path}.storage_backend`, 'is required');
  return {
    path,
    ifAbsent: preconditions.ifAbsent,
    ifMatchEtag: preconditions.ifMatchEtag,
    ifRevision: preconditions.ifRevision,
    objectKey: object.objectKey,
    size: object.size,
    contentType: object.contentType || 'application/octet-stream',
    etag: object.etag,
    lastModified: object.lastModified && cutToMicros(object.lastModified),
    versionId: object.versionId,
    storageBackend: object.storageBackend,
    storageClass: object.storageClass,
    metadata: canonicalJson((object.metadata ?? {}) as JsonMap),
    owner: object.owner,
    purgeAt: object.purgeAt && cutToMicros(object.purgeAt),
  };
}

/**
 * The inputs in key order, which is the order of locks.
 * @throws StowageError INVALID_REQUEST when a key is there twice: one commit has one state a key.
 */
export function sortInputs<Input extends Pick<ObjectInput, 'path' | 'objectKey'>>(
  inputs: readonly Input[],
): Input[] {
  const sorted = [...inputs].sort((left, right) => compareKeys(left.objectKey, right.objectKey));
  const violations = sorted
    .filter((input, at) => input.objectKey === sorted[at - 1]?.objectKey)
    .map(({ path }) => ({
      field: `${path}.object_key`,
      description: 'stands twice in one batch; send each key once a batch',
    }));
  if (violations.length > 0) throw new StowageError('INVALID_REQUEST', { violations });
  return sorted;
}

/** SHA-256 over everything a batch asks for, in request order. */
export function digestInputs(inputs: readonly ObjectInput[]): Uint8Array {
  const hash = createHash('sha256');
  for (const input of inputs) {
    hash.update(
      JSON.stringify([
        ...columnsOf(input),
        input.ifAbsent ?? false,
        input.ifMatchEtag ?? null,
        input.ifRevision?.toString() ?? null,
      ]),
    );
  }
  return hash.digest();
}

/** The values of one object in the order of the parameters of `lock-objects`. */
function columnsOf(input: ObjectInput): (string | null)[] {
  return [
    input.objectKey,
    input.size.toString(),
    input.contentType,
    input.etag,
    input.lastModified === undefined ? null : toIsoMicros(input.lastModified),
    input.versionId,
    input.storageBackend,
    input.storageClass,
    input.metadata,
    input.owner,
    input.purgeAt === undefined ? null : toIsoMicros(input.purgeAt),
  ];
}

/** One array a column, in the order of the parameters of `lock-objects` from `$2`. */
export function columnArrays(inputs: readonly ObjectInput[]): (string | null)[][] {
  const arrays: (string | null)[][] = Array.from({ length: 11 }, () => []);
  for (const input of inputs) {
    columnsOf(input).forEach((value, at) => {
      arrays[at]?.push(value);
    });
  }
  return arrays;
}
