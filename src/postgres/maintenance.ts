/**
 * Maintenance jobs of this server: begun by callers, done one a session of the schema's owner, told
 * while they run and for a while after. At most two at a time, one a table among all servers.
 */

import type { Client } from 'pg';
import { v7 as uuid } from 'uuid';
import type { DatabaseLogin } from '../config.js';
import { StowageError } from '../errors.js';
import { type Deferred, deferred } from '../lib/deferred.js';
import { type Limits, settlesWithin, within } from '../lib/interruption.js';
import { withAdminConnection } from './admin-connection.js';
import { asDriverClient, destroyClient, nodeName } from './driver.js';
import { failureSentence, leftBehind, ownerReachedNone } from './maintenance-failure.js';
import { type MaintenanceProgress, noProgress } from './maintenance-progress.js';
import {
  findRelation,
  prepareSession,
  runningAlready,
  takeTable,
} from './maintenance-relations.js';
import { doMaintenance, type MaintenanceKind } from './maintenance-work.js';
import { toStowageError } from './sqlstate.js';

export type { MaintenanceKind } from './maintenance-work.js';

/** Each takes a connection, memory and the disk's time from everybody else. */
const RUNNING_MAX = 2;
const KEPT_MAX = 100;
/** A caller waits, for each node before the primary; other work has more patience. */
const CONNECT_TIMEOUT_MAX_MS = 3_000;
/** How long a cancel waits for the end, so that it can tell it. */
const CANCEL_WAIT_MS = 2_000;
const CLOSE_WAIT_MS = 5_000;
const DESTROY_WAIT_MS = 1_000;
/** The end of the session frees the table as well. */
const FREE_WAIT_MS = 1_000;

/** What a caller asks for. */
export interface MaintenanceOrder {
  readonly kind: MaintenanceKind;
  /** The name of a table, or of an index to reindex. */
  readonly target: string;
  /** Of a vacuum: statistics are made anew as well. */
  readonly analyze: boolean;
  readonly principal: string;
}

/** A job at one moment. */
export interface MaintenanceJob extends MaintenanceProgress {
  /** A UUIDv7. */
  readonly jobId: string;
  readonly kind: MaintenanceKind;
  readonly target: string;
  readonly principal: string;
  readonly state: 'running' | MaintenanceEnd['state'];
  /** Since 1970. */
  readonly startedAtMs: number;
  /** Undefined while it runs. */
  readonly endedAtMs: number | undefined;
  /** Why it failed, and what it has left; empty: nothing. */
  readonly error: string;
}

/** What is told of the end of a job. */
export interface MaintenanceEnd {
  readonly kind: MaintenanceKind;
  readonly state: 'succeeded' | 'failed' | 'cancelled';
  readonly durationMs: number;
  /** What ended it early; for logs only. */
  readonly cause: unknown;
}

/** One job with what ends it. */
interface Run {
  job: MaintenanceJob;
  readonly stopping: AbortController;
  readonly ended: Deferred<void>;
  client: Client | undefined;
}

/** The jobs of one server. */
export class Maintenance {
  readonly #login: DatabaseLogin | undefined;
  readonly #onEnd: (end: MaintenanceEnd) => void;
  /** The newest first. */
  readonly #runs: Run[] = [];
  /** Those that run or are about to. */
  readonly #open = new Set<Run>();
  #isClosed = false;

  /** Without a login nothing can be begun. `onEnd` is told of each job that had begun. */
  constructor(login: DatabaseLogin | undefined, onEnd: (end: MaintenanceEnd) => void) {
    this.#login = login;
    this.#onEnd = onEnd;
  }

