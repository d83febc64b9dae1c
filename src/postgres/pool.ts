/**
 * Connections of one node for one purpose: a fixed number, and a bounded, fair line of callers that
 * wait for one. The driver's pool keeps the connections; the line is ours, for the driver's has
 * neither a bound nor a way to leave it.
 */

import pg from 'pg';
import type { PostgresSettings } from '../config.js';
import { StowageError } from '../errors.js';
import { type Deferred, deferred } from '../lib/deferred.js';
import { type Limits, settlesWithin, within } from '../lib/interruption.js';
import {
  asDriverClient,
  type DriverClient,
  destroyClient,
  driverConfig,
  type NodeAddress,
  type Purpose,
} from './driver.js';
import { interruptionError, Lease, type ReleaseState } from './lease.js';

/** A pool at one moment, in the words of the field. */
export interface PoolSnapshot {
  /** Open connections and ones being opened. */
  readonly size: number;
  readonly idle: number;
  /** Leases that are out. */
  readonly acquired: number;
  /** Callers that wait. */
  readonly waiting: number;
  readonly sizeMax: number;
}

/** What a pool needs beyond the settings. */
export interface PoolOptions {
  readonly purpose: Purpose;
  readonly sizeMax: number;
  /** Connections that stay open when idle. */
  readonly sizeMin: number;
  /** How long a call may wait in line; default: the settings' `queueTimeoutMs`. */
  readonly queueTimeoutMs?: number;
}

/** Idle connections beyond the minimum are closed after this long. */
const IDLE_TIMEOUT_MS = 60_000;

/** A connection's greatest age; the jitter keeps those that began at once from ending at once. */
const CONNECTION_AGE_MAX_MS = 30 * 60_000;
const CONNECTION_AGE_JITTER = 0.25;

/** What RetryInfo tells callers that found the line too long. */
const OVERLOADED_RETRY_DELAY_MS = 500;

/** A caller in line. */
interface Turn {
  readonly came: Deferred<void>;
  /** True once it holds a place in the pool. */
  isGranted: boolean;
}

/** A bounded pool with a bounded line before it. */
export class ConnectionPool {
  readonly #settings: PostgresSettings;
  readonly #node: NodeAddress;
  readonly #options: PoolOptions;
  readonly #pool: pg.Pool;
  readonly #clients = new Set<DriverClient>();
  readonly #expiresAtMs = new WeakMap<DriverClient, number>();
  /** In the order of arrival. */
  readonly #waiting = new Set<Turn>();
  #acquired = 0;
  #isClosing = false;
  readonly #empty = deferred<void>();

