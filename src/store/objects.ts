/** Objects, read by their keys. */

import { create } from '@bufbuild/protobuf';
import type { StorageObject } from '../../gen/stowage/v1/storage_object_pb.js';
import {
  type BatchGetObjectsResponse,
  BatchGetObjectsResponseSchema,
} from '../../gen/stowage/v1/storage_read_pb.js';
import type { Call } from '../postgres/call.js';
import { projectNotFound } from './commit.js';
import { compareKeys } from './object-keys.js';
import { batchGetObjects, findProject, getObject } from './object-reads.sql.js';
import { toObject } from './object-row.js';
import { objectNotFound } from './preconditions.js';
import type { Store } from './store.js';

/**
 * Throws where there is no project. Asked only after a read that found nothing, as every read of
 * objects does in a project that is not there, so the common read needs no second statement.
 * @throws StowageError PROJECT_NOT_FOUND.
 */
export async function requireProject(store: Store, call: Call): Promise<void> {
  const [row] = await store.router.run(findProject, [call.project], call);
  if (!row?.found) throw projectNotFound(call.project);
}

/**
 * Reads one object.
 * @throws StowageError OBJECT_NOT_FOUND, PROJECT_NOT_FOUND.
 */
export async function readObject(
  store: Store,
  call: Call,
  objectKey: string,
  showDeleted: boolean,
): Promise<StorageObject> {
  const [row] = await store.router.run(getObject, [call.project, objectKey], call);
  if (row !== undefined && (showDeleted || row.deleted_at === null)) return toObject(row);
  await requireProject(store, call);
  throw objectNotFound(call, { objectKey });
}

/** Reads some objects of one state; what does not fit into 1 MiB is named. */
export async function readObjects(
  store: Store,
  call: Call,
  objectKeys: readonly string[],
  showDeleted: boolean,
): Promise<BatchGetObjectsResponse> {
  const rows = await store.router.run(batchGetObjects, [call.project, objectKeys], call);
  if (rows.length === 0) await requireProject(store, call);
  const cut = rows.length < Number(rows[0]?.page_rows ?? 0n);
  const lastKey = rows.at(-1)?.object_key ?? '';
  const found = new Map(rows.map((row) => [row.object_key, row]));
  const response = create(BatchGetObjectsResponseSchema);
  for (const key of objectKeys) {
    const row = found.get(key);
    if (row !== undefined && (showDeleted || row.deleted_at === null)) {
      response.objects.push(toObject(row));
    } else if (cut && compareKeys(key, lastKey) > 0) {
      response.remainingObjectKeys.push(key);
    } else {
      response.missingObjectKeys.push(key);
    }
  }
  return response;
}
