/**
 * Connections of one node for one purpose: a fixed number, and a bounded, fair line of callers that
 * wait for one.
 */

import type { PostgresSettings } from '../config.js';
import { StowageError } from '../errors.js';
import { type Deferred, deferred } from '../lib/deferred.js';
import { type Limits, settlesWithin, within } from '../lib/interruption.js';
import {
  CONNECTION_TIMES,
  type Connection,
  type ConnectionListener,
  Connections,
  type ConnectionTimes,
  type SeverScope,
} from './connections.js';
import type { NodeAddress, Purpose } from './driver.js';
import { interruptionError, Lease, type ReleaseState } from './lease.js';
import type { NodeLost } from './node-lost.js';

/** A pool at one moment, in the words of the field. */
export interface PoolSnapshot {
  /** Open connections and ones being opened. */
  readonly size: number;
  readonly idle: number;
  /** Leases that are out. */
  readonly acquired: number;
  /** Callers that wait. */
  readonly waiting: number;
  /** For how long the one of them that came first has waited; 0 where none waits. */
  readonly waitedMs: number;
  readonly sizeMax: number;
  /** Leases that were given since the pool was made, as are the following. */
  readonly acquires: number;
  /** How long callers waited for these leases, connecting included, all together. */
  readonly acquireMs: number;
  /** Callers that waited in line for as long as one may. */
  readonly timeouts: number;
  /** Callers that found the line full. */
  readonly refusals: number;
}

/** What a pool needs beyond the settings. */
export interface PoolOptions {
  readonly purpose: Purpose;
  readonly sizeMax: number;
  /** Connections that stay open when idle. */
  readonly sizeMin: number;
  /** How long a call may wait in line; default: the settings' `queueTimeoutMs`. */
  readonly queueTimeoutMs?: number;
  /** Default: {@link CONNECTION_TIMES}. */
  readonly times?: ConnectionTimes;
  /** How often idle connections are looked after; default 5,000. */
  readonly tendIntervalMs?: number;
  readonly listener?: ConnectionListener;
}

const TEND_INTERVAL_MS = 5_000;

/** What RetryInfo tells callers that found the line too long. */
const OVERLOADED_RETRY_DELAY_MS = 500;

/** A caller in line. */
interface Turn {
  readonly came: Deferred<void>;
  /** On the clock of `performance.now()`. */
  readonly sinceMs: number;
  /** True once it holds a place in the pool. */
  isGranted: boolean;
}

/** A bounded pool with a bounded line before it. */
export class ConnectionPool {
  readonly #settings: PostgresSettings;
  readonly #node: NodeAddress;
  readonly #options: PoolOptions;
  readonly #connections: Connections;
  readonly #tending: NodeJS.Timeout;
  /** In the order of arrival. */
  readonly #waiting = new Set<Turn>();
  #acquired = 0;
  readonly #counts = { acquires: 0, acquireMs: 0, timeouts: 0, refusals: 0 };
  /** The minimum is kept open: the node has come up, and was not severed since. */
  #isWarm = false;
  /** Why nobody is let in any more. */
  #closedBy: Error | undefined;
  readonly #empty = deferred<void>();

  constructor(settings: PostgresSettings, node: NodeAddress, options: PoolOptions) {
    this.#settings = settings;
    this.#node = node;
    this.#options = options;
    const { purpose, times = CONNECTION_TIMES, listener } = options;
    this.#connections = new Connections(settings, node, purpose, times, listener);
    const { tendIntervalMs = TEND_INTERVAL_MS } = options;
    this.#tending = setInterval(() => this.#tend(), tendIntervalMs).unref();
  }