  constructor(settings: PostgresSettings, node: NodeAddress, options: PoolOptions) {
    this.#settings = settings;
    this.#node = node;
    this.#options = options;
    this.#pool = new pg.Pool({
      ...driverConfig(settings, node, options.purpose),
      max: options.sizeMax,
      min: options.sizeMin,
      idleTimeoutMillis: IDLE_TIMEOUT_MS,
    });
    // Both are told of the end of idle connections too; the pool forgets those by itself.
    this.#pool.on('error', () => undefined);
    this.#pool.on('connect', (client) => this.#adopt(asDriverClient(client)));
    this.#pool.on('remove', (client) => this.#clients.delete(asDriverClient(client)));
  }

  #adopt(client: DriverClient): void {
    client.on('error', () => undefined);
    const jitter = 1 - Math.random() * CONNECTION_AGE_JITTER;
    this.#expiresAtMs.set(client, performance.now() + CONNECTION_AGE_MAX_MS * jitter);
    this.#clients.add(client);
  }

  /**
   * Borrows a connection, waiting in line for at most the queue's timeout.
   * @throws StowageError OVERLOADED, DRAINING, the signal's reason or DEADLINE_EXCEEDED; else what
   * the driver said of connecting.
   */
  async acquire(limits: Limits): Promise<Lease> {
    if (this.#isClosing) throw new StowageError('DRAINING');
    if (limits.signal.aborted) throw interruptionError('aborted', limits);
    if (this.#acquired < this.#options.sizeMax) this.#acquired += 1;
    else await this.#waitForTurn(limits);
    const client = await this.#connect(limits);
    return new Lease(this.#settings, this.#node, client, (state) => this.#take(client, state));
  }

  async #waitForTurn(limits: Limits): Promise<void> {
    if (this.#waiting.size >= this.#settings.queueMax) throw overloaded(this.#node, 'is full');
    const turn: Turn = { came: deferred(), isGranted: false };
    this.#waiting.add(turn);
    const { queueTimeoutMs = this.#settings.queueTimeoutMs } = this.#options;
    const timeoutAtMs = performance.now() + queueTimeoutMs;
    const deadlineMs = Math.min(limits.deadlineMs, timeoutAtMs);
    try {
      const outcome = await within(turn.came.promise, { signal: limits.signal, deadlineMs });
      if ('value' in outcome) return;
      // The turn may have come in the same moment: it is passed on.
      if (turn.isGranted) this.#passTurn();
      const isQueueTimeout =
        outcome.interruption === 'deadline' && timeoutAtMs <= limits.deadlineMs;
      if (isQueueTimeout) throw overloaded(this.#node, 'moves too slowly');
      throw interruptionError(outcome.interruption, limits);
    } finally {
      this.#waiting.delete(turn);
    }
  }

  /** The place is held until the attempt ends, so that connections never exceed the budget. */
  async #connect(limits: Limits): Promise<DriverClient> {
    const connecting = this.#pool.connect();
    try {
      const outcome = await within(connecting, limits);
      if ('value' in outcome) return asDriverClient(outcome.value);
      connecting.then(
        (client) => {
          client.release();
          this.#passTurn();
        },
        () => this.#passTurn(),
      );
      throw interruptionError(outcome.interruption, limits);
    } catch (error) {
      if (!(error instanceof StowageError)) this.#passTurn();
      throw error;
    }
  }

  /** Opens connections until the minimum is there. Failure is no matter: the next call tells. */
  async warm(limits: Limits): Promise<void> {
    if (this.#pool.totalCount >= this.#options.sizeMin) return;
    // All of them at once: fewer would be given the idle ones, and open none.
    const leases = await Promise.allSettled(
      Array.from({ length: this.#options.sizeMin }, () => this.acquire(limits)),
    );
    for (const lease of leases) {
      if (lease.status === 'fulfilled') lease.value.release('clean');
    }
  }

  #take(client: DriverClient, state: ReleaseState): void {
    const isExpired = performance.now() >= (this.#expiresAtMs.get(client) ?? 0);
    const isDiscarded = state === 'discard';
    if (isDiscarded) destroyClient(client);
    (client as unknown as pg.PoolClient).release(isDiscarded || isExpired);
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
    if (this.#isClosing && this.#acquired === 0) this.#empty.resolve();
  }

  snapshot(): PoolSnapshot {
    return {
      size: this.#pool.totalCount,
      idle: this.#pool.idleCount,
      acquired: this.#acquired,
      waiting: this.#waiting.size,
      sizeMax: this.#options.sizeMax,
    };
  }

  /** Takes no more callers, waits for leases at most `timeoutMs`, then destroys what is left. */
  async close(timeoutMs: number): Promise<void> {
    if (this.#isClosing) return;
    this.#isClosing = true;
    for (const turn of this.#waiting) turn.came.reject(new StowageError('DRAINING'));
    this.#waiting.clear();
    const ended = this.#pool.end();
    await settlesWithin(this.#acquired > 0 ? this.#empty.promise : ended, timeoutMs);
    // What is left is out, or has said goodbye to a host that may be silent: its socket would keep
    // the process alive.
    for (const client of this.#clients) destroyClient(client);
    await settlesWithin(ended, timeoutMs);
  }
}

function overloaded(node: NodeAddress, how: string): StowageError {
  return new StowageError('OVERLOADED', {
    message: `The line for ${node.host}:${node.port} ${how}; repeat after the delay.`,
    retryDelayMs: OVERLOADED_RETRY_DELAY_MS,
  });
}
