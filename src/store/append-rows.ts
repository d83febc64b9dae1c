/**
 * Appends rows in one commit: all or none. They do not go through `commit()`: a row's key is its
 * time and id, by which it is kept once, so that a commit in doubt is settled by appending again.
 */

import { StowageError } from '../errors.js';
import type { Call } from '../postgres/call.js';
import type { Transaction } from '../postgres/router-api.js';
import { classify } from '../postgres/sqlstate.js';
import { ensureMonths } from './append.sql.js';
import { type AppendRow, compareRows, monthOf } from './append-row.js';
import { type AppendTable, columnArrays } from './append-table.js';
import { isInDoubt, isOver, projectNotFound, type Writer } from './commit.js';
import { type CommitInDoubtEvent, commitInDoubtChannel } from './events.js';

/** What became of the rows: all are durable. */
export interface Appended {
  /** Rows that were new; those of a commit that was in doubt and stands count as known. */
  readonly appended: bigint;
  /** A freshness token that covers them. */
  readonly token: string;
}

/** How often the rows are appended: to settle a commit in doubt, or where a month had no place. */
const RUNS_MAX = 4;

/** What RetryInfo tells callers whose month is being removed. */
const RETRY_DELAY_MS = 1_000;

/**
 * Appends rows. Where a month has no place yet, it is made and the rows are appended again: that
 * happens once a month and table, so nothing is asked ahead and nothing remembered.
 * @throws StowageError PROJECT_NOT_FOUND; EVENT_TIME_OUT_OF_RANGE for a sealed month and for more
 * than four new ones; OVERLOADED for one that is being removed; COMMIT_OUTCOME_UNKNOWN where the
 * doubt could not be settled; what the router throws.
 */
export async function appendRows(
  writer: Writer,
  call: Call,
  table: AppendTable,
  rows: readonly AppendRow[],
): Promise<Appended> {
  const doubt = new Doubt(call);
  for (let runs = 1; ; runs += 1) {
    try {
      const { value, token } = await writer.router.transaction(call, (transaction) =>
        append(transaction, writer, call, table, rows),
      );
      doubt.end(value > 0n ? 'repeated' : 'answered');
      return { appended: value, token };
    } catch (error) {
      if (isInDoubt(error)) {
        doubt.begin();
        if (runs < RUNS_MAX && !isOver(call)) continue;
      } else if (runs < RUNS_MAX && isWithoutPlace(error)) {
        await makeMonths(writer, call, table, rows);
        continue;
      }
      throw doubt.settle(isWithoutPlace(error) ? beingRemoved(error) : error);
    }
  }
}

async function append(
  transaction: Transaction,
  { keeping }: Writer,
  { project }: Call,
  table: AppendTable,
  rows: readonly AppendRow[],
): Promise<bigint> {
  const sorted = rows.toSorted(compareRows);
  const params = [project, ...table.settings(keeping), ...columnArrays(sorted)];
  const [row] = await transaction.runLast(table.append, params);
  if (row?.project_found !== true) throw projectNotFound(project);
  return row.appended;
}

/** All at once, so that a request that needs more than four new ones leaves none behind. */
async function makeMonths(
  { router }: Writer,
  call: Call,
  table: AppendTable,
  rows: readonly AppendRow[],
): Promise<void> {
  const months = [...new Set(rows.map(monthOf))];
  try {
    await router.transaction(call, (transaction) =>
      transaction.runLast(ensureMonths, [table.name, months]),
    );
  } catch (error) {
    // The next run tells whether they were made.
    if (!isInDoubt(error)) throw error;
  }
}

/** A month whose partition is detached, and not dropped yet, has no place, nor can it be made. */
function beingRemoved(error: unknown): StowageError {
  return new StowageError('OVERLOADED', {
    message: 'A month of the request is just being removed; repeat after the delay.',
    retryDelayMs: RETRY_DELAY_MS,
    cause: (error as StowageError).cause,
  });
}

function isWithoutPlace(error: unknown): boolean {
  return error instanceof StowageError && classify(error.cause) === 'no_partition';
}

/** Who is at fault for a failure: a row, a month with all of its rows, or nobody of the rows. */
export function blame(error: unknown): 'row' | 'group' | 'batch' {
  const { reason, cause } = error as Partial<StowageError>;
  // What may stand already is not taken apart.
  if (reason === 'COMMIT_OUTCOME_UNKNOWN') return 'batch';
  switch (classify(cause)) {
    case 'month_refused':
    case 'no_partition':
      return 'group';
    case 'already_exists':
    case 'bad_value':
    case 'constraint':
      return 'row';
    case 'unknown':
      // As a trigger of an operator's raises it; what the store itself refuses has its reason.
      return reason === 'INTERNAL' ? 'row' : 'batch';
    default:
      return 'batch';
  }
}

/** A commit whose answer was lost, while the rows are appended again. */
class Doubt {
  readonly #call: Call;
  #sinceMs: number | undefined;

  constructor(call: Call) {
    this.#call = call;
  }

  begin(): void {
    this.#sinceMs ??= performance.now();
  }

  end(end: CommitInDoubtEvent['end']): void {
    if (this.#sinceMs === undefined) return;
    const durationMs = performance.now() - this.#sinceMs;
    const { requestId } = this.#call;
    commitInDoubtChannel.publish({ end, requestId, durationMs } satisfies CommitInDoubtEvent);
  }

  /** What the caller is told. */
  settle(error: unknown): unknown {
    // What refuses a row now refused it then: the commit in doubt left nothing.
    const isSettled = this.#sinceMs === undefined || blame(error) !== 'batch';
    this.end(isSettled ? 'refused' : 'unknown');
    if (isSettled || isCommitted(error)) return error;
    return new StowageError('COMMIT_OUTCOME_UNKNOWN', {
      message: 'The commit is in doubt and could not be settled; append again by id and timestamp.',
      cause: error,
    });
  }
}

function isCommitted(error: unknown): boolean {
  return error instanceof StowageError && error.reason === 'COMMIT_NOT_REPLICATED';
}
