/** Makes partitions ahead of time; without the present one every write fails. */

import type { Router } from '../postgres/router-api.js';
import { statement } from '../postgres/statement.js';
import { jobCall } from './election.js';
import type { Job } from './job.js';

const NAME = 'ensure-partitions';
const INTERVAL_MS = 3_600_000;

const ensurePartitionsStatement = statement<{ made: number }>({
  name: NAME,
  intent: 'write',
  text: 'select stowage_ensure_partitions() as made',
});

/**
 * Makes what is missing of the partitions of now and of the near future (docs/schema.md) and gives
 * how many it made. A server does this before it serves. Callers wait for each other, so there is
 * no election: who returns knows that the partitions are there.
 * @throws what the router throws.
 */
export async function ensurePartitions(router: Router, signal: AbortSignal): Promise<number> {
  const { value } = await router.transaction(jobCall(NAME, signal), async (transaction) => {
    const [row] = await transaction.run(ensurePartitionsStatement, []);
    return row?.made ?? 0;
  });
  return value;
}

/** The job: hourly, where the partitions reach a week ahead. */
export function ensurePartitionsJob(router: Router): Job {
  return {
    name: NAME,
    intervalMs: INTERVAL_MS,
    async run(signal) {
      await ensurePartitions(router, signal);
    },
  };
}
