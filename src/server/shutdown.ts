/** How a server ends: the order in which its parts are closed, and the signals that ask for it. */

import type { RunningJob } from '../jobs/job.js';
import type { RouterHandle } from '../postgres/router-handle.js';
import type { Health } from './health.js';
import type { Outside } from './outside.js';
import type { Pipeline } from './pipeline.js';

/** A door as its end sees it. */
export interface ClosableDoor {
  /** Tells callers to go elsewhere; running calls go on, and pages tell of it to who asks. */
  stop(): void;
  /** Lets answers leave for at most `flushMs`, ends what is left, resolves when all is closed. */
  close(flushMs?: number): Promise<void>;
}

/** The parts of a server, in no order. */
export interface ServerParts {
  readonly health: Health;
  readonly doors: readonly ClosableDoor[];
  readonly pipeline: Pipeline;
  readonly jobs: RunningJob;
  /** Work that callers began and no call waits for. */
  readonly maintenance: { close(): Promise<void> };
  readonly router: RouterHandle;
  readonly outside: Outside;
  readonly graceMs: number;
}

/** Closes from the outside in, so that whatever still runs has what it runs on. */
export async function closeInOrder(parts: ServerParts): Promise<void> {
  const { health, doors, pipeline, jobs, maintenance, router, outside, graceMs } = parts;
  health.drain();
  for (const door of doors) {
    door.stop();
  }
  // At once, for it takes no call along, and has the calls' grace to clean up.
  const maintained = maintenance.close();
  await pipeline.drain(graceMs);
  await Promise.all(doors.map((door) => door.close()));
  await Promise.all([jobs.stop(), maintained]);
  await router.close();
  // Last, for what all of them have still told.
  await outside.close();
}

/** Resolves at the first SIGTERM or SIGINT. A second ends the process at once, with code 130. */
export function shutdownAsked(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let isAsked = false;
    const onSignal = (signal: NodeJS.Signals) => {
      if (isAsked) {
        process.exit(130);
      }
      isAsked = true;
      resolve(signal);
    };
    process.on('SIGTERM', onSignal);
    process.on('SIGINT', onSignal);
  });
}
