/** Compares two versions of an object. */

import { create, fromJson, type JsonValue } from '@bufbuild/protobuf';
import { ValueSchema } from '@bufbuild/protobuf/wkt';
import {
  DifferenceKind,
  type DiffVersionsRequest,
  type DiffVersionsResponse,
  DiffVersionsResponseSchema,
  VersionDifferenceSchema,
} from '../../gen/stowage/v1/version_read_pb.js';
import { StowageError } from '../errors.js';
import type { Call } from '../postgres/call.js';
import type { Store } from './store.js';
import { type Difference, differencesOf } from './version-difference.js';
import { readVersions } from './versions.js';

/**
 * Compares a version with another one, or with the latest, both of one state of the object.
 * @throws StowageError PROJECT_NOT_FOUND, OBJECT_NOT_FOUND, VERSION_NOT_FOUND.
 */
export async function diffVersions(
  store: Store,
  call: Call,
  { objectKey, versionId, otherVersionId }: DiffVersionsRequest,
): Promise<DiffVersionsResponse> {
  const asked = [versionId, otherVersionId];
  const [version, other] = await readVersions(store, call, objectKey, asked);
  if (version === undefined || other === undefined) throw new StowageError('INTERNAL');
  return create(DiffVersionsResponseSchema, {
    differences: differencesOf(version, other).map(toDifference),
    otherVersionId: other.version_id,
  });
}

function toDifference({ path, before, after }: Difference) {
  return create(VersionDifferenceSchema, {
    path,
    kind: kindOf(before, after),
    ...(before === undefined ? {} : { before: fromJson(ValueSchema, before) }),
    ...(after === undefined ? {} : { after: fromJson(ValueSchema, after) }),
  });
}

function kindOf(before: JsonValue | undefined, after: JsonValue | undefined): DifferenceKind {
  if (before === undefined) return DifferenceKind.ADDED;
  return after === undefined ? DifferenceKind.REMOVED : DifferenceKind.CHANGED;
}
