/**
 * A borrowed connection. It runs units within limits, ends what runs too long, and is given back
 * exactly once: to the pool when it is surely clean, else destroyed.
 */

import type { PostgresSettings } from '../config.js';
import { StowageError } from '../errors.js';
import { assert } from '../lib/assert.js';
import {
  type Interruption,
  type Limits,
  NEVER,
  settlesWithin,
  within,
} from '../lib/interruption.js';
import { sendCancel } from './cancel.js';
import { rollback } from './control.sql.js';
import {
  type DriverClient,
  destroyClient,
  isPooled,
  type NodeAddress,
  type Notice,
  type Submission,
} from './driver.js';
import { NodeLost } from './node-lost.js';
import { type FrameOptions, makeUnit } from './pooled.js';
import type { Step, StepResult, Unit } from './unit.js';

/** How a connection is given back. */
export type ReleaseState = 'clean' | 'discard';

/** How long a cancelled query may take to end before its connection is destroyed. */
const CANCEL_TIMEOUT_MS = 1_000;

/** How long a rollback may take. */
const ROLLBACK_TIMEOUT_MS = 1_000;

/** What a unit that may not be cancelled came to, and what the server remarked meanwhile. */
export interface Observed {
  /** Of the steps that were completed. */
  readonly results: readonly StepResult[];
  readonly notices: readonly Notice[];
  /** False where the connection was gone before: the server has seen nothing of it. */
  readonly isSent: boolean;
  /** Of the server or the driver; undefined when all steps were completed. */
  readonly error: unknown;
}

/** One connection of one node, for one user at a time. */
export class Lease {
  readonly node: NodeAddress;
  readonly client: DriverClient;
  readonly #settings: PostgresSettings;
  readonly #onRelease: (state: ReleaseState) => void;
  #isReleased = false;
  #isBroken = false;
  /** The unit that is under way; a caller may release without having awaited it. */
  #running: Promise<unknown> | undefined;
  /** The last one that ran to its end. */
  #uncancelled: Unit | undefined;
  /** The end of an interrupted unit; the connection is busy until then. */
  #draining: Promise<void> | undefined;

  constructor(
    settings: PostgresSettings,
    node: NodeAddress,
    client: DriverClient,
    onRelease: (state: ReleaseState) => void,
  ) {
    this.#settings = settings;
    this.node = node;
    this.client = client;
    this.#onRelease = onRelease;
  }

  /**
   * Runs a unit. When the limits are reached first, the query is cancelled at the server behind the
   * caller's back, bounded, and the lease can only be released afterwards.
   * @throws StowageError the signal's reason, CANCELLED or DEADLINE_EXCEEDED; else what the server
   * or the driver said, as it is.
   */
  async run(steps: readonly Step[], limits: Limits): Promise<StepResult[]> {
    assert(!this.#isReleased && this.#draining === undefined, 'the lease is not in use');
    const obstacle = obstacleOf(limits);
    if (obstacle !== undefined) throw obstacle;
    const unit = this.unit(steps);
    this.submit(unit);
    this.#running = unit.done;
    try {
      const outcome = await within(unit.done, limits);
      if ('value' in outcome) return outcome.value;
      this.interrupt(unit.done);
      throw interruptionError(outcome.interruption, limits);
    } finally {
      this.#running = undefined;
    }
  }

  /**
   * Runs a unit that no limits end. What takes longer than `timeoutMs` is cancelled at the server,
   * bounded; no timeout of the server's own covers COMMIT. Never throws: what went wrong stands
   * beside the steps that were completed before.
   */
  async runToEnd(steps: readonly Step[], timeoutMs: number): Promise<Observed> {
    assert(!this.#isReleased && this.#draining === undefined, 'the lease is not in use');
    return this.#runToEnd(steps, timeoutMs, (done) => this.#drain(done));
  }

  /** Steps that were completed so far of the unit that runs to its end. */
  get completed(): number {
    return this.#uncancelled?.results.length ?? 0;
  }

  async #runToEnd(
    steps: readonly Step[],
    timeoutMs: number,
    end: (done: Promise<unknown>) => unknown,
  ): Promise<Observed> {
    const unit = this.unit(steps);
    this.#uncancelled = unit;
    const notices: Notice[] = [];
    const onNotice = (notice: Notice) => notices.push(notice);
    this.client.on('notice', onNotice);
    let error: unknown;
    try {
      this.submit(unit);
      if (!(await settlesWithin(unit.done, timeoutMs))) await end(unit.done);
      await unit.done;
    } catch (caught) {
      error = caught;
    } finally {
      this.client.off('notice', onNotice);
    }
    return { results: unit.results, notices, isSent: unit.isSent, error };
  }

  /** Makes a unit for this connection as it stands. @throws TypeError as {@link makeUnit} */
  unit(steps: readonly Step[], options: Omit<FrameOptions, 'isInTransaction'> = {}): Unit {
    return makeUnit(this.#settings, steps, {
      ...options,
      isInTransaction: this.#isInTransaction(),
    });
  }

