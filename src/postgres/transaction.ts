/**
 * One transaction on one lease. BEGIN and the scope travel with the first statement, COMMIT with
 * the question for the LSN that it was flushed at: one round trip beside the statements' own, and
 * none where the last statement is known for the last.
 */

import { StowageError } from '../errors.js';
import { type Limits, within } from '../lib/interruption.js';
import type { Call } from './call.js';
import {
  aheadOfCommit,
  begin,
  commit,
  type Identity,
  readPosition,
  writeScopeOfStarted,
} from './control.sql.js';
import { isServerError, type Notice } from './driver.js';
import { publishQuery } from './events.js';
import type { Route } from './freshness.js';
import { forAtMost, interruptionError, type Lease, type Observed, obstacleOf } from './lease.js';
import { parseLsn } from './lsn.js';
import { checkIdentity, StaleRoute } from './read-check.js';
import { mayHaveCommitted } from './rerun.js';
import type { Transaction } from './router-api.js';
import { writeScopeOfStartedStep, writeScopeStep } from './scope.js';
import type { SlowStatements } from './slow-statements.js';
import { type FailureContext, toStowageError } from './sqlstate.js';
import type { Statement } from './statement.js';
import type { Step } from './unit.js';

/**
 * How long the server may wait in COMMIT for a standby. The wait is then cancelled: the commit
 * stands, on the primary alone.
 */
const COMMIT_TIMEOUT_MS = 30_000;

/** How long a caller whose limits are reached still waits for the answer to its COMMIT. */
const COMMIT_GRACE_MS = 1_000;

/** The guard of {@link writeScopeOfStarted} has divided by zero. */
const GUARD_STATE = '22012';

/** What ends a transaction; COMMIT is the last but one. */
const committing: readonly Step[] = [
  { statement: commit, params: [] },
  { statement: readPosition, params: [] },
];

/** PostgreSQL's function that tells of a wait for a standby that was given up. */
const SYNC_WAIT_ROUTINE = 'SyncRepWaitForLSN';

/** A step of the body's. */
interface StatementStep<Row> extends Step {
  readonly statement: Statement<Row>;
}

/** What is needed beside the lease. */
export interface TransactionOptions {
  readonly call: Call;
  /** The call's, with the router's bound on its deadline. */
  readonly limits: Limits;
  readonly route: Route;
  /** Which run of the whole it is, from 1. */
  readonly attempt: number;
  /** Told of each statement's time. */
  readonly slow: SlowStatements | undefined;
  /**
   * Asked before COMMIT is sent: a commit on a node that another one has followed would be
   * answered, and lost. What still can happen behind that only the manager of the cluster can
   * prevent.
   */
  isStillPrimary(): boolean;
  /** Asked when a statement that COMMIT travelled with is answered; silence says nothing. */
  hasLostHistory(): boolean;
}

/** A transaction that begins with its first statement. */
export class LeasedTransaction implements Transaction {
  readonly #lease: Lease;
  readonly #options: TransactionOptions;
  #hasBegun = false;
  #isRunning = false;
  #failure: StowageError | undefined;
  /** Flushed after the commit; undefined: it has not committed. */
  #committedAt: bigint | undefined;
  /** The unit that COMMIT is in, which may outlast the call. */
  #ending: Promise<Observed> | undefined;

  constructor(lease: Lease, options: TransactionOptions) {
    this.#lease = lease;
    this.#options = options;
  }

  /** Why it cannot commit any more; undefined: it can. */
  get failure(): StowageError | undefined {
    return this.#failure;
  }

