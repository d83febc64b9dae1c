/** Maintenance that callers begin: its ends are told beside those of the jobs that are repeated. */

import type { DatabaseLogin } from '../config.js';
import { Maintenance, type MaintenanceEnd, type MaintenanceKind } from '../postgres/maintenance.js';
import { type JobRun, jobRuns } from './job.js';

/** Makes a server's maintenance; without a login of the schema's owner nothing can be begun. */
export function createMaintenance(login: DatabaseLogin | undefined): Maintenance {
  const counts: Record<MaintenanceKind, { runs: number; failures: number }> = {
    vacuum: { runs: 0, failures: 0 },
    analyze: { runs: 0, failures: 0 },
    reindex: { runs: 0, failures: 0 },
  };
  return new Maintenance(login, ({ kind, state, durationMs, cause }) => {
    const outcome = outcomes[state];
    const count = counts[kind];
    count.runs += 1;
    if (outcome !== 'stopped') count.failures = outcome === 'failed' ? count.failures + 1 : 0;
    const run: JobRun = { job: kind, outcome, durationMs, ...count };
    jobRuns.publish(cause === undefined ? run : { ...run, error: cause });
  });
}

const outcomes = {
  succeeded: 'succeeded',
  failed: 'failed',
  cancelled: 'stopped',
} as const satisfies Record<MaintenanceEnd['state'], JobRun['outcome']>;
