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

/** Something that the service does to a node by itself has failed; it will be tried again. */
export interface TroubleEvent {
  readonly node: string;
  /** What failed, for a person. */
  readonly detail: string;
  readonly cause: unknown;
}

/** Publishes a {@link TroubleEvent}. */
export const troubleChannel = channel('stowage:postgres:trouble');

/** Publishes a {@link QueryEvent} for each statement. */
export const queryChannel = channel('stowage:postgres:query');

/** Publishes a {@link TopologyEvent} at each change of a node's state. */
export const topologyChannel = channel('stowage:postgres:topology');

/** Tells listeners of a query; costs nothing where nobody listens. */
export function publishQuery(event: () => QueryEvent): void {
  if (queryChannel.hasSubscribers) queryChannel.publish(event());
}
