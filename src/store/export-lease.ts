/**
 * The lease of one stream: the snapshot that it reads at, on whatever node, and the word to
 * retention that its range is needed. Made on the primary; a standby that has its row has all that
 * its snapshot shows. Whether anything has gone is asked, never concluded from the lease's term: so
 * a renewal that comes too late costs nothing but retention's patience.
 */

import { v7 as uuid } from 'uuid';
import { StowageError } from '../errors.js';
import { backoffMs, pauseWithin } from '../lib/backoff.js';
import type { Call } from '../postgres/call.js';
import type { Statement } from '../postgres/statement.js';
import { systemCall } from '../postgres/system-call.js';
import { projectNotFound } from './commit.js';
import { endLease, type LeaseRow, openLease, readLease, renewLease } from './export-leases.sql.js';
import type { Store } from './store.js';

/** What a lease is of. */
export interface LeasedRange {
  readonly source: 'storage_audit' | 'storage_hooks' | 'storage_versions';
  /** Times as parameters of statements, `-infinity` and `infinity` among them. */
  readonly start: unknown;
  readonly end: unknown;
}

/** A third of its term, so that a renewal may fail. */
const RENEW_AFTER_MS = 300_000;
const RETRY_AFTER_MS = 30_000;
/** How long a stream that begins waits for a primary; it has no deadline. */
const MAKE_TIMEOUT_MS = 10_000;
/** How long a renewal or an end may take, which a stream waits for at its end. */
const WRITE_TIMEOUT_MS = 2_000;

/** What RetryInfo tells who found no primary to make a lease on, or a range that is leaving. */
const RETRY_DELAY_MS = 1_000;
/** Between two looks at a partition that leaves: a detach begins moments after its note. */
const LEAVING_PAUSE_MS = { first: 10, max: 500 };

/** A lease that is held. */
export class ExportLease {
  readonly id: string;
  /** As PostgreSQL writes a `pg_snapshot`. */
  readonly snapshot: string;
  /** Nodes that are at least so fresh have the lease. */
  readonly token: string;
  readonly #store: Store;
  readonly #call: Pick<Call, 'project' | 'method'>;
  #renewAtMs: number;
  #renewal: Promise<boolean> | undefined;

  private constructor(
    store: Store,
    call: Call,
    lease: { id: string; snapshot: string; token: string; renewAtMs: number },
  ) {
    this.#store = store;
    this.#call = { project: call.project, method: call.method };
    this.id = lease.id;
    this.snapshot = lease.snapshot;
    this.token = lease.token;
    this.#renewAtMs = lease.renewAtMs;
  }

  /**
   * Makes a lease. A partition of the range that retention is just taking out is waited for.
   * @throws StowageError PROJECT_NOT_FOUND, NO_PRIMARY, OVERLOADED where the wait was in vain, and
   *   those of `router.transaction`.
   */
  static async make(store: Store, call: Call, range: LeasedRange): Promise<ExportLease> {
    const deadlineMs = Math.min(call.deadlineMs, performance.now() + MAKE_TIMEOUT_MS);
    const bounded = { ...call, deadlineMs };
    for (let looks = 1; ; looks += 1) {
      const made = await ExportLease.#tryToMake(store, bounded, range);
      if (made !== undefined) return made;
      const pauseMs = backoffMs(looks, LEAVING_PAUSE_MS.first, LEAVING_PAUSE_MS.max);
      if (performance.now() + pauseMs >= deadlineMs) throw rangeLeaves();
      await pauseWithin(pauseMs, bounded);
    }
  }

  /** Undefined: something of the range leaves just now. */
  static async #tryToMake(
    store: Store,
    call: Call,
    { source, start, end }: LeasedRange,
  ): Promise<ExportLease | undefined> {
    const id = uuid();
    const params = [call.project, id, source, start, end, call.principal];
    try {
      const { value, token } = await store.router.transaction(call, (transaction) =>
        transaction.run(openLease, params),
      );
      const [row] = value;
      if (row?.is_leaving === true) return undefined;
      if (row === undefined || row.snapshot === null) throw projectNotFound(call.project);
      const renewAtMs = performance.now() + RENEW_AFTER_MS;
      return new ExportLease(store, call, { id, snapshot: row.snapshot, token, renewAtMs });
    } catch (error) {
      throw isInDoubt(error) ? notMade(error) : error;
    }
  }

  /**
   * Takes a lease up again, and renews it at the next occasion.
   * @throws StowageError SNAPSHOT_EXPIRED where it is forgotten or something of its range has gone.
   */
  static async resume(store: Store, call: Call, id: string, token: string): Promise<ExportLease> {
    const { snapshot } = await wholeLease(store, call, id);
    return new ExportLease(store, call, { id, snapshot, token, renewAtMs: 0 });
  }

  /**
   * Asks whether all of the range is still there.
   * @throws StowageError SNAPSHOT_EXPIRED
   */
  async requireWhole(call: Call): Promise<void> {
    await wholeLease(this.#store, call, this.id);
  }

  /** Renews it where that is due, beside the stream; one that fails is tried again. */
  keep(): void {
    if (this.#renewal !== undefined || performance.now() < this.#renewAtMs) return;
    this.#renewal = this.#write(renewLease).then((isDone) => {
      this.#renewAtMs = performance.now() + (isDone ? RENEW_AFTER_MS : RETRY_AFTER_MS);
      this.#renewal = undefined;
      return isDone;
    });
  }

  /** Lets retention have the range, at once where there is a primary, else by the term's end. */
  async end(): Promise<void> {
    // One that fails just now has told that there is no primary.
    if ((await this.#renewal) === false) return;
    await this.#write(endLease);
  }

  /** By a call of its own: the stream's may be over. Failures are told where statements are. */
  async #write(statement: Statement<never>): Promise<boolean> {
    const call = systemCall({ ...this.#call, timeoutMs: WRITE_TIMEOUT_MS });
    try {
      await this.#store.router.transaction(call, (transaction) =>
        transaction.run(statement, [call.project, this.id]),
      );
      return true;
    } catch {
      return false;
    }
  }
}

async function wholeLease(store: Store, call: Call, id: string): Promise<LeaseRow> {
  const [row] = await store.router.run(readLease, [call.project, id], call);
  if (row?.is_whole !== true) throw new StowageError('SNAPSHOT_EXPIRED');
  return row;
}

/** Whether the lease may have been made: if so nobody knows its snapshot, and it will expire. */
function isInDoubt(error: unknown): error is StowageError {
  if (!(error instanceof StowageError)) return false;
  return error.reason === 'COMMIT_OUTCOME_UNKNOWN' || error.reason === 'COMMIT_NOT_REPLICATED';
}

function notMade(cause: StowageError): StowageError {
  return new StowageError('NO_PRIMARY', { retryDelayMs: RETRY_DELAY_MS, cause });
}

function rangeLeaves(): StowageError {
  return new StowageError('OVERLOADED', {
    message: 'Retention is just taking a part of the range out; repeat after the delay.',
    retryDelayMs: RETRY_DELAY_MS,
  });
}
