/**
 * Purges objects whose `purge_at` has passed, in every project, in small commits that are fed and
 * audited like a caller's.
 */

import type { Writer } from '../store/commit.js';
import { expireObjects, projectsWithDue } from '../store/expire-objects.js';
import { isElected, jobCall } from './election.js';
import type { Job } from './job.js';

const NAME = 'expire-objects';
/** With the time that a run takes, `purge_at` is obeyed within a minute. */
const INTERVAL_MS = 25_000;
/** Commits of a run, of up to 1000 objects each: a backlog takes turns with other work. */
const COMMITS_MAX = 100;

/**
 * The job: what is due goes within a minute, or 100,000 objects a run where more is. A commit for
 * each project in turn, so that one with a million due objects does not hold up the others.
 */
export function expireObjectsJob(writer: Writer): Job {
  /** The project whose turn was last, also where a run ended amid them. */
  let after = '';
  return {
    name: NAME,
    intervalMs: INTERVAL_MS,
    async run(signal) {
      // A pass that begins amid the projects says nothing of those before.
      let isWorthAPass = after !== '';
      for (let left = COMMITS_MAX; left > 0 && !signal.aborted; ) {
        const projects = await projectsWithDue(writer.router, jobCall(NAME, signal), after);
        for (const project of projects.slice(0, left)) {
          const call = { ...jobCall(NAME, signal), project };
          // Before its turn: one that fails must not be the first of every run, before all others.
          after = project;
          const expired = await expireObjects(writer, call, (own) => isElected(own, NAME));
          // Another server is at it, and goes on.
          if (expired === undefined) return;
          isWorthAPass ||= expired > 0;
          left -= 1;
        }
        if (projects.length > 0) continue;
        after = '';
        // Nothing is due, or others hold all of it.
        if (!isWorthAPass) return;
        isWorthAPass = false;
      }
    },
  };
}
