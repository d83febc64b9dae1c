/**
 * Notes how far the primary has come. Where the schema's owner may not read history files, and
 * nobody watched a promotion, the last note that has survived tells up to where history is shared.
 */

import type { Router } from '../postgres/router-api.js';
import { statement } from '../postgres/statement.js';
import { whenElected } from './election.js';
import type { Job } from './job.js';

const NAME = 'note-timeline';
const INTERVAL_MS = 60_000;

/** By the timeline of the log that is written, whatever rows there are; only forward. */
const noteTimeline = statement<never>({
  name: NAME,
  intent: 'write',
  text: `
    update timelines set reached_lsn = pg_current_wal_flush_lsn()
    where system_identifier = (select system_identifier from pg_control_system())
      and timeline = ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::integer
      and coalesce(reached_lsn, '0/0') < pg_current_wal_flush_lsn()`,
});

/** The job: once a minute. */
export function noteTimelineJob(router: Router): Job {
  return {
    name: NAME,
    intervalMs: INTERVAL_MS,
    async run(signal) {
      await whenElected(router, NAME, signal, (transaction) => transaction.run(noteTimeline, []));
    },
  };
}
