/**
 * Units behind a pooler in transaction mode, where the next transaction may run in another session
 * of the server, and whoever ran there before may have left settings behind. So each unit of its
 * own is one explicit transaction that sets for itself all that its results depend on, and nothing
 * that it leaves outlives it. Without a pooler a unit is what its caller made it.
 */

import type { PostgresSettings } from '../config.js';
import { settlesWithin } from '../lib/interruption.js';
import {
  begin,
  beginRead,
  beginSnapshot,
  commitRead,
  pooledSession,
  rollback,
} from './control.sql.js';
import { type DriverClient, isPooled } from './driver.js';
import { type Step, Unit, type UnitOptions } from './unit.js';

/** What of the settings bears on units. */
type UnitSettings = Pick<
  PostgresSettings,
  'pooler' | 'lockTimeoutMs' | 'idleInTransactionTimeoutMs'
>;

/** How a unit runs. */
export interface FrameOptions extends Pick<UnitOptions, 'onSubmit'> {
  /** True amid an explicit transaction, whose opening has set all. Default false. */
  readonly isInTransaction?: boolean;
  /**
   * True: one snapshot, taken before the second step, so that a position which that step reads
   * covers all that the later ones see. Without a pooler the session is set so.
   */
  readonly isSnapshot?: boolean;
  /** The rows of the last of the steps come in binary. */
  readonly binaryLast?: boolean;
}

/**
 * Makes a unit that is a transaction of its own, a transaction's opening, or a part of one. Behind
 * a pooler a unit of its own changes nothing: it is READ ONLY.
 * @throws TypeError when a parameter cannot be encoded.
 */
export function makeUnit(
  settings: UnitSettings,
  steps: readonly Step[],
  { isInTransaction = false, isSnapshot = false, binaryLast = false, onSubmit }: FrameOptions = {},
): Unit {
  const isNameless = isPooled(settings);
  const framed =
    isNameless && !isInTransaction ? [...frame(settings, steps, isSnapshot)] : [...steps];
  return new Unit(framed, {
    isNameless,
    ...(onSubmit === undefined ? {} : { onSubmit }),
    ...(binaryLast ? { binaryStep: lastOwn(framed) } : {}),
  });
}

/**
 * Ends what is left of a unit of its own that failed: behind a pooler a transaction stands until it
 * is rolled back. A lease sees to that itself.
 * @returns false when that did not happen within `timeoutMs`.
 */
export async function endFailed(
  settings: UnitSettings,
  client: DriverClient,
  timeoutMs: number,
): Promise<boolean> {
  if (client.getTransactionStatus() !== 'E') return true;
  const steps = [{ statement: rollback, params: [] }];
  const unit = makeUnit(settings, steps, { isInTransaction: true });
  client.query(unit);
  return settlesWithin(unit.done, timeoutMs);
}

/** The index of the last step that is the caller's. */
function lastOwn(steps: readonly Step[]): number {
  return steps.findLastIndex(({ isFrame }) => isFrame !== true);
}

function* frame(
  { lockTimeoutMs, idleInTransactionTimeoutMs }: UnitSettings,
  steps: readonly Step[],
  isSnapshot: boolean,
): Generator<Step> {
  const session: Step = {
    statement: pooledSession,
    params: [lockTimeoutMs, idleInTransactionTimeoutMs],
    isFrame: true,
  };
  const [first] = steps;
  // Settings before BEGIN would begin the transaction, at whatever isolation the session has.
  if (first?.statement === begin) {
    yield first;
    yield session;
    yield* steps.slice(1);
    return;
  }
  yield { statement: isSnapshot ? beginSnapshot : beginRead, params: [], isFrame: true };
  yield session;
  yield* steps;
  yield { statement: commitRead, params: [], isFrame: true };
}