  run<Row>(statement: Statement<Row>, params: readonly unknown[]): Promise<Row[]> {
    const { limits, route } = this.#options;
    return this.#told({ statement, params }, async (step) => {
      const opening = this.#opening();
      const results = await this.#lease.run([...opening, step], limits);
      if (opening.length > 0) checkIdentity(route, results[1]?.rows[0] as Identity | undefined);
      return (results.at(-1)?.rows ?? []) as Row[];
    });
  }

  runLast<Row>(statement: Statement<Row>, params: readonly unknown[]): Promise<Row[]> {
    const { limits, route, isStillPrimary, hasLostHistory } = this.#options;
    return this.#told({ statement, params }, async (step) => {
      const obstacle = obstacleOf(limits);
      if (obstacle !== undefined) throw obstacle;
      if (!isStillPrimary()) throw new StaleRoute('given_up', route);
      // The server looks at what `run` looks at between two round trips.
      const opening = this.#opening(route.startedAt);
      const steps = [...opening, { ...step, isAnsweredAtOnce: true }, ...committing];
      const observed = await this.#orCancelled(steps);
      const lsn = this.#read(observed, steps.length - 2);
      // The statement may have waited for long: what was not lost yet may be by now.
      if (hasLostHistory()) throw new StowageError('COMMIT_OUTCOME_UNKNOWN');
      this.#committedAt = lsn;
      return (observed.results[opening.length]?.rows ?? []) as Row[];
    });
  }

  /**
   * Runs a unit that ends in COMMIT. Where the limits are reached before that is under way it is
   * cancelled: nothing is done then, or, where it was just about to be, the answer tells of it.
   */
  async #orCancelled(steps: readonly Step[]): Promise<Observed> {
    const { limits, route } = this.#options;
    const commitStep = steps.length - 2;
    const remainingMs = Math.max(0, limits.deadlineMs - performance.now());
    const answer = this.#lease.runToEnd(steps, remainingMs + COMMIT_TIMEOUT_MS);
    this.#ending = answer;
    const outcome = await within(answer, limits);
    if ('interruption' in outcome && this.#lease.completed < commitStep) {
      this.#lease.interrupt(answer);
      await answer;
    }
    const observed = await this.#patiently(answer);
    const { results, error } = observed;
    if (error === undefined || mayHaveCommitted(observed, commitStep)) return observed;
    if ('interruption' in outcome) throw interruptionError(outcome.interruption, limits);
    const isScope = steps[results.length]?.statement === writeScopeOfStarted;
    if (isScope && isServerError(error) && error.code === GUARD_STATE) {
      throw new StaleRoute('restarted', route);
    }
    return observed;
  }

  /** Runs a statement as each is run: one after another, told of, and fatal where it fails. */
  async #told<Row>(step: StatementStep<Row>, run: (step: Step) => Promise<Row[]>): Promise<Row[]> {
    if (this.#failure !== undefined) throw this.#failure;
    const { name } = step.statement;
    if (this.#isRunning) throw new Error(`${name}: statements run one after another`);
    if (this.#committedAt !== undefined) throw new Error(`${name}: the transaction has committed`);
    this.#isRunning = true;
    const startedAtMs = performance.now();
    let rows: number | undefined;
    try {
      const given = await run(step);
      rows = given.length;
      return given;
    } catch (error) {
      this.#failure = toStowageError(error, this.#context());
      throw this.#failure;
    } finally {
      this.#isRunning = false;
      this.#publish(step, startedAtMs, rows);
    }
  }

  #publish(step: StatementStep<unknown>, startedAtMs: number, rows: number | undefined): void {
    const { route, call, attempt, slow } = this.#options;
    const { name } = step.statement;
    slow?.note(
      { name, route, call, phase: 'write', attempt },
      step,
      performance.now() - startedAtMs,
    );
    publishQuery(() => ({
      statement: name,
      node: route.node,
      role: 'primary',
      startedAtMs,
      durationMs: performance.now() - startedAtMs,
      rows,
      attempt,
      isFallback: false,
      requestId: call.requestId,
      trace: call.trace,
      reason: this.#failure?.reason,
      cause: this.#failure?.cause,
    }));
  }

  #opening(startedAt?: string): Step[] {
    if (this.#hasBegun) return [];
    this.#hasBegun = true;
    const { call, limits } = this.#options;
    const { deadlineMs } = limits;
    const scope =
      startedAt === undefined
        ? writeScopeStep(call, deadlineMs)
        : writeScopeOfStartedStep(call, deadlineMs, startedAt);
    return [{ statement: begin, params: [] }, scope];
  }

  /**
   * Commits. Once COMMIT is sent nothing cancels it: a caller whose limits are reached gets the
   * answer if it comes within a second, and COMMIT_OUTCOME_UNKNOWN else; `onEnd` is called when the
   * lease is free in either case.
   * @returns the LSN that was flushed after the commit.
   * @throws StowageError COMMIT_OUTCOME_UNKNOWN, COMMIT_NOT_REPLICATED, or why it was rolled back.
   */
  async commit(onEnd: () => void): Promise<bigint> {
    const { limits, route, isStillPrimary } = this.#options;
    if (this.#committedAt !== undefined) {
      this.end(onEnd);
      return this.#committedAt;
    }
    const obstacle = this.#failure ?? obstacleOf(limits);
    if (obstacle !== undefined || !isStillPrimary()) {
      this.end(onEnd);
      throw obstacle ?? new StaleRoute('given_up', route);
    }
    const ahead: Step = { statement: aheadOfCommit, params: [] };
    const steps = [...this.#opening(), ahead, ...committing];
    const answer = this.#lease.runToEnd(steps, COMMIT_TIMEOUT_MS);
    this.#ending = answer;
    this.end(onEnd);
    return this.#read(await this.#patiently(answer), steps.length - 2);
  }

  /** Calls `onEnd` once nothing is under way, at once where that is so: the lease is free. */
  end(onEnd: () => void): void {
    if (this.#ending === undefined) onEnd();
    else void this.#ending.then(onEnd, onEnd);
  }

  async #patiently(answer: Promise<Observed>): Promise<Observed> {
    const first = await within(answer, this.#options.limits);
    if ('value' in first) return first.value;
    const second = await within(answer, forAtMost(COMMIT_GRACE_MS));
    if ('value' in second) return second.value;
    throw new StowageError('COMMIT_OUTCOME_UNKNOWN', {
      message: 'The call ended while the commit was waiting; repeat with the same request_id.',
    });
  }

  #read(observed: Observed, commitStep: number): bigint {
    const { results, notices, error } = observed;
    const committed = results[commitStep];
    if (committed === undefined) {
      if (mayHaveCommitted(observed, commitStep)) {
        throw new StowageError('COMMIT_OUTCOME_UNKNOWN', { cause: error });
      }
      throw toStowageError(error, this.#context());
    }
    if (committed.tag !== 'COMMIT') {
      throw new StowageError('INTERNAL', { cause: 'COMMIT rolled back' });
    }
    if (notices.some(isSyncWaitGivenUp)) throw new StowageError('COMMIT_NOT_REPLICATED');
    const row = results.at(-1)?.rows[0] as (typeof readPosition)['row'];
    if (error !== undefined || row === undefined || row.lsn === null) {
      // Committed, but without the LSN there is no token: the repeat gets the answer with one.
      throw new StowageError('COMMIT_OUTCOME_UNKNOWN', { cause: error });
    }
    return parseLsn(row.lsn);
  }

  #context(): FailureContext {
    const { route, limits } = this.#options;
    return { phase: 'write', node: route.node, deadlineMs: limits.deadlineMs };
  }
}

function isSyncWaitGivenUp(notice: Notice): boolean {
  return notice.routine === SYNC_WAIT_ROUTINE;
}