  /**
   * Borrows a connection, waiting in line for at most the queue's timeout.
   * @throws StowageError OVERLOADED, DRAINING, the signal's reason or DEADLINE_EXCEEDED; NodeLost;
   * else what the driver said of connecting.
   */
  async acquire(limits: Limits): Promise<Lease> {
    if (this.#closedBy !== undefined) throw this.#closedBy;
    if (limits.signal.aborted) throw interruptionError('aborted', limits);
    const connection = this.#lendAtOnce() ?? (await this.#lendLater(limits));
    this.#counts.acquires += 1;
    const onRelease = (state: ReleaseState) => this.#take(connection, state);
    return new Lease(this.#settings, this.#node, connection.client, onRelease);
  }

  /** A free connection, where nothing must be waited for: the common case costs no clock. */
  #lendAtOnce(): Connection | undefined {
    if (this.#acquired >= this.#options.sizeMax) return undefined;
    const connection = this.#connections.lendWarm();
    if (connection !== undefined) this.#acquired += 1;
    return connection;
  }

  async #lendLater(limits: Limits): Promise<Connection> {
    const startedAtMs = performance.now();
    if (this.#acquired < this.#options.sizeMax) this.#acquired += 1;
    else await this.#waitForTurn(limits);
    const connection = this.#connections.lendWarm() ?? (await this.#connect(limits));
    this.#counts.acquireMs += performance.now() - startedAtMs;
    return connection;
  }

  async #waitForTurn(limits: Limits): Promise<void> {
    if (this.#waiting.size >= this.#settings.queueMax) {
      this.#counts.refusals += 1;
      throw overloaded(this.#node, 'is full');
    }
    const sinceMs = performance.now();
    const turn: Turn = { came: deferred(), sinceMs, isGranted: false };
    this.#waiting.add(turn);
    const { queueTimeoutMs = this.#settings.queueTimeoutMs } = this.#options;
    const timeoutAtMs = sinceMs + queueTimeoutMs;
    const deadlineMs = Math.min(limits.deadlineMs, timeoutAtMs);
    try {
      const outcome = await within(turn.came.promise, { signal: limits.signal, deadlineMs });
      if ('value' in outcome) return;
      // The turn may have come in the same moment: it is passed on.
      if (turn.isGranted) this.#passTurn();
      const isQueueTimeout =
        outcome.interruption === 'deadline' && timeoutAtMs <= limits.deadlineMs;
      if (isQueueTimeout) {
        this.#counts.timeouts += 1;
        throw overloaded(this.#node, 'moves too slowly');
      }
      throw interruptionError(outcome.interruption, limits);
    } finally {
      this.#waiting.delete(turn);
    }
  }

  /** The place is held until the attempt ends, so that connections never exceed the budget. */
  async #connect(limits: Limits): Promise<Connection> {
    const connecting = this.#connections.lend();
    try {
      const outcome = await within(connecting, limits);
      if ('value' in outcome) return outcome.value;
    } catch (error) {
      this.#passTurn();
      throw error;
    }
    connecting.then(
      (connection) => this.#take(connection, 'clean'),
      () => this.#passTurn(),
    );
    throw interruptionError(limits.signal.aborted ? 'aborted' : 'deadline', limits);
  }

  /**
   * Opens connections until the minimum is there, and keeps it there until the pool is severed.
   * Failure is no matter: it is tried again, and the next call tells.
   */
  async warm(): Promise<void> {
    this.#isWarm = true;
    const { sizeMin, sizeMax } = this.#options;
    const missing = Math.min(sizeMin - this.#connections.size, sizeMax - this.#acquired);
    if (this.#closedBy !== undefined || missing <= 0) return;
    await Promise.all(Array.from({ length: missing }, () => this.#openAhead()));
  }

  async #openAhead(): Promise<void> {
    this.#acquired += 1;
    try {
      this.#connections.giveBack(await this.#connections.open(), true);
    } catch {
      // The node's own probe tells why.
    } finally {
      this.#passTurn();
    }
  }

  #tend(): void {
    this.#connections.tend(this.#options.sizeMin);
    if (this.#isWarm) void this.warm();
  }

  #take(connection: Connection, state: ReleaseState): void {
    this.#connections.giveBack(connection, state === 'clean');
    this.#passTurn();
  }

  /** Gives a free place to who waits longest. */
  #passTurn(): void {
    for (const turn of this.#waiting) {
      this.#waiting.delete(turn);
      turn.isGranted = true;
      turn.came.resolve();
      return;
    }
    this.#acquired -= 1;
    if (this.#closedBy !== undefined && this.#acquired === 0) this.#empty.resolve();
  }

  /** How many have a connection or wait for one. */
  get outstanding(): number {
    return this.#acquired + this.#waiting.size;
  }

  /** Since when the connection that is out for longest is; undefined: none is. */
  get lentSinceMs(): number | undefined {
    return this.#connections.lentSinceMs;
  }

  snapshot(): PoolSnapshot {
    const [first] = this.#waiting;
    return {
      size: this.#connections.size,
      idle: this.#connections.idle,
      acquired: this.#acquired,
      waiting: this.#waiting.size,
      waitedMs: first === undefined ? 0 : performance.now() - first.sinceMs,
      sizeMax: this.#options.sizeMax,
      ...this.#counts,
    };
  }

  /**
   * Gives the node up as it is: ends connections by `scope`, and sends away who waits for one, for
   * other nodes may be free.
   */
  sever(scope: SeverScope, reason: NodeLost): void {
    this.#isWarm = false;
    this.#dismiss(reason);
    this.#connections.sever(scope, reason);
  }

  #dismiss(reason: Error): void {
    for (const turn of this.#waiting) turn.came.reject(reason);
    this.#waiting.clear();
  }

  /** Ends connections to other addresses than these as soon as nobody has them. */
  keepOnly(addresses: ReadonlySet<string>): void {
    this.#connections.keepOnly(addresses);
  }

  /**
   * Takes no more callers, waits for leases at most `timeoutMs`, then destroys what is left. May be
   * called again with less patience.
   * @param reason told to who waits or comes.
   */
  async close(timeoutMs: number, reason: Error = new StowageError('DRAINING')): Promise<void> {
    this.#closedBy ??= reason;
    clearInterval(this.#tending);
    this.#dismiss(reason);
    this.#connections.shut(this.#closedBy);
    if (this.#acquired > 0) await settlesWithin(this.#empty.promise, timeoutMs);
    await this.#connections.close();
  }
}

function overloaded(node: NodeAddress, how: string): StowageError {
  return new StowageError('OVERLOADED', {
    message: `The line for ${node.host}:${node.port} ${how}; repeat after the delay.`,
    retryDelayMs: OVERLOADED_RETRY_DELAY_MS,
  });
}
