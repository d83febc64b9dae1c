/**
 * Deletes old versions for good, by number and by age. What is to go is found slice by slice, its
 * objects are locked in key order, it is asked again, and then removed, fed to the change feed and
 * audited in one commit.
 */

import { create } from '@bufbuild/protobuf';
import {
  type PruneVersionsRequest,
  type PruneVersionsResponse,
  PruneVersionsResponseSchema,
} from '../../gen/stowage/v1/version_prune_pb.js';
import { invalidField, StowageError } from '../errors.js';
import { toIsoMicros } from '../lib/timestamp.js';
import type { Call } from '../postgres/call.js';
import type { Transaction } from '../postgres/router-api.js';
import { type CommitResult, commit, type Written } from './commit.js';
import { digestOf } from './digest.js';
import { versionChange } from './latest-version.js';
import { lockKeys } from './object-changes.sql.js';
import { compareKeys, prefixCeiling } from './object-keys.js';
import { requireProject } from './objects.js';
import * as sql from './prune-versions.sql.js';
import type { Store } from './store.js';
import { openPosition, START, sealPosition } from './stream-position.js';
import { deleteVersions } from './version-changes.sql.js';

/** How much a call does. */
export interface PruneBounds {
  /** The most versions of one commit; at most 1000. */
  readonly versionsMax: number;
  /** Rows that one statement passes. */
  readonly sliceRows: number;
  /** Slices that a call walks through. */
  readonly slicesMax: number;
}

const BOUNDS: PruneBounds = { versionsMax: 1_000, sliceRows: 20_000, slicesMax: 10 };

/** What is let go, and below which keys. */
interface Criteria {
  /** The lowest key, and one above all. */
  readonly range: readonly [floor: string, ceiling: string];
  readonly keepNewest: number;
  /** Null: however old. */
  readonly createdBefore: string | null;
}

/** What a call asks for, as resume tokens and the request log tell it from another. */
const argsOf = ({ objectKey, prefix, keepNewest, createdBefore }: PruneVersionsRequest) => [
  objectKey,
  prefix,
  String(keepNewest),
  createdBefore === undefined ? '' : toIsoMicros(createdBefore),
];

/** @throws StowageError INVALID_REQUEST for a key and a prefix at once. */
function criteriaOf(request: PruneVersionsRequest): Criteria {
  const { objectKey, prefix, keepNewest, createdBefore } = request;
  if (objectKey !== '' && prefix !== '') throw invalidField('prefix', 'excludes object_key');
  return {
    // No key has U+0000, so nothing lies between a key and the key with U+0001.
    range: objectKey === '' ? [prefix, prefixCeiling(prefix)] : [objectKey, `${objectKey}\u0001`],
    keepNewest,
    createdBefore: createdBefore === undefined ? null : toIsoMicros(createdBefore),
  };
}

function paramsOf(
  call: Call,
  { range, keepNewest, createdBefore }: Criteria,
  { object_key, seq, place }: sql.VersionPlace,
  { sliceRows }: PruneBounds,
): unknown[] {
  const from = [object_key, seq, place];
  return [call.project, ...range, ...from, sliceRows, keepNewest, createdBefore];
}

/** Before all versions: no key is empty. */
const BEGINNING: sql.VersionPlace = { object_key: '', seq: 0n, place: 0n };

/**
 * Counts on the primary what calls would delete in all, and deletes nothing. Not of one moment:
 * what is recorded meanwhile may be counted or not.
 * @throws StowageError INVALID_REQUEST, PROJECT_NOT_FOUND; DEADLINE_EXCEEDED where there is too
 * much to count.
 */
export async function countPrunable(
  store: Store,
  call: Call,
  request: PruneVersionsRequest,
  bounds: PruneBounds = BOUNDS,
): Promise<PruneVersionsResponse> {
  const criteria = criteriaOf(request);
  // What the next call would find must be found, a project that was just made included.
  const strong: Call = { ...call, freshness: { kind: 'strong' } };
  await requireProject(store, strong);
  const response = create(PruneVersionsResponseSchema);
  let isLastCounted = false;
  for (let from: sql.VersionPlace | undefined = BEGINNING; from !== undefined; ) {
    const params = paramsOf(call, criteria, from, bounds);
    const [counted] = await store.router.run(sql.countOldVersions, params, strong);
    if (counted === undefined) break;
    const isCountedTwice: boolean = counted.is_first_counted && isLastCounted;
    response.versions += counted.versions;
    response.objects += counted.objects - (isCountedTwice ? 1n : 0n);
    response.bytes = least(response.bytes + BigInt(counted.bytes));
    const { object_key, seq, place } = counted;
    const isSameKey: boolean = object_key === from.object_key;
    isLastCounted = counted.is_last_counted || (isSameKey && isLastCounted);
    from =
      object_key === null || seq === null ? undefined : { object_key, seq, place: place ?? 0n };
  }
  return response;
}

