/** Looks at what a backend does, over a second session of the schema's owner, while it does it. */

import { setTimeout as delay } from 'node:timers/promises';
import type { Client } from 'pg';
import { type AdminDatabase, withAdminConnection } from './admin-connection.js';
import { asDriverClient, destroyClient } from './driver.js';

const LOOK_INTERVAL_MS = 500;
/** How long after a session was lost, or could not be had, the next is asked for. */
const SESSION_INTERVAL_MS = 5_000;

/** One look at the backend with that process id. */
export type Look = (watcher: Client, pid: number) => Promise<void>;

/**
 * Looks every half second until the signal is aborted. What goes wrong with the looking is no
 * reason for the work to fail: it is left out. Never rejects.
 */
export async function watchBackend(
  database: AdminDatabase,
  backend: Client,
  signal: AbortSignal,
  look: Look,
): Promise<void> {
  const { processID } = asDriverClient(backend);
  while (!signal.aborted) {
    try {
      await withAdminConnection(database, async (watcher) => {
        // A node that has fallen silent must not hold up the end of the work.
        const leave = () => destroyClient(asDriverClient(watcher));
        signal.addEventListener('abort', leave, { once: true });
        try {
          while (!signal.aborted) {
            await look(watcher, processID);
            await delay(LOOK_INTERVAL_MS, undefined, { signal });
          }
        } finally {
          signal.removeEventListener('abort', leave);
        }
      });
    } catch {
      await delay(SESSION_INTERVAL_MS, undefined, { signal }).catch(() => undefined);
    }
  }
}
