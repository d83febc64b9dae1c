/**
 * Background work of a server: what a job is, and the one way it is started, repeated, counted and
 * stopped. Refuses to know what any job does.
 */

import { channel } from 'node:diagnostics_channel';
import { StowageError } from '../errors.js';
import { deferred } from '../lib/deferred.js';
import { settlesWithin, within } from '../lib/interruption.js';

/** Work that is repeated while the server runs. */
export interface Job {
  /** Unique, kebab-case: metric label and name of its election. */
  readonly name: string;
  /** From the end of a run to the begin of the next, in ms. */
  readonly intervalMs: number;
  /**
   * Does the work once, in bounded time; ends early when the signal is aborted. Every server runs
   * every job: what one of them shall do takes its election's lock (election.ts).
   */
  run(signal: AbortSignal): Promise<void>;
}

/** What `stowage:job-run` publishes at the end of every run. */
export interface JobRun {
  readonly job: string;
  /**
   * `stopped`: it failed because it was told to stop. `abandoned`: it did not end within the stop's
   * bound; its end is told once more if it comes.
   */
  readonly outcome: 'succeeded' | 'failed' | 'stopped' | 'abandoned';
  readonly durationMs: number;
  /** Runs of the job since it was made, this one included. */
  readonly runs: number;
  /** Failed runs since the last that succeeded. */
  readonly failures: number;
  /** Why a run `failed` or was `stopped`. */
  readonly error?: unknown;
}

/** A job that can be started and stopped, again and again. It never runs twice at a time. */
export interface RunningJob {
  /** Runs the job at once and then at its interval; nothing where it is started already. */
  start(): void;
  /**
   * Aborts a run that is going on, waits for its end, at most `stopTimeoutMs`, and starts no other.
   * A second call waits for the first; nothing where the job was not started. Never rejects.
   */
  stop(): Promise<void>;
}

/** Bounds of a {@link RunningJob}. */
export interface JobOptions {
  /** How long `stop` waits for a run; default 5000. */
  readonly stopTimeoutMs?: number;
  /** Delay after a failure; doubles with each further one, up to the interval. Default 1000. */
  readonly backoffMs?: number;
}

/** Where every run is published as a {@link JobRun}; telemetry listens. */
export const jobRuns = channel('stowage:job-run');

/** Makes a job startable. It does nothing until it is started. */
export function createRunningJob(job: Job, options: JobOptions = {}): RunningJob {
  const { stopTimeoutMs = 5000, backoffMs = 1000 } = options;
  let controller: AbortController | undefined;
  let loop: Promise<void> = Promise.resolve();
  let stopping: Promise<void> = Promise.resolve();
  let startedAt = 0;
  let runs = 0;
  let failures = 0;

  const publish = (outcome: JobRun['outcome'], error?: unknown): void => {
    const durationMs = performance.now() - startedAt;
    const cause = error === undefined ? {} : { error };
    jobRuns.publish({ job: job.name, outcome, durationMs, runs, failures, ...cause } as JobRun);
  };

  const runOnce = async (signal: AbortSignal): Promise<void> => {
    startedAt = performance.now();
    runs += 1;
    try {
      await job.run(signal);
      failures = 0;
      publish('succeeded');
    } catch (error) {
      if (signal.aborted) return publish('stopped', error);
      failures += 1;
      publish('failed', error);
    }
  };

  const repeat = async (signal: AbortSignal): Promise<void> => {
    while (!signal.aborted) {
      await runOnce(signal);
      const backedOffMs = Math.min(job.intervalMs, backoffMs * 2 ** Math.min(failures - 1, 30));
      const delayMs = failures === 0 ? job.intervalMs : backedOffMs;
      // A tenth less at random, so that servers which were started together drift apart.
      const deadlineMs = performance.now() + delayMs * (1 - Math.random() / 10);
      await within(deferred<void>().promise, { signal, deadlineMs });
    }
  };

  return {
    start() {
      if (controller !== undefined) return;
      controller = new AbortController();
      const { signal } = controller;
      // Behind a run that an earlier stop abandoned.
      loop = loop.then(() => repeat(signal));
    },
    stop() {
      if (controller === undefined) return stopping;
      controller.abort(new StowageError('DRAINING'));
      controller = undefined;
      stopping = settlesWithin(loop, stopTimeoutMs).then((ended) => {
        if (!ended) publish('abandoned');
      });
      return stopping;
    },
  };
}
