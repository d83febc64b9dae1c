/** Why a maintenance job did not succeed, for a person; PostgreSQL's own words are the log's. */

import { StowageError } from '../errors.js';
import { isServerError } from './driver.js';
import { classify } from './sqlstate.js';

/** What a REINDEX was building could not be dropped in time, where it was there. */
export class LeftBehind extends Error {
  constructor(cause: unknown) {
    super('an invalid index may be left', { cause });
  }
}

const LEFT = 'An invalid index may be left of it; the next reindex of the same index drops it.';

/** What a job that was cancelled has left behind; empty: nothing. */
export function leftBehind(error: unknown): string {
  return error instanceof LeftBehind ? LEFT : '';
}

/** The owner's login found no primary; the addresses and words of the refusals are the log's. */
export function ownerReachedNone(cause: unknown): StowageError {
  return new StowageError('NO_PRIMARY', {
    message: "The login of STOWAGE_ADMIN_URL reached no primary; the server's log has why.",
    retryDelayMs: 1_000,
    cause,
  });
}

/** The sentence for what ended a job that nobody had cancelled. */
export function failureSentence(error: unknown): string {
  if (error instanceof LeftBehind) return `${failureSentence(error.cause)} ${LEFT}`;
  if (error instanceof StowageError) return error.message;
  const code = isServerError(error) ? error.code : undefined;
  switch (classify(error)) {
    case 'connection_lost':
    case 'not_accepting':
      return 'The session on the primary was lost; begin the job again once there is a primary.';
    case 'conflict':
      return code === '55P03'
        ? 'Another session kept the lock that this needs; `stowage admin activity` tells which.'
        : 'Another transaction was in the way; begin the job again.';
    case 'cancelled':
      return 'Somebody cancelled it in the database.';
    case 'resources':
      return 'The database has run out of disk or memory.';
    default:
      return `PostgreSQL refused it (SQLSTATE ${code ?? 'unknown'}); the server's log has why.`;
  }
}
