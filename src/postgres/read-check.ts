/**
 * Whether a node was what a read took it for. A report is up to a probe's interval old, and a node
 * may be restarted, promoted, set back or led astray within it: so each read's own round trip tells
 * what the node is, before the statement and behind it, and a result of another one is dropped.
 * Asking first and reading then would race. Pure.
 */

import { StowageError } from '../errors.js';
import type { Identity } from './control.sql.js';
import type { Demand, Route } from './freshness.js';
import { parseLsn } from './lsn.js';

/** What a unit told of its node behind the statement. */
export interface Position {
  readonly in_recovery: boolean;
  readonly lsn: string | null;
  /** The newest timeline in a standby's data; not asked of a primary. */
  readonly timeline?: number | null;
  readonly recorded_at?: bigint | null;
}

/** How far a read's node had come. */
export interface Served {
  readonly lsn: bigint | undefined;
  /** By a standby's data; undefined on a primary, and where nothing is recorded. */
  readonly newest: { readonly timeline: number; readonly recordedAt: bigint } | undefined;
}

/** A node was not what it was taken for: the result is dropped, the read repeated elsewhere. */
export class StaleRoute extends Error {
  override readonly name = 'StaleRoute';
  /**
   * `behind`: it only has not come far enough. `given_up`: the router has no or another primary by
   * now, of which the node itself said nothing.
   */
  readonly kind: 'behind' | 'given_up' | 'restarted' | 'other_role' | 'diverged';

  constructor(kind: StaleRoute['kind'], route: Route) {
    super(`${route.node} is not what it was taken for: ${kind}`);
    this.kind = kind;
  }
}

/**
 * Checks a read's node.
 * @throws StaleRoute when the result must not be used; StowageError TOKEN_HISTORY_LOST when the
 * primary itself does not reach the caller's token.
 */
export function checkRead(
  demand: Demand,
  route: Route,
  before: Identity | undefined,
  after: Position | undefined,
): Served {
  if (before === undefined || after === undefined) throw new StaleRoute('behind', route);
  checkIdentity(route, before);
  const lsn = after.lsn === null ? undefined : parseLsn(after.lsn);
  const isStandby = route.role === 'standby';
  if (after.in_recovery !== isStandby) throw new StaleRoute('other_role', route);
  if (isStandby && route.goodUpTo !== undefined && (lsn ?? 0n) > route.goodUpTo) {
    throw new StaleRoute('diverged', route);
  }
  const token = demand.kind === 'at_least' ? demand.token : undefined;
  const replayed = isStandby ? parseNullable(before.replayed) : lsn;
  if (token !== undefined && (replayed ?? 0n) < token.lsn) {
    if (isStandby) throw new StaleRoute('behind', route);
    throw new StowageError('TOKEN_HISTORY_LOST');
  }
  const { timeline, recorded_at: recordedAt } = after;
  if (timeline == null || recordedAt == null) return { lsn, newest: undefined };
  return { lsn, newest: { timeline, recordedAt } };
}

/**
 * Checks what a unit told of its node before its statement.
 * @throws StaleRoute
 */
export function checkIdentity(route: Route, before: Identity | undefined): void {
  if (before === undefined) return;
  if (before.in_recovery !== (route.role === 'standby')) throw new StaleRoute('other_role', route);
  if (before.started_at !== route.startedAt) throw new StaleRoute('restarted', route);
}

function parseNullable(lsn: string | null): bigint | undefined {
  return lsn === null ? undefined : parseLsn(lsn);
}
