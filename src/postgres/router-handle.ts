/** The router's life and what it tells of the cluster, for who starts and watches it. */

import type { PoolSnapshot } from './pool.js';
import type { Router } from './router-api.js';
import type { Sealer } from './sealed.js';
import type { NodeState } from './topology.js';

/** What a router is made with beside its settings. */
export interface RouterOptions {
  /**
   * How long a stream's consumer may leave full batches alone, and how long a stream may wait for
   * a connection that others hold; default 60,000.
   */
  readonly streamIdleTimeoutMs?: number;
}

/** One node for people, metrics and health. */
export interface NodeSnapshot {
  /** `host:port`. */
  readonly name: string;
  readonly state: NodeState;
  /** 0 on the primary; undefined where nobody can tell. */
  readonly lagMs: number | undefined;
  /** Flushed by a primary, replayed by a standby; the last that was told. */
  readonly lsn: bigint | undefined;
  readonly pools: { readonly unary: PoolSnapshot; readonly streams: PoolSnapshot };
}

/** The cluster at one moment. */
export interface TopologySnapshot {
  /** In the order of the settings. */
  readonly nodes: readonly NodeSnapshot[];
  /** The primary's name. */
  readonly primary: string | undefined;
  /** Of the last primary that was known. */
  readonly timeline: number | undefined;
  readonly systemIdentifier: bigint | undefined;
  /** Writes can be taken. */
  readonly hasPrimary: boolean;
  /** Some node can be read. */
  readonly canRead: boolean;
}

/** A router with its life. Leaving its scope closes it. */
export interface RouterHandle extends Router, AsyncDisposable {
  /** Signs page and resume tokens with the keys in the database. */
  readonly sealer: Sealer;
  /**
   * Begins to watch the nodes; resolves after each was probed once, reachable or not. Never fails:
   * a service starts before its database.
   */
  start(): Promise<void>;
  /** Takes no more calls, waits for running ones at most `timeoutMs` (10,000), ends all else. */
  close(timeoutMs?: number): Promise<void>;
  /** The cluster as it is known now. */
  topology(): TopologySnapshot;
}
