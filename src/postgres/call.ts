/** What the core knows of the call that a statement is run for. */

import type { TraceContext } from '../lib/trace-context.js';

/** How fresh a read must be; see docs/router.md. */
export type Freshness =
  /** At least the caller's header token, else at most 10 s stale while a primary is known. */
  | { readonly kind: 'default' }
  | { readonly kind: 'strong' }
  | { readonly kind: 'at_least'; readonly token: string }
  | { readonly kind: 'max_staleness'; readonly stalenessMs: number }
  | { readonly kind: 'eventual' };

/** Who served a call, for `stowage-served-by`. */
export interface ServedBy {
  /** The node's name, `host:port`. */
  readonly node: string;
  readonly role: 'primary' | 'standby';
  /** How stale the node may have been, in ms; undefined where nobody can tell. 0 on the primary. */
  readonly lagMs: number | undefined;
}

/**
 * One call below the API edge. Made by the services room from a transport's context; the core reads
 * it and reports who served it.
 */
export interface Call {
  /** The server's id of the call, a UUIDv7; in every log line and error. */
  readonly requestId: string;
  /** The call's span, or what its caller sent; undefined: it is in no trace. */
  readonly trace: TraceContext | undefined;
  /** The RPC as `stowage.v1.StorageService/GetObject`; goes into `application_name`. */
  readonly method: string;
  /** The project; never empty (P24: an empty setting would look like an unset one). */
  readonly project: string;
  /** Who calls; never empty. */
  readonly principal: string;
  /** Where the call came from, for the audit trail. */
  readonly origin: {
    /** The caller's IP address without a port. */
    readonly address: string | undefined;
    /** The caller's `user-agent`, at most 512 characters. */
    readonly userAgent: string | undefined;
  };
  /** When the call must be done, on the clock of `performance.now()`; Infinity for streams. */
  readonly deadlineMs: number;
  /** Aborted when the caller is gone or the deadline has passed; its reason is a StowageError. */
  readonly signal: AbortSignal;
  readonly freshness: Freshness;
  /** Tokens that came with the call's metadata, unverified; the highest good one counts. */
  readonly tokens: readonly string[];
  /** Told by the router of the node, and of the token of what was read or written. */
  onServed(servedBy: ServedBy, token: string | undefined): void;
}
