/** All jobs of a server, started and stopped as one. */

import type { KeepingSettings } from '../config-keeping.js';
import type { Router } from '../postgres/router-api.js';
import { cleanExportLeasesJob } from './clean-export-leases.js';
import { cleanRequestLogJob } from './clean-request-log.js';
import { ensurePartitionsJob } from './ensure-partitions.js';
import { expireObjectsJob } from './expire-objects.js';
import { createRunningJob, type Job, type JobOptions, type RunningJob } from './job.js';
import { noteTimelineJob } from './note-timeline.js';
import { sealMonthsJob } from './seal-months.js';

/** Every job there is. */
export function allJobs(router: Router, keeping: KeepingSettings): readonly Job[] {
  return [
    ensurePartitionsJob(router),
    cleanRequestLogJob(router, keeping.requestLogHours),
    cleanExportLeasesJob(router),
    expireObjectsJob({ router, keeping }),
    noteTimelineJob(router),
    sealMonthsJob({ router, keeping }),
  ];
}

/** All jobs as one: started together, stopped together, each in its own time. */
export function createJobs(
  router: Router,
  keeping: KeepingSettings,
  options: JobOptions = {},
): RunningJob {
  const jobs = allJobs(router, keeping).map((job) => createRunningJob(job, options));
  return {
    start() {
      for (const job of jobs) job.start();
    },
    async stop() {
      await Promise.all(jobs.map((job) => job.stop()));
    },
  };
}
