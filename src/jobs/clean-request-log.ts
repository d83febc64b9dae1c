/**
 * Forgets the answers of writes whose request ids need not be known any more. In small
 * transactions: one large one would keep vacuum and the standbys waiting.
 */

import type { Router } from '../postgres/router-api.js';
import { statement } from '../postgres/statement.js';
import { whenElected } from './election.js';
import type { Job } from './job.js';

const NAME = 'clean-request-log';
const INTERVAL_MS = 300_000;
const BATCH_SIZE_MAX = 1000;
/** With the interval 3,333 rows a second are forgotten: more than a primary takes single writes. */
const BATCHES_MAX = 1000;

const forgetRequests = statement<{ forgotten: bigint }>({
  name: 'forget-requests',
  intent: 'write',
  text: `
    with old as (
      select project_id, principal, request_id
      from request_log
      where created_at < now() - make_interval(hours => $1)
      order by created_at
      limit $2
    ), forgotten as (
      delete from request_log using old
      where request_log.project_id = old.project_id
        and request_log.principal = old.principal
        and request_log.request_id = old.request_id
      returning 1
    )
    select count(*) as forgotten from forgotten`,
});

/** The job: request ids are remembered for so many hours, then forgotten within minutes. */
export function cleanRequestLogJob(router: Router, keepHours: number): Job {
  return {
    name: NAME,
    intervalMs: INTERVAL_MS,
    async run(signal) {
      for (let batch = 0; batch < BATCHES_MAX && !signal.aborted; batch += 1) {
        const forgotten = await whenElected(router, NAME, signal, async (transaction) => {
          const [row] = await transaction.run(forgetRequests, [keepHours, BATCH_SIZE_MAX]);
          return Number(row?.forgotten ?? 0n);
        });
        if (forgotten === undefined || forgotten < BATCH_SIZE_MAX) return;
      }
    },
  };
}
