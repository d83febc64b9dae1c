/** Moves everything under a prefix to another one: a commit a call, which says how to go on. */

import { create } from '@bufbuild/protobuf';
import {
  type MovePrefixRequest,
  MovePrefixResponseSchema,
} from '../../gen/stowage/v1/storage_move_pb.js';
import { invalidField, StowageError } from '../errors.js';
import type { Call } from '../postgres/call.js';
import type { Transaction } from '../postgres/router-api.js';
import { type CommitResult, commit, type Written } from './commit.js';
import { digestOf } from './digest.js';
import { carryLocked, lockMoves, type Move } from './move-objects.js';
import { carryObjects, listKeys } from './object-changes.sql.js';
import { prefixCeiling } from './object-keys.js';
import type { Store } from './store.js';
import { openPosition, START, sealPosition } from './stream-position.js';

/** Objects that one commit moves. */
const MOVES_MAX = 1_000;

/** The longest key, in bytes. */
const KEY_BYTES_MAX = 1_024;

/**
 * Moves the objects under a prefix, 1000 a call.
 * @throws StowageError INVALID_REQUEST, RESUME_TOKEN_MISMATCH, OBJECT_NOT_FOUND where nothing is
 * there at the beginning, ALREADY_EXISTS, and those of `commit`.
 */
export async function movePrefix(
  store: Store,
  call: Call,
  request: MovePrefixRequest,
): Promise<CommitResult<typeof MovePrefixResponseSchema>> {
  const { sourcePrefix, destinationPrefix, resumeToken } = request;
  if (sourcePrefix.startsWith(destinationPrefix) || destinationPrefix.startsWith(sourcePrefix)) {
    // An object could be moved under the prefix again, and be met again.
    const rule = 'must not begin with source_prefix, nor source_prefix with it';
    throw invalidField('destination_prefix', rule);
  }
  const args = [sourcePrefix, destinationPrefix];
  const { lastKey } = await openPosition(store.sealer, call, args, resumeToken);
  return commit(store, call, {
    action: 'MOVE_OBJECT',
    requestId: request.requestId,
    digest: () => digestOf(sourcePrefix, destinationPrefix, resumeToken),
    projectMustExist: true,
    responseSchema: MovePrefixResponseSchema,
    write: async (transaction) => {
      const { moved, nextKey, changes } = await moveSome(transaction, call, request, lastKey);
      // Sealed here, because it is a part of the answer that a repeat is given.
      const position = { ...START, lastKey: nextKey };
      const token = nextKey === '' ? '' : await sealPosition(store.sealer, call, args, position);
      const response = { moved: BigInt(moved), resumeToken: token };
      return { response: create(MovePrefixResponseSchema, response), changes };
    },
  });
}

/** What one call moved. */
interface Moved extends Pick<Written<typeof MovePrefixResponseSchema>, 'changes'> {
  readonly moved: number;
  /** Behind it the next call goes on; empty where nothing is left. */
  readonly nextKey: string;
}

async function moveSome(
  transaction: Transaction,
  call: Call,
  request: MovePrefixRequest,
  lastKey: string,
): Promise<Moved> {
  const { sourcePrefix } = request;
  const ceiling = prefixCeiling(sourcePrefix);
  const params = [call.project, lastKey, sourcePrefix, ceiling, MOVES_MAX + 1];
  const keys = (await transaction.run(listKeys, params)).map((row) => row.object_key);
  const found = keys.slice(0, MOVES_MAX).map((sourceKey) => moveOf(request, sourceKey));
  const nextKey = keys.length > MOVES_MAX ? (found.at(-1)?.sourceKey ?? '') : '';
  const locked = await lockMoves(transaction, call, found);
  // What was deleted since the list was read is no longer there to be moved.
  const moves = found.filter(({ sourceKey }) => locked.get(sourceKey)?.deleted === false);
  if (moves.length > 0) {
    const { changes } = await carryLocked(transaction, call, carryObjects, moves, locked);
    return { moved: moves.length, nextKey, changes };
  }
  if (lastKey === '' && nextKey === '') throw nothingThere(call, sourcePrefix);
  return { moved: 0, nextKey, changes: [] };
}

/** @throws StowageError INVALID_REQUEST where the key that shall be is none. */
function moveOf({ sourcePrefix, destinationPrefix }: MovePrefixRequest, sourceKey: string): Move {
  const destinationKey = destinationPrefix + sourceKey.slice(sourcePrefix.length);
  const bytes = Buffer.byteLength(destinationKey);
  if (bytes <= KEY_BYTES_MAX) return { sourceKey, destinationKey };
  const size = `${bytes} bytes, at most ${KEY_BYTES_MAX}`;
  const description = `makes a key of ${size}; nothing of this call was moved`;
  throw new StowageError('INVALID_REQUEST', {
    message: `destination_prefix: ${description}`,
    metadata: { object_key: sourceKey },
    violations: [{ field: 'destination_prefix', description }],
  });
}

function nothingThere(call: Call, sourcePrefix: string): StowageError {
  return new StowageError('OBJECT_NOT_FOUND', {
    message: 'There is no live object under source_prefix; there is nothing to move.',
    metadata: { project: call.project, prefix: sourcePrefix },
  });
}