/** Sizes are the callers' words: their sum may be more than a field holds. */
const least = (bytes: bigint): bigint => (bytes < 2n ** 63n ? bytes : 2n ** 63n - 1n);

/**
 * Deletes what one commit takes.
 * @throws StowageError INVALID_REQUEST, RESUME_TOKEN_MISMATCH, and those of `commit`.
 */
export async function pruneVersions(
  store: Store,
  call: Call,
  request: PruneVersionsRequest,
  bounds: PruneBounds = BOUNDS,
): Promise<CommitResult<typeof PruneVersionsResponseSchema>> {
  const criteria = criteriaOf(request);
  const { sealer } = store;
  const args = argsOf(request);
  const { lastKey } = await openPosition(sealer, call, args, request.resumeToken);
  const from = lastKey === '' ? BEGINNING : parsePlace(lastKey);
  return commit(store, call, {
    action: 'PRUNE_VERSIONS',
    requestId: request.requestId,
    digest: () => digestOf(...args, request.resumeToken),
    projectMustExist: true,
    responseSchema: PruneVersionsResponseSchema,
    write: async (transaction) => {
      const { found, end } = await findOld(transaction, call, criteria, from, bounds);
      const { response, changes } = await removeFound(transaction, call, criteria, found);
      if (end !== undefined) {
        response.more = true;
        // Sealed here, because it is a part of the answer that a repeat is given.
        const position = { ...START, lastKey: formatPlace(end) };
        response.resumeToken = await sealPosition(sealer, call, args, position);
      }
      return { response, changes };
    },
  });
}

/** No text of the database has a NUL. */
const formatPlace = ({ object_key, seq, place }: sql.VersionPlace): string =>
  [object_key, seq, place].join('\0');

function parsePlace(text: string): sql.VersionPlace {
  const [object_key = '', seq = '0', place = '0'] = text.split('\0');
  return { object_key, seq: BigInt(seq), place: BigInt(place) };
}

/** Walks on until a commit is full or the call has looked at enough; `end` is where it stopped. */
async function findOld(
  transaction: Transaction,
  call: Call,
  criteria: Criteria,
  start: sql.VersionPlace,
  bounds: PruneBounds,
): Promise<{ found: sql.ReleasedVersion[]; end: sql.VersionPlace | undefined }> {
  const found: sql.ReleasedVersion[] = [];
  let from = start;
  for (let slices = 0; slices < bounds.slicesMax; slices += 1) {
    const wanted = bounds.versionsMax - found.length;
    const params = [...paramsOf(call, criteria, from, bounds), wanted];
    const rows = await transaction.run(sql.findOldVersions, params);
    const released = rows.filter(({ is_released }) => is_released);
    found.push(...released);
    // Behind the last one of a full commit there may be more of the same slice.
    if (released.length === wanted) return { found, end: released.at(-1) };
    const last = rows.find(({ is_released }) => !is_released);
    if (last === undefined) return { found, end: undefined };
    from = last;
  }
  return { found, end: from };
}

async function removeFound(
  transaction: Transaction,
  call: Call,
  { keepNewest, createdBefore }: Criteria,
  found: readonly sql.ReleasedVersion[],
): Promise<Written<typeof PruneVersionsResponseSchema>> {
  const response = create(PruneVersionsResponseSchema);
  if (found.length === 0) return { response, changes: [] };
  const keys = [...new Set(found.map(({ object_key }) => object_key))].sort(compareKeys);
  await transaction.run(lockKeys, [call.project, keys]);
  const chosen = [found.map((row) => row.object_key), found.map((row) => row.version_id)];
  const params = [call.project, ...chosen, keepNewest, createdBefore];
  const doomed = await transaction.run(sql.confirmOldVersions, params);
  const doomedKeys = doomed.map(({ object_key }) => object_key);
  const doomedIds = doomed.map(({ version_id }) => version_id);
  const [{ deleted } = { deleted: 0n }] = await transaction.run(deleteVersions, [
    call.project,
    doomedKeys,
    doomedIds,
  ]);
  if (deleted !== BigInt(doomed.length)) throw new StowageError('INTERNAL');
  response.versions = deleted;
  response.objects = BigInt(new Set(doomedKeys).size);
  response.bytes = least(doomed.reduce((sum, { size }) => sum + size, 0n));
  const changes = doomed.map((row) => versionChange('version.deleted', row, row.version_id));
  return { response, changes };
}
