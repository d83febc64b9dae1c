/**
 * Moves objects to other keys: their records are made there, with versions of their own, and the
 * sources are deleted, all in one commit.
 */

import { create } from '@bufbuild/protobuf';
import { v7 as uuid } from 'uuid';
import {
  type MoveObjectRequest,
  MoveObjectResponseSchema,
} from '../../gen/stowage/v1/storage_move_pb.js';
import { invalidField, StowageError } from '../errors.js';
import { fromMillis, toIsoMicros } from '../lib/timestamp.js';
import type { Call } from '../postgres/call.js';
import type { Transaction } from '../postgres/router-api.js';
import type { Statement } from '../postgres/statement.js';
import { type Change, type CommitResult, commit } from './commit.js';
import { changeOf, deleteLocked } from './delete-objects.js';
import { digestOf } from './digest.js';
import * as sql from './object-changes.sql.js';
import { compareKeys } from './object-keys.js';
import { toObject } from './object-row.js';
import { requireLive } from './preconditions.js';
import type { Store } from './store.js';

/** One object and its other key. */
export interface Move {
  readonly sourceKey: string;
  readonly destinationKey: string;
}

/** The rows of the keys of moves that are there, locked. */
export type LockedKeys = ReadonlyMap<string, sql.LockedKey>;

/** Locks what is there of both keys of each move, in key order. */
export async function lockMoves(
  transaction: Transaction,
  call: Call,
  moves: readonly Move[],
): Promise<LockedKeys> {
  const keys = moves.flatMap(({ sourceKey, destinationKey }) => [sourceKey, destinationKey]);
  const rows = await transaction.run(sql.lockKeys, [call.project, keys]);
  return new Map(rows.map((row) => [row.object_key, row]));
}

/**
 * Carries locked, live objects to keys where no live object is, and deletes them where they were.
 * Moves are sorted by destination; the statement says what is given of the objects there.
 * @throws StowageError ALREADY_EXISTS that names the first key in the way, also where another
 * transaction has made it since the lock.
 */
export async function carryLocked<Row extends sql.ChangedKey>(
  transaction: Transaction,
  call: Call,
  statement: Statement<Row & sql.CarriedRow>,
  moves: readonly Move[],
  locked: LockedKeys,
): Promise<{ readonly rows: readonly Row[]; readonly changes: readonly Change[] }> {
  const destinations = moves.map(({ destinationKey }) => destinationKey);
  refuseTaken(destinations.find((key) => locked.get(key)?.deleted === false));
  const sources = moves.map(({ sourceKey }) => sourceKey);
  const rows = await transaction.run(statement, [
    call.project,
    sources,
    destinations,
    moves.map(() => uuid()),
    moves.map(() => uuid()),
    toIsoMicros(fromMillis(Date.now())),
    call.principal,
  ]);
  const carried = new Set(rows.map((row) => row.object_key));
  refuseTaken(destinations.find((key) => !carried.has(key)));
  // A key that was made and deleted since the lock has a history that the statement did not see.
  if (rows.length > Number(rows[0]?.versions_made ?? 0n)) {
    throw new StowageError('OVERLOADED', { retryDelayMs: 100 });
  }
  const deleted = await deleteLocked(
    transaction,
    call,
    sql.deleteObjects,
    sources.toSorted(compareKeys),
  );
  const created = rows.map((row) => changeOf('object.created', row));
  const changes = [...deleted.changes, ...created].sort((left, right) =>
    compareKeys(left.objectKey, right.objectKey),
  );
  return { rows, changes };
}

function refuseTaken(destinationKey: string | undefined): void {
  if (destinationKey === undefined) return;
  throw new StowageError('ALREADY_EXISTS', {
    message:
      'A live object has the destination key; nothing of this call was moved: ' +
      'delete or move it first.',
    metadata: { object_key: destinationKey },
  });
}

/**
 * Moves one object.
 * @throws StowageError INVALID_REQUEST, OBJECT_NOT_FOUND, ALREADY_EXISTS, ETAG_MISMATCH,
 * REVISION_MISMATCH, and those of `commit`.
 */
export function moveObject(
  store: Store,
  call: Call,
  request: MoveObjectRequest,
): Promise<CommitResult<typeof MoveObjectResponseSchema>> {
  const { sourceKey, destinationKey, ifMatchEtag, ifRevision } = request;
  if (sourceKey === destinationKey) {
    throw invalidField('destination_key', 'is the source_key; name another one');
  }
  const move = { sourceKey, destinationKey };
  return commit(store, call, {
    action: 'MOVE_OBJECT',
    requestId: request.requestId,
    digest: () =>
      digestOf(sourceKey, destinationKey, ifMatchEtag ?? null, ifRevision?.toString() ?? null),
    projectMustExist: true,
    responseSchema: MoveObjectResponseSchema,
    write: async (transaction) => {
      const locked = await lockMoves(transaction, call, [move]);
      const expected = { objectKey: sourceKey, ifMatchEtag, ifRevision };
      requireLive(call, expected, locked.get(sourceKey));
      const moved = await carryLocked(transaction, call, sql.carryObject, [move], locked);
      const [object] = moved.rows.map(toObject);
      const response = create(MoveObjectResponseSchema, object === undefined ? {} : { object });
      return { response, changes: moved.changes };
    },
  });
}
