/**
 * Removes objects with their versions for good. What is to go is chosen, locked in key order and
 * asked again, then removed, fed to the change feed and audited in one commit: so many objects at a
 * time that no other writer waits for long.
 */

import { create } from '@bufbuild/protobuf';
import {
  type PurgeObjectsRequest,
  type PurgeObjectsResponse,
  PurgeObjectsResponseSchema,
} from '../../gen/stowage/v1/storage_purge_pb.js';
import type { Json } from '../lib/canonical-json.js';
import { toIsoMicros } from '../lib/timestamp.js';
import type { Call } from '../postgres/call.js';
import type { Transaction } from '../postgres/router-api.js';
import type { Statement } from '../postgres/statement.js';
import { type Change, type CommitResult, commit, type Written } from './commit.js';
import { digestOf } from './digest.js';
import { compareKeys } from './object-keys.js';
import { requireProject } from './objects.js';
import { criteriaParams, type PurgeCriteria, selectionsOf } from './purge-criteria.js';
import { type DoomedObject, lockDoomed, purgeDoomed } from './purge-objects.sql.js';
import type { Store } from './store.js';

/** The most objects of one commit. */
const OBJECTS_MAX = 1000;

type Purged = Written<typeof PurgeObjectsResponseSchema>;

/**
 * Purges up to 1000 objects.
 * @throws StowageError PROJECT_NOT_FOUND, and those of `commit`.
 */
export function purgeObjects(
  store: Store,
  call: Call,
  request: PurgeObjectsRequest,
): Promise<CommitResult<typeof PurgeObjectsResponseSchema>> {
  return commit(store, call, {
    action: 'PURGE_OBJECT',
    requestId: request.requestId,
    digest: () => digestOf(asked(request)),
    projectMustExist: true,
    responseSchema: PurgeObjectsResponseSchema,
    write: (transaction) => purgeMatching(transaction, call.project, request, lockDoomed),
  });
}

/**
 * Counts on the primary what calls would remove in all, and removes nothing. Not of one moment:
 * what is deleted meanwhile may be counted twice, what is taken back not at all.
 * @throws StowageError PROJECT_NOT_FOUND; DEADLINE_EXCEEDED where there is too much to count.
 */
export async function countPurgeable(
  store: Store,
  call: Call,
  criteria: PurgeCriteria,
): Promise<PurgeObjectsResponse> {
  // What the next call would find must be found, a project that was just made included.
  const strong: Call = { ...call, freshness: { kind: 'strong' } };
  await requireProject(store, strong);
  const response = create(PurgeObjectsResponseSchema);
  for (const { count } of selectionsOf(criteria)) {
    const [row] = await store.router.run(count, criteriaParams(call.project, criteria), strong);
    response.objects += row?.objects ?? 0n;
    response.versions += row?.versions ?? 0n;
  }
  return response;
}

/** Purges inside a transaction what one commit takes; `lock` says what becomes of locked rows. */
export async function purgeMatching(
  transaction: Transaction,
  project: string,
  criteria: PurgeCriteria,
  lock: Statement<DoomedObject>,
): Promise<Purged> {
  const params = criteriaParams(project, criteria);
  const chosen: string[] = [];
  for (const { choose } of selectionsOf(criteria)) {
    // One more than is taken tells whether there are more.
    const wanted = OBJECTS_MAX + 1 - chosen.length;
    if (wanted === 0) break;
    const rows = await transaction.run(choose, [...params, wanted]);
    chosen.push(...rows.map((row) => row.object_key));
  }
  const keys = chosen.sort(compareKeys).slice(0, OBJECTS_MAX);
  const locked = keys.length === 0 ? [] : await transaction.run(lock, [...params, keys]);
  const purged = await removeLocked(transaction, project, locked);
  return {
    response: create(PurgeObjectsResponseSchema, {
      objects: BigInt(purged.size),
      versions: [...purged.values()].reduce((sum, versions) => sum + versions, 0n),
      more: chosen.length > OBJECTS_MAX || purged.size < locked.length,
    }),
    changes: locked.filter(({ object_key }) => purged.has(object_key)).map(changeOf),
  };
}

/** How many versions went with each key. */
async function removeLocked(
  transaction: Transaction,
  project: string,
  locked: readonly DoomedObject[],
): Promise<ReadonlyMap<string, bigint>> {
  if (locked.length === 0) return new Map();
  const keys = locked.map((row) => row.object_key);
  const rows = await transaction.run(purgeDoomed, [project, keys]);
  return new Map(rows.map((row) => [row.object_key, row.versions]));
}

/** The last change of a key: recorded anew it begins at revision 1 again, with another id. */
function changeOf({ object_key, revision, owner }: DoomedObject): Change {
  return {
    kind: 'object.purged',
    objectKey: object_key,
    revision: revision + 1n,
    versionId: '',
    owner,
    changedFields: [],
  };
}

/** What a purge asks for, as the request log tells it from another. */
function asked({ prefix, storageBackend, deletedBefore, purgeDue, force }: PurgeCriteria): Json {
  const before = deletedBefore === undefined ? null : toIsoMicros(deletedBefore);
  return [prefix, storageBackend, before, purgeDue, force];
}