  /**
   * Begins a job once `confirm` has resolved, which is asked when nothing else is in its way. What
   * `confirm` throws leaves everything as it was, and so does an end of the limits before that: a
   * lock or a silent node must not keep the place of a job that nobody waits for.
   * @throws StowageError MAINTENANCE_UNAVAILABLE without a login of the schema's owner,
   *   RELATION_NOT_FOUND, MAINTENANCE_RUNNING, NO_PRIMARY, DRAINING, DEADLINE_EXCEEDED, CANCELLED;
   *   and what `confirm` throws.
   */
  async begin(
    order: MaintenanceOrder,
    limits: Limits,
    confirm: (jobId: string) => Promise<unknown>,
  ): Promise<MaintenanceJob> {
    const owner = this.ownerLogin();
    const connectTimeoutMs = Math.min(owner.connectTimeoutMs, CONNECT_TIMEOUT_MAX_MS);
    const login = { ...owner, connectTimeoutMs };
    if (this.#open.size >= RUNNING_MAX) {
      // One that is about to begin can neither be asked about nor cancelled.
      const oldest = this.#runs.findLast(({ job }) => job.state === 'running');
      const sentence = `${RUNNING_MAX} maintenance jobs run on this server`;
      throw runningAlready(oldest?.job.jobId, sentence);
    }
    const run = makeRun(order);
    this.#open.add(run);
    const begun = deferred<void>();
    const session = this.#session(login, run, order, async () => {
      await confirm(run.job.jobId);
      // Whoever asked for it has been told meanwhile that it was not begun.
      run.stopping.signal.throwIfAborted();
      this.#keep(run);
      begun.resolve();
    });
    void session.then(begun.resolve, begun.reject).finally(() => this.#open.delete(run));
    try {
      const outcome = await within(begun.promise, limits);
      if ('value' in outcome) return run.job;
      const { interruption } = outcome;
      throw new StowageError(interruption === 'aborted' ? 'CANCELLED' : 'DEADLINE_EXCEEDED');
    } catch (error) {
      run.stopping.abort(error);
      destroy(run);
      const node = run.client === undefined ? '' : nodeName(run.client);
      throw toStowageError(error, { phase: 'write', node, deadlineMs: Infinity });
    }
  }

  /**
   * The login for work of the schema's owner that is no job, with all the patience that it was
   * given: PostgreSQL answers late on a busy machine, and its caller hears signs of life.
   * @throws StowageError MAINTENANCE_UNAVAILABLE without one, DRAINING.
   */
  ownerLogin(): DatabaseLogin {
    if (this.#login === undefined) throw new StowageError('MAINTENANCE_UNAVAILABLE');
    if (this.#isClosed) throw new StowageError('DRAINING');
    return this.#login;
  }

  /** @throws StowageError MAINTENANCE_JOB_NOT_FOUND. */
  get(jobId: string): MaintenanceJob {
    return this.#find(jobId).job;
  }

  /** The newest first, at most 100. */
  list(): readonly MaintenanceJob[] {
    return this.#runs.map(({ job }) => job);
  }

  /**
   * Ends a job that runs, and tells it as it is then: mostly ended, but what a REINDEX has left may
   * have to wait for old transactions before it can be dropped.
   * @throws StowageError MAINTENANCE_JOB_NOT_FOUND.
   */
  async cancel(jobId: string): Promise<MaintenanceJob> {
    const run = this.#find(jobId);
    run.stopping.abort(new StowageError('CANCELLED'));
    await settlesWithin(run.ended.promise, CANCEL_WAIT_MS);
    return run.job;
  }

  /** Cancels what runs, waits up to 6 s for its end, and begins nothing more. Never rejects. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const open = [...this.#open];
    for (const { stopping } of open) stopping.abort(new StowageError('DRAINING'));
    const ended = Promise.all(open.map((run) => run.ended.promise));
    if (await settlesWithin(ended, CLOSE_WAIT_MS)) return;
    open.forEach(destroy);
    await settlesWithin(ended, DESTROY_WAIT_MS);
  }

  /** One session from its begin to its end; rejects where the job did not begin. */
  async #session(
    login: DatabaseLogin,
    run: Run,
    order: MaintenanceOrder,
    begin: () => Promise<void>,
  ): Promise<void> {
    const { kind, target, analyze } = order;
    const { signal } = run.stopping;
    try {
      await withOwner(login, async (client) => {
        run.client = client;
        signal.throwIfAborted();
        await prepareSession(client, run.job.jobId);
        const what = kind === 'reindex' ? 'index' : 'table';
        const relation = await findRelation(client, what, target);
        await takeTable(client, relation);
        signal.throwIfAborted();
        await begin();
        const onProgress = (progress: MaintenanceProgress) => {
          run.job = { ...run.job, ...progress };
        };
        const work = { client, login, kind, analyze, relation, signal, onProgress };
        const outcome = doMaintenance(work).then(() => undefined, wrapped);
        await this.#end(run, await outcome);
      });
    } finally {
      run.ended.resolve();
    }
  }

  /** Frees the table before the end is told: whoever sees it may begin the next job at once. */
  async #end(run: Run, failure: Failure | undefined): Promise<void> {
    const freed = run.client?.query('select pg_advisory_unlock_all()');
    if (freed !== undefined) await settlesWithin(freed, FREE_WAIT_MS);
    this.#open.delete(run);
    const { job } = run;
    const end = endOf(job, failure, run.stopping.signal.aborted);
    const endedAtMs = Date.now();
    run.job = { ...job, ...end, phase: '', endedAtMs };
    run.ended.resolve();
    const durationMs = endedAtMs - job.startedAtMs;
    this.#onEnd({ kind: job.kind, state: end.state, durationMs, cause: failure?.error });
  }

  #keep(run: Run): void {
    run.job = { ...run.job, startedAtMs: Date.now() };
    this.#runs.unshift(run);
    forgetOldest(this.#runs);
  }

  #find(jobId: string): Run {
    const run = this.#runs.find(({ job }) => job.jobId === jobId.toLowerCase());
    if (run !== undefined) return run;
    throw new StowageError('MAINTENANCE_JOB_NOT_FOUND', { metadata: { job_id: jobId } });
  }
}

