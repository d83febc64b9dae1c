/** Awaits the runs of jobs by what they publish. */

import { type JobRun, jobRuns } from '../../src/jobs/job.js';
import { allJobs } from '../../src/jobs/jobs.js';
import { deferred } from '../../src/lib/deferred.js';
import type { Router } from '../../src/postgres/router-api.js';
import { keeping } from './keeping.js';

/** Of every job there is, in order. */
export const jobNames = allJobs({} as Router, keeping)
  .map(({ name }) => name)
  .sort();

/** What a job published, and a wait for more of it. */
export interface RecordedRuns {
  readonly runs: readonly JobRun[];
  /** Resolves with the first `count` runs; the test's own timeout is the bound. */
  first(count: number): Promise<readonly JobRun[]>;
  stop(): void;
}

/** Records the runs of one job from here on. */
export function recordRuns(job: string): RecordedRuns {
  const runs: JobRun[] = [];
  let more = deferred<void>();
  const listen = (message: unknown): void => {
    // The channel has one publisher.
    const run = message as JobRun;
    if (run.job !== job) return;
    runs.push(run);
    more.resolve();
    more = deferred<void>();
  };
  jobRuns.subscribe(listen);
  return {
    runs,
    async first(count) {
      while (runs.length < count) await more.promise;
      return runs.slice(0, count);
    },
    stop: () => jobRuns.unsubscribe(listen),
  };
}
