/** How far PostgreSQL is with building an index, asked over a second connection. */

import { setTimeout as delay } from 'node:timers/promises';
import type { Client } from 'pg';
import { type AdminDatabase, withAdminConnection } from './admin-connection.js';

const ASK_INTERVAL_MS = 500;

/** Where a build stands. */
export interface BuildProgress {
  /** As PostgreSQL names it, such as `building index: scanning table`. */
  readonly phase: string;
  /** 0 to 1, of the whole. */
  readonly done: number;
}

interface ProgressRow {
  readonly phase: string;
  readonly blocks_done: string;
  readonly blocks_total: string;
  readonly tuples_done: string;
  readonly tuples_total: string;
}

/** What of the whole a phase is, in order; seen with a table of a million objects. */
const PHASES: readonly (readonly [phase: string, share: number])[] = [
  ['initializing', 0],
  ['waiting for writers before build', 0],
  ['building index: scanning table', 0.65],
  ['building index: sorting live tuples', 0.05],
  ['building index: loading tuples in tree', 0.1],
  ['waiting for writers before validation', 0],
  ['index validation: scanning index', 0.05],
  ['index validation: sorting tuples', 0.05],
  ['index validation: scanning table', 0.1],
  ['waiting for old snapshots', 0],
];

/**
 * Waits for a build and tells how far it is, every half second. What goes wrong with the asking is
 * no reason for the build to fail.
 * @throws what the build throws.
 */
export async function watchBuild(
  database: AdminDatabase,
  builder: Client,
  build: Promise<unknown>,
  onProgress: (progress: BuildProgress) => void,
): Promise<void> {
  const isOver = new AbortController();
  const watched = withAdminConnection(database, async (watcher) => {
    while (!isOver.signal.aborted) {
      const progress = await readProgress(watcher, builder);
      if (progress !== undefined) onProgress(progress);
      await delay(ASK_INTERVAL_MS, undefined, { signal: isOver.signal });
    }
  }).catch(() => undefined);
  try {
    await build;
  } finally {
    isOver.abort();
    await watched;
  }
}

async function readProgress(watcher: Client, builder: Client): Promise<BuildProgress | undefined> {
  const { rows } = await watcher.query<ProgressRow>(
    `select phase, blocks_done, blocks_total, tuples_done, tuples_total
     from pg_stat_progress_create_index where pid = $1`,
    // The driver has it; its published types do not.
    [(builder as unknown as { processID: number }).processID],
  );
  const [row] = rows;
  return row === undefined ? undefined : progressOf(row);
}

/** The phases before, and the part of the present one. */
export function progressOf(row: ProgressRow): BuildProgress {
  const at = PHASES.findIndex(([phase]) => phase === row.phase);
  const before = PHASES.slice(0, Math.max(0, at)).reduce((sum, [, share]) => sum + share, 0);
  const share = PHASES[at]?.[1] ?? 0;
  const isOfTuples = row.phase.endsWith('in tree');
  const [done, total] = isOfTuples
    ? [Number(row.tuples_done), Number(row.tuples_total)]
    : [Number(row.blocks_done), Number(row.blocks_total)];
  return { phase: row.phase, done: before + (total > 0 ? (share * done) / total : 0) };
}
