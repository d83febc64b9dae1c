/**
 * Forgets the leases of exports that nobody has resumed for a day. Kept for so long because the
 * snapshot of a stream is nowhere else.
 */

import type { Router } from '../postgres/router-api.js';
import { statement } from '../postgres/statement.js';
import { whenElected } from './election.js';
import type { Job } from './job.js';

const NAME = 'clean-export-leases';
const INTERVAL_MS = 600_000;
const BATCH_SIZE_MAX = 1000;
const BATCHES_MAX = 100;

const forgetLeases = statement<{ forgotten: bigint }>({
  name: 'forget-leases',
  intent: 'write',
  text: `
    with old as (
      select project_id, lease_id
      from export_leases
      where expires_at < now() - interval '1 day'
      order by expires_at
      limit $1
      for update skip locked
    ), forgotten as (
      delete from export_leases using old
      where export_leases.project_id = old.project_id and export_leases.lease_id = old.lease_id
      returning 1
    )
    select count(*) as forgotten from forgotten`,
});

/** The job: in small transactions, 100,000 leases a run at most. */
export function cleanExportLeasesJob(router: Router): Job {
  return {
    name: NAME,
    intervalMs: INTERVAL_MS,
    async run(signal) {
      for (let batch = 0; batch < BATCHES_MAX && !signal.aborted; batch += 1) {
        const forgotten = await whenElected(router, NAME, signal, async (transaction) => {
          const [row] = await transaction.run(forgetLeases, [BATCH_SIZE_MAX]);
          return Number(row?.forgotten ?? 0n);
        });
        if (forgotten === undefined || forgotten < BATCH_SIZE_MAX) return;
      }
    },
  };
}
