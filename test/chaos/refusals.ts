/**
 * Which errors a caller may be told, and when. Whatever is not listed here is a defect: an error of
 * the table at the wrong moment as much as one outside of it. Pure.
 */

import { Code } from '@connectrpc/connect';
import type { CallError } from '../../src/client/index.js';
import type { Demand } from './history.js';

/** What was going on around an attempt. */
export interface Situation {
  /** Undefined for a write. */
  readonly demand: Demand['kind'] | undefined;
  readonly hasRequestId: boolean;
  readonly elapsedMs: number;
  readonly timeoutMs: number;
  /** The harness itself ended it. */
  readonly isCancelled: boolean;
  /** A stream, which goes on elsewhere with the token of what it has read itself. */
  readonly isStream: boolean;
  /** The harness read so slowly that the server may have had enough. */
  readonly isSlow: boolean;
  /** No fault since well before it began. */
  readonly isCalm: boolean;
  /** Some node was well and could be read all the while. */
  readonly hasNode: boolean;
  /** Its server was being stopped, away or starting meanwhile. */
  readonly isServerDown: boolean;
}

/** A server's own clock and ours, and what a loaded machine adds. */
const DEADLINE_MARGIN_MS = 50;

/** Many times what it takes to notice a silent node and to ask another. */
const QUICK_MS = 5_000;

/** Why a caller must not be told this; undefined: it may. */
export function objectionTo(
  error: Pick<CallError, 'reason' | 'code'>,
  situation: Situation,
): string | undefined {
  const { reason, code } = error;
  if (mustBeQuick(situation) && isTimedOut(situation)) return 'a read finds a node before that';
  if (reason === undefined) return objectionToBare(code, situation);
  const when = rules[reason];
  if (when === undefined) return 'no caller may ever be told this';
  if (!when(situation)) return 'it does not fit what was going on';
  return situation.isCalm && passing.has(reason) ? 'nothing was wrong with any node' : undefined;
}

/** An error without a reason is not of the service: the connection's, or the caller's own. */
function objectionToBare(code: Code, situation: Situation): string | undefined {
  if (code === Code.DeadlineExceeded && isTimedOut(situation)) return undefined;
  if (code === Code.Canceled && situation.isCancelled) return undefined;
  if (situation.isServerDown) return undefined;
  return `it has no reason, and its server was there (${Code[code]})`;
}

/** Reads that need no primary are not kept waiting by a node that is silent. */
function mustBeQuick({ demand, timeoutMs, isSlow }: Situation): boolean {
  return demand !== undefined && demand !== 'strong' && timeoutMs >= QUICK_MS && !isSlow;
}

function isTimedOut({ elapsedMs, timeoutMs }: Situation): boolean {
  return elapsedMs >= timeoutMs - DEADLINE_MARGIN_MS;
}

const rules: Readonly<Record<string, (situation: Situation) => boolean>> = {
  NO_PRIMARY: ({ demand }) => demand === undefined || demand === 'strong',
  NO_NODE: ({ demand, hasNode, isServerDown }) =>
    demand !== undefined && (demand !== 'eventual' || !hasNode || isServerDown),
  STANDBY_BEHIND: ({ demand, isStream }) =>
    isStream || demand === 'at_least' || demand === 'max_staleness',
  TOKEN_HISTORY_LOST: ({ demand, isStream }) => isStream || demand === 'at_least',
  OVERLOADED: () => true,
  DRAINING: ({ isServerDown }) => isServerDown,
  DEADLINE_EXCEEDED: isTimedOut,
  CANCELLED: ({ isCancelled }) => isCancelled,
  SLOW_CONSUMER: ({ isSlow }) => isSlow,
  COMMIT_OUTCOME_UNKNOWN: (situation) =>
    situation.demand === undefined &&
    (!situation.hasRequestId || situation.isCancelled || isTimedOut(situation)),
};

/** Reasons that only a fault explains. */
const passing: ReadonlySet<string> = new Set([
  'NO_PRIMARY',
  'NO_NODE',
  'STANDBY_BEHIND',
  'OVERLOADED',
]);
