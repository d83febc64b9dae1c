/** How far PostgreSQL is with building an index, asked over a second connection. */

import type { Client } from 'pg';
import type { AdminDatabase } from './admin-connection.js';
import { watchBackend } from './backend-watch.js';

/** Where a build stands. */
export interface BuildProgress {
  /** As PostgreSQL names it, such as `building index: scanning table`. */
  readonly phase: string;
  /** 0 to 1, of the whole. */
  readonly done: number;
}

/** A row of pg_stat_progress_create_index, which REINDEX has too. */
export interface BuildRow {
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
  const watched = watchBackend(database, builder, isOver.signal, async (watcher, pid) => {
    const row = await readBuild(watcher, pid);
    if (row !== undefined) onProgress(progressOf(row));
  });
  try {
    await build;
  } finally {
    isOver.abort();
    await watched;
  }
}

/** What PostgreSQL tells of the build of a backend; undefined where it builds nothing. */
export async function readBuild(watcher: Client, pid: number): Promise<BuildRow | undefined> {
  const { rows } = await watcher.query<BuildRow>(
    `select phase, blocks_done, blocks_total, tuples_done, tuples_total
     from pg_stat_progress_create_index where pid = $1`,
    [pid],
  );
  return rows[0];
}

/** What is counted in the present phase; nothing of it where the total is 0. */
export function buildUnits(row: BuildRow): {
  readonly unit: 'blocks' | 'tuples';
  readonly done: number;
  readonly total: number;
} {
  return row.phase.endsWith('in tree')
    ? { unit: 'tuples', done: Number(row.tuples_done), total: Number(row.tuples_total) }
    : { unit: 'blocks', done: Number(row.blocks_done), total: Number(row.blocks_total) };
}

/** The phases before, and the part of the present one. */
export function progressOf(row: BuildRow): BuildProgress {
  const at = PHASES.findIndex(([phase]) => phase === row.phase);
  const before = PHASES.slice(0, Math.max(0, at)).reduce((sum, [, share]) => sum + share, 0);
  const share = PHASES[at]?.[1] ?? 0;
  const { done, total } = buildUnits(row);
  return { phase: row.phase, done: before + (total > 0 ? (share * done) / total : 0) };
}
