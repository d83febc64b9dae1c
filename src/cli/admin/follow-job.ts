/** Waits for the end of a maintenance job; Ctrl-C cancels it. */

import { setTimeout as pause } from 'node:timers/promises';
import {
  type AdminService,
  type Client,
  type MaintenanceJob,
  MaintenanceState,
} from '../../client/index.js';
import type { Shell } from '../output.js';
import { createRetryNotes } from '../retry-notes.js';
import { Patience } from '../scan/backoff.js';
import { escapeText } from '../scan/names.js';
import { createStatusLine } from '../status-line.js';
import { interruptedExitCode, stopOnSignal } from '../stop-signal.js';
import { jobName, progressText, tookText } from './jobs.js';

/** The calls of the service. */
export type AdminClient = Client<typeof AdminService>;

/** Who waits. */
export interface Follower {
  readonly client: AdminClient;
  /** As failures name it. */
  readonly server: string;
  readonly shell: Shell;
}

/** Small tables take no longer than the first pauses. */
const firstPauseMs = 50;
const pauseMsMax = 500;

/** What an answer about a job always has. */
export function jobOf({ job }: { readonly job?: MaintenanceJob | undefined }): MaintenanceJob {
  if (job === undefined) throw new Error('the server answered without the job');
  return job;
}

/** How a job is told while it runs. */
function statusText(job: MaintenanceJob): string {
  const progress = progressText(job);
  const took = tookText(job, new Date());
  return [`${jobName(job)}: ${progress === '' ? 'running' : progress}`, took].join(', ');
}

/**
 * Begins a job and resolves with it as it ended. The first Ctrl-C asks the server to cancel it,
 * the second leaves it to the server; a server that goes away is waited for, a minute at most.
 * @throws CallError what `begin` throws, and what does not pass
 */
export async function runToEnd(
  begin: () => Promise<MaintenanceJob>,
  { client, server, shell }: Follower,
): Promise<MaintenanceJob> {
  const line = createStatusLine(shell.stderr, 'admin');
  const stop = stopOnSignal(() => {
    line.note('asking the server to cancel the job; once more to leave it to the server');
  });
  const onRetry = createRetryNotes(server, line.note);
  // Not with the signal of Ctrl-C: the job is still to be cancelled then.
  const patience = new Patience({ signal: new AbortController().signal, onRetry });
  try {
    let job = await begin();
    line.note(`${jobName(job)} began as job ${escapeText(job.jobId)}`);
    let isCancelled = false;
    // What was told before a failure is not how far the job is.
    let isKnown = true;
    let pauseMs = firstPauseMs;
    while (job.state === MaintenanceState.RUNNING) {
      if (isKnown) line.show(statusText(job));
      await pauseUnless(pauseMs, isCancelled ? undefined : stop.signal);
      pauseMs = Math.min(pauseMsMax, 2 * pauseMs);
      const { jobId } = job;
      const isCancelWanted: boolean = stop.signal.aborted && !isCancelled;
      try {
        const answer = isCancelWanted
          ? await client.cancelMaintenanceJob({ jobId })
          : await client.getMaintenanceJob({ jobId });
        job = jobOf(answer);
        isCancelled ||= isCancelWanted;
        isKnown = true;
        patience.progress();
      } catch (error) {
        isKnown = false;
        await patience.waitOut(error);
      }
    }
    return job;
  } finally {
    if (stop.signal.aborted) shell.exitCode = interruptedExitCode;
    line.stop();
    stop.release();
  }
}

/** Pauses between two looks, no longer than until the signal. */
async function pauseUnless(ms: number, signal: AbortSignal | undefined): Promise<void> {
  await pause(ms, undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
}