/** Keeps the newest 100, and what runs. */
export function forgetOldest(runs: { readonly job: Pick<MaintenanceJob, 'state'> }[]): void {
  const last = runs.findLastIndex(({ job }) => job.state !== 'running');
  if (runs.length > KEPT_MAX) runs.splice(last, 1);
}

/** What a job failed for, told apart from nothing. */
interface Failure {
  readonly error: unknown;
}

const wrapped = (error: unknown): Failure => ({ error });

function makeRun({ kind, target, principal }: MaintenanceOrder): Run {
  const times = { startedAtMs: Date.now(), endedAtMs: undefined };
  const what = { jobId: uuid(), kind, target, principal, state: 'running', error: '' } as const;
  return {
    job: { ...noProgress, ...what, ...times },
    stopping: new AbortController(),
    ended: deferred<void>(),
    client: undefined,
  };
}

function endOf(
  { done, total }: MaintenanceJob,
  failure: Failure | undefined,
  isCancelled: boolean,
): Pick<MaintenanceJob, 'error' | 'done'> & Pick<MaintenanceEnd, 'state'> {
  if (failure === undefined) return { state: 'succeeded', error: '', done: total };
  const { error } = failure;
  if (isCancelled) return { state: 'cancelled', error: leftBehind(error), done };
  return { state: 'failed', error: failureSentence(error), done };
}

/** Ends its session whatever it does; nothing where it has none. */
function destroy({ client }: Run): void {
  if (client !== undefined) destroyClient(asDriverClient(client));
}

/** A session of the owner; the addresses and words of a refusal are the log's. */
async function withOwner(
  login: DatabaseLogin,
  body: (client: Client) => Promise<void>,
): Promise<void> {
  let isConnected = false;
  try {
    await withAdminConnection(login, (client) => {
      isConnected = true;
      return body(client);
    });
  } catch (error) {
    if (isConnected) throw error;
    throw ownerReachedNone(error);
  }
}
