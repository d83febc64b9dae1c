/** How far PostgreSQL is with a maintenance command. */

import type { Client } from 'pg';
import { buildUnits, readBuild } from './build-progress.js';

/** Where a command stands. */
export interface MaintenanceProgress {
  /** As PostgreSQL names it, such as `scanning heap`; empty where it tells nothing. */
  readonly phase: string;
  /** Of the present phase. */
  readonly done: number;
  /** 0: unknown. */
  readonly total: number;
  readonly unit: 'blocks' | 'tuples' | 'partitions' | '';
  /** The oid of the table that is worked on, where that is told. */
  readonly table?: string;
}

/** Nothing is told. */
export const noProgress: MaintenanceProgress = { phase: '', done: 0, total: 0, unit: '' };

/** Asks over another session of the same role how far the backend is. */
export async function readProgress(watcher: Client, pid: number): Promise<MaintenanceProgress> {
  const build = await readBuild(watcher, pid);
  if (build !== undefined) {
    const units = buildUnits(build);
    return { phase: build.phase, ...(units.total > 0 ? units : { ...units, unit: '' }) };
  }
  return (await readSweep(watcher, pid)) ?? (await readWait(watcher, pid));
}

async function readSweep(watcher: Client, pid: number): Promise<MaintenanceProgress | undefined> {
  const { rows } = await watcher.query<{
    phase: string;
    done: string;
    total: string;
    table: string;
  }>(
    `select phase, heap_blks_total as total, relid::text as "table",
       case phase when 'vacuuming heap' then heap_blks_vacuumed else heap_blks_scanned end as done
     from pg_stat_progress_vacuum where pid = $1
     union all
     select phase, sample_blks_total, relid::text, sample_blks_scanned
     from pg_stat_progress_analyze where pid = $1`,
    [pid],
  );
  const [row] = rows;
  if (row === undefined) return undefined;
  const { phase, table } = row;
  return { phase, table, done: Number(row.done), total: Number(row.total), unit: 'blocks' };
}

/** Nothing is told of a command before it has its lock. */
async function readWait(watcher: Client, pid: number): Promise<MaintenanceProgress> {
  const { rows } = await watcher.query(
    "select from pg_stat_activity where pid = $1 and wait_event_type = 'Lock'",
    [pid],
  );
  return rows.length === 0 ? noProgress : { ...noProgress, phase: 'waiting for a lock' };
}
