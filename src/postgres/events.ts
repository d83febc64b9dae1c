/**
 * What the core tells whoever listens (`diagnostics_channel`): logs, metrics and traces hang
 * themselves on, so that the core imports none of them.
 */

import { channel } from 'node:diagnostics_channel';
import type { Reason } from '../errors.js';
import type { NodeState } from './router-state.js';

/** One statement, transaction or stream has ended. */
export interface QueryEvent {
  /** The statement's name; `transaction` for the whole of one, beside its statements. */
  readonly statement: string;
  readonly node: string;
  readonly role: 'primary' | 'standby';
  /** With the wait for a connection; of a stream to its end, with its consumer's pauses. */
  readonly durationMs: number;
  readonly requestId: string;
  /** Why it failed; undefined: it did not. */
  readonly reason: Reason | undefined;
  /** What lay behind the failure; for logs only. */
  readonly cause: unknown;
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

/** Tells listeners of a query; costs nothing where nobody listens. */
export function publishQuery(event: () => QueryEvent): void {
  if (queryChannel.hasSubscribers) queryChannel.publish(event());
}
