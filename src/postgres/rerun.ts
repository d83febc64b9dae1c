/**
 * What a transaction that failed may have left, and whether it is worth running again. The one
 * question is whether a commit may have happened: one whose COMMIT surely did nothing is run again
 * as a whole, one whose COMMIT may have done its work never is. Pure.
 */

import type { StowageError } from '../errors.js';
import { backoffMs } from '../lib/backoff.js';
import { isServerError } from './driver.js';
import { StaleRoute } from './read-check.js';
import { classify } from './sqlstate.js';
import type { StepResult } from './unit.js';

/** What is known of a unit that had COMMIT among its steps. */
export interface CommitTrace {
  /** False where the driver refused it: the connection was gone before. */
  readonly isSent: boolean;
  /** Of the steps that were completed. */
  readonly results: readonly StepResult[];
  /** Of the server or the driver; undefined when all steps were completed. */
  readonly error: unknown;
}

/** PostgreSQL's function that ends a session between two messages. */
const SESSION_ENDED_ROUTINE = 'ProcessInterrupts';

/**
 * Whether the transaction may stand.
 * @param commitStep the index of COMMIT in the unit.
 */
export function mayHaveCommitted(trace: CommitTrace, commitStep: number): boolean {
  const { isSent, results, error } = trace;
  if (!isSent) return false;
  if (results.length > commitStep) return results[commitStep]?.tag === 'COMMIT';
  // All that PostgreSQL says names its routine. What does not is a pooler's, of either severity: it
  // may tell of a server's end while the server's own last answers are lost.
  if (!isServerError(error) || error.routine === undefined) return true;
  // Answers come in order: a session that ended before it answered the step ahead of COMMIT has
  // not begun COMMIT. Behind it, it may have been ended while it waited for a standby.
  const isEndedBefore = error.routine === SESSION_ENDED_ROUTINE && results.length < commitStep;
  return error.severity !== 'ERROR' && !isEndedBefore;
}

/** What a transaction waits for before it is run again; `never`: it is not. */
export type Rerun =
  | 'never'
  /** Another transaction, which is through in a moment. */
  | 'conflict'
  /** A primary. */
  | 'primary'
  /** A free connection of the server. */
  | 'room';

/** Others wait longer than a lock may be waited for: one more that waits is of no help to them. */
const LOCK_TIMEOUT_STATE = '55P03';

/** Whether a transaction that failed with `refusal` is run again. */
export function rerunAfter({ reason, cause }: StowageError): Rerun {
  if (reason === 'COMMIT_OUTCOME_UNKNOWN' || reason === 'COMMIT_NOT_REPLICATED') return 'never';
  if (cause instanceof StaleRoute) return 'primary';
  if (isServerError(cause) && cause.code === LOCK_TIMEOUT_STATE) return 'never';
  switch (classify(cause)) {
    case 'conflict':
      return 'conflict';
    case 'connection_lost':
    case 'demotion':
    case 'not_accepting':
      return 'primary';
    case 'too_many_connections':
      return 'room';
    default:
      return 'never';
  }
}

/**
 * Of two that met, one is through: who still meets others after so many attempts is one of a crowd,
 * and the caller's delay thins it out.
 */
const CONFLICTS_MAX = 10;

/** Conflicts pass with a transaction. */
const CONFLICT_PAUSE_MS = { first: 5, max: 200 };

/** Other obstacles may last, up to the deadline: two attempts a second burden nobody. */
const PAUSE_MS = { first: 10, max: 500 };

/** How long to pause before the next run, in ms; undefined: no more. */
export function delayBefore(rerun: Rerun, failures: number): number | undefined {
  switch (rerun) {
    case 'never':
      return undefined;
    case 'conflict':
      if (failures >= CONFLICTS_MAX) return undefined;
      return backoffMs(failures, CONFLICT_PAUSE_MS.first, CONFLICT_PAUSE_MS.max);
    case 'primary':
    case 'room':
      // Who lost a connection may find the next primary at once.
      if (rerun === 'primary' && failures === 1) return 0;
      return backoffMs(failures, PAUSE_MS.first, PAUSE_MS.max);
  }
}
