/**
 * What the core tells whoever listens (`diagnostics_channel`): logs, metrics and traces hang
 * themselves on, so that the core imports none of them.
 */

import { channel } from 'node:diagnostics_channel';
import type { Reason } from '../errors.js';
import type { TraceContext } from '../lib/trace-context.js';
import type { NodeState } from './router-state.js';

/** One statement, transaction or stream has ended. */
export interface QueryEvent {
  /** The statement's name; `transaction` for the whole of one, beside its statements. */
  readonly statement: string;
  readonly node: string;
  readonly role: 'primary' | 'standby';
  /** On the clock of `performance.now()`. */
  readonly startedAtMs: number;
  /** With the wait for a connection; of a stream to its end, with its consumer's pauses. */
  readonly durationMs: number;
  /** What it gave; undefined where it failed or was left early, and of a transaction as a whole. */
  readonly rows: number | undefined;
  /** From 1; of one that is repeated elsewhere, or run again, each attempt has its event. */
  readonly attempt: number;
  /** A read that the primary did because no standby of several nodes was fresh enough, or up. */
  readonly isFallback: boolean;
  readonly requestId: string;
  /** The call's span; undefined: the call is in no trace. */
  readonly trace: TraceContext | undefined;
  /** Why it failed; undefined: it did not. */
  readonly reason: Reason | undefined;
  /** What lay behind the failure; for logs only. */
  readonly cause: unknown;
}

/** A statement took longer than it should. */
export interface SlowStatementEvent {
  readonly statement: string;
  readonly node: string;
  readonly role: 'primary' | 'standby';
  /** Without the wait for a connection. */
  readonly durationMs: number;
  readonly requestId: string;
  readonly trace: TraceContext | undefined;
  /**
   * The first 12 hexadecimal digits of the SHA-256 of the plan's shape, which is equal for equal
   * plans whatever they cost; undefined where PostgreSQL could not be asked for it.
   */
  readonly planHash: string | undefined;
  /** Cut to a bound; undefined unless the settings ask for them: they are callers' data. */
  readonly params: string | undefined;
}

/** A node's state has changed. */
export interface TopologyEvent {
  readonly node: string;
  readonly from: NodeState;
  readonly to: NodeState;
  /** What was seen, for a person. */
  readonly detail: string;
  /** What lay behind, where an error did. */
  readonly cause: unknown;
}

/** Something was recorded in a node's data about its history, or could not be. */
export interface HistoryEvent {
  readonly node: string;
  /** What, for a person. */
  readonly detail: string;
  /** Why it failed, to be tried again at the next probe; undefined: it did not. */
  readonly cause: unknown;
}

/** Publishes a {@link HistoryEvent}. */
export const historyChannel = channel('stowage:postgres:history');

/** Publishes a {@link QueryEvent} for each statement. */
export const queryChannel = channel('stowage:postgres:query');

/** Publishes a {@link TopologyEvent} at each change of a node's state. */
export const topologyChannel = channel('stowage:postgres:topology');

/** Publishes a {@link SlowStatementEvent} for each statement over the threshold, within bounds. */
export const slowChannel = channel('stowage:postgres:slow');

/** Tells listeners of a query; costs nothing where nobody listens. */
export function publishQuery(event: () => QueryEvent): void {
  if (queryChannel.hasSubscribers) queryChannel.publish(event());
}
