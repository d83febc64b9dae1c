/** One node with its pools: a class of work cannot take another's connections. */

import type { PostgresSettings } from '../config.js';
import { assert } from '../lib/assert.js';
import type { ConnectionListener, SeverScope } from './connections.js';
import { type NodeAddress, nodeName } from './driver.js';
import { NodeLost } from './node-lost.js';
import { ConnectionPool, type PoolSnapshot } from './pool.js';

/** The connections of one node, by class. */
export interface ClassBudget {
  readonly unary: number;
  readonly streams: number;
}

/** The pools of one node at one moment, by class. */
export type PoolSnapshots = Readonly<Record<keyof ClassBudget | 'inspection', PoolSnapshot>>;

/** One connection a node is the prober's. */
const PROBE_CONNECTIONS = 1;

/** Another is for looking at the node, however busy the rest are. */
const INSPECTION_CONNECTIONS = 1;

/** Operators' questions are few; what would wait longer in line is told that it is too much. */
const INSPECTION_QUEUE_TIMEOUT_MS = 5_000;

/** The least that holds one connection of each class. */
const CONNECTIONS_MIN = 4;

/**
 * Splits a node's budget: a quarter for streams, one for the probe, one for inspection, the rest
 * for unary calls.
 */
export function splitBudget(connectionsMax: number): ClassBudget {
  assert(connectionsMax >= CONNECTIONS_MIN, `a node needs ${CONNECTIONS_MIN} connections`);
  const streams = Math.max(1, Math.floor(connectionsMax / 4));
  const rest = connectionsMax - streams - PROBE_CONNECTIONS - INSPECTION_CONNECTIONS;
  return { unary: rest, streams };
}

/** A node's pools. */
export class ClusterNode {
  readonly name: string;
  readonly unary: ConnectionPool;
  readonly streams: ConnectionPool;
  /** For what operators ask of the node itself. */
  readonly inspection: ConnectionPool;

  /**
   * @param streamQueueTimeoutMs How long a stream may wait for a connection: far longer than a
   * unary call, because it also stands in line between its slices, where its caller has items.
   */
  constructor(
    settings: PostgresSettings,
    address: NodeAddress,
    streamQueueTimeoutMs: number,
    listener: ConnectionListener,
  ) {
    const budget = splitBudget(settings.connectionsMax);
    this.name = nodeName(address);
    this.unary = new ConnectionPool(settings, address, {
      purpose: 'unary',
      sizeMax: budget.unary,
      sizeMin: Math.min(budget.unary, settings.connectionsMin),
      listener,
    });
    this.streams = new ConnectionPool(settings, address, {
      purpose: 'streams',
      sizeMax: budget.streams,
      sizeMin: 0,
      queueTimeoutMs: streamQueueTimeoutMs,
      listener,
    });
    this.inspection = new ConnectionPool(settings, address, {
      purpose: 'inspection',
      sizeMax: INSPECTION_CONNECTIONS,
      sizeMin: 0,
      queueTimeoutMs: INSPECTION_QUEUE_TIMEOUT_MS,
      listener,
    });
  }

  get #pools(): readonly ConnectionPool[] {
    return [this.unary, this.streams, this.inspection];
  }

  /** How many calls have a connection or wait for one. */
  get outstanding(): number {
    return this.unary.outstanding + this.streams.outstanding;
  }

  /** Since when the lease that is out for longest is; undefined: none is. */
  get lentSinceMs(): number | undefined {
    const { lentSinceMs = Number.POSITIVE_INFINITY } = this.unary;
    const sinceMs = Math.min(lentSinceMs, this.streams.lentSinceMs ?? Number.POSITIVE_INFINITY);
    return sinceMs === Number.POSITIVE_INFINITY ? undefined : sinceMs;
  }

  /** Ends connections that are of no use any more, and sends away who waits for one. */
  sever(scope: SeverScope): void {
    const reason = new NodeLost(this.name);
    for (const pool of this.#pools) pool.sever(scope, reason);
  }

  /** Ends connections to other addresses than these as soon as nobody has them. */
  keepOnly(addresses: ReadonlySet<string>): void {
    for (const pool of this.#pools) pool.keepOnly(addresses);
  }

  snapshot(): PoolSnapshots {
    return {
      unary: this.unary.snapshot(),
      streams: this.streams.snapshot(),
      inspection: this.inspection.snapshot(),
    };
  }

  /** Waits for leases at most `timeoutMs`, then destroys what is left. */
  async close(timeoutMs: number): Promise<void> {
    await Promise.all(this.#pools.map((pool) => pool.close(timeoutMs)));
  }

  /** The same for a node that others take the place of: who comes or waits is sent elsewhere. */
  async retire(timeoutMs: number): Promise<void> {
    const reason = new NodeLost(this.name);
    await Promise.all(this.#pools.map((pool) => pool.close(timeoutMs, reason)));
  }
}
