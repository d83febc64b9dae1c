/** The router's life and what it tells of the cluster, for who starts and watches it. */

import type { PostgresSettings } from '../config.js';
import type { Limits } from '../lib/interruption.js';
import type { Call } from './call.js';
import type { PoolSnapshots } from './cluster-node.js';
import type { TopologyEvent } from './events.js';
import type { TimelineRow } from './history.js';
import type { Router } from './router-api.js';
import type { FenceReason, NodeState } from './router-state.js';
import type { Sealer } from './sealed.js';
import type { SlowStatementOptions } from './slow-statements.js';
import type { Statement } from './statement.js';

/** What a router is made with beside its settings. */
export interface RouterOptions {
  /**
   * How long a stream's consumer may leave full batches alone, and how long a stream may wait for
   * a connection that others hold; default 60,000.
   */
  readonly streamIdleTimeoutMs?: number;
  /** How long a newer timeline that nobody claims any more keeps others out; default 30,000. */
  readonly fenceMs?: number;
  /** When `stowage:postgres:slow` tells of a statement; default: never. */
  readonly slowStatements?: SlowStatementOptions;
}

/** One node for people, metrics and health. */
export interface NodeSnapshot {
  /** `host:port`. */
  readonly name: string;
  readonly state: NodeState;
  /** Why it is fenced; undefined in every other state. */
  readonly fence: FenceReason | undefined;
  /** Of the newest row of its history; undefined where it is not known. */
  readonly timeline: number | undefined;
  /** 0 on the primary; undefined where nobody can tell. */
  readonly lagMs: number | undefined;
  /** How many bytes of WAL it is behind the primary; undefined where nobody can tell. */
  readonly lagBytes: bigint | undefined;
  /** Flushed by a primary, replayed by a standby; the last that was told. */
  readonly lsn: bigint | undefined;
  /** When its postmaster started, as PostgreSQL writes it. */
  readonly startedAt: string | undefined;
  /** How long ago its last answer was asked for; undefined where there was none. */
  readonly answeredMsAgo: number | undefined;
  /** A command keeps calls away, in force once it is a standby. */
  readonly isDrained: boolean;
  /** A passing fault keeps calls away that another node can take. */
  readonly isDoubted: boolean;
  readonly pools: PoolSnapshots;
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
  /** Rises by one with each primary or timeline that is taken. */
  readonly epoch: number;
  /** The present history, oldest first. */
  readonly history: readonly TimelineRow[];
  /** Writes can be taken. */
  readonly hasPrimary: boolean;
  /** Some node can be read. */
  readonly canRead: boolean;
}

/** The cluster, and what changed it. */
export interface TopologyChange {
  readonly topology: TopologySnapshot;
  /** Undefined in the first one, and where nothing changed for `heartbeatMs`. */
  readonly transition: TopologyEvent | undefined;
  /** When it was seen, on the clock of `Date.now()`. */
  readonly atMs: number;
}

/** What of the settings can be changed while a router runs. */
export type Reloadable = Pick<PostgresSettings, 'nodes' | 'password'>;

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
  /**
   * Takes other nodes and another password; resolves once each new node was probed. What is known
   * of nodes that stay is kept, their connections too: a password counts for those that are opened
   * from now on. Leases of nodes that are gone may end within `timeoutMs` (10,000).
   */
  reload(changed: Reloadable, timeoutMs?: number): Promise<void>;
  /** The cluster as it is known now. */
  topology(): TopologySnapshot;
  /**
   * The topology, then each transition in order with the topology after it, without gaps; the
   * topology alone where nothing changed for `heartbeatMs`. Ends when the signal aborts.
   * @throws StowageError SLOW_CONSUMER when 1,000 transitions wait; the signal's reason.
   */
  watch(signal: AbortSignal, heartbeatMs: number): AsyncGenerator<TopologyChange, void, undefined>;
  /**
   * Goes on with the primary of a lower timeline than was seen; resolves once it is the primary.
   * @param by who says so.
   * @throws StowageError TIMELINE_NOT_FOUND when no node takes writes on the timeline.
   */
  acceptTimeline(timeline: number, by: string, limits: Limits): Promise<void>;
  /**
   * Runs one reading statement on a node by name, whatever its state, over a connection that no
   * other call uses; within 10 s.
   * @throws StowageError NODE_NOT_FOUND; NO_NODE where it does not answer; OVERLOADED where too
   * many look at once; DEADLINE_EXCEEDED.
   */
  inspect<Row>(
    node: string,
    statement: Statement<Row>,
    params: readonly unknown[],
    call: Call,
  ): Promise<Row[]>;
}