  /** Hands a submission to the driver. @throws NodeLost where the router ended the connection */
  submit(submission: Submission): void {
    const { errored } = this.client.connection.stream;
    // The driver would say that the connection is lost, which looks like news of the node.
    if (errored instanceof NodeLost) throw errored;
    try {
      this.client.query(submission);
    } catch (error) {
      // A throw amid submitting leaves the driver between two states.
      this.#break();
      throw error;
    }
  }

  /** Ends the query whose end `done` tells, in the background and bounded. */
  interrupt(done: Promise<unknown>): void {
    this.#draining = this.#drain(done);
  }

  async #drain(done: Promise<unknown>): Promise<void> {
    // A request to cancel names a connection to the pooler, which may have lent the session of the
    // server to somebody else when it passes the request on. To hang up ends the query too.
    if (isPooled(this.#settings)) {
      this.#break();
      return;
    }
    const [cancelled, ended] = await Promise.all([
      sendCancel(this.#settings, this.node, this.client, CANCEL_TIMEOUT_MS),
      settlesWithin(done, CANCEL_TIMEOUT_MS),
    ]);
    if (!cancelled || !ended) this.#break();
  }

  /** Rolls an open transaction back. A connection that cannot is broken, and so rolled back too. */
  async rollBack(): Promise<void> {
    await this.#draining;
    this.#draining = undefined;
    if (this.#isBroken || this.client.getTransactionStatus() === 'I') return;
    const { error } = await this.#runToEnd(
      [{ statement: rollback, params: [] }],
      ROLLBACK_TIMEOUT_MS,
      () => this.#break(),
    );
    if (error !== undefined) this.#break();
  }

  /**
   * Gives the connection back; an open transaction is rolled back, an interrupted query awaited
   * first. `clean` is checked: a connection in any doubt is destroyed.
   */
  release(state: ReleaseState): void {
    assert(!this.#isReleased, 'a lease is released once');
    this.#isReleased = true;
    if (state === 'discard') this.#break();
    if (this.#running !== undefined) this.interrupt(this.#running);
    const isSettled = this.#draining === undefined && !this.#isInTransaction();
    if (isSettled) this.#giveBack();
    else void this.rollBack().then(() => this.#giveBack());
  }

  #giveBack(): void {
    const isClean = !this.#isBroken && this.client.getTransactionStatus() === 'I';
    this.#onRelease(isClean ? 'clean' : 'discard');
  }

  #isInTransaction(): boolean {
    return !this.#isBroken && this.client.getTransactionStatus() !== 'I';
  }

  #break(): void {
    this.#isBroken = true;
    destroyClient(this.client);
  }
}

/** Why nothing is sent any more for a call; undefined: its limits are not reached. */
export function obstacleOf(limits: Limits): StowageError | undefined {
  if (limits.signal.aborted) return interruptionError('aborted', limits);
  if (performance.now() >= limits.deadlineMs) return interruptionError('deadline', limits);
  return undefined;
}

/** What a caller is told whose limits were reached. */
export function interruptionError(interruption: Interruption, limits: Limits): StowageError {
  if (interruption === 'deadline') return new StowageError('DEADLINE_EXCEEDED');
  const reason: unknown = limits.signal.reason;
  return reason instanceof StowageError ? reason : new StowageError('CANCELLED', { cause: reason });
}

/** Limits by time alone. */
export function forAtMost(timeoutMs: number): Limits {
  return { signal: NEVER, deadlineMs: performance.now() + timeoutMs };
}
