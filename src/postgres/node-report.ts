/** Reads what a probe's statements answered. Pure. */

import type { probe, readHistory } from './control.sql.js';
import type { History, TimelineRow } from './history.js';
import { parseLsn } from './lsn.js';
import type { NodeReport } from './router-state.js';
import type { StepResult } from './unit.js';

type ProbeRow = NonNullable<(typeof probe)['row']>;
type HistoryRow = NonNullable<(typeof readHistory)['row']>;

/**
 * The report of a probe.
 * @param results of the probe and, where its tables are there, of its history.
 */
export function reportOf(
  results: readonly StepResult[],
  askedAtMs: number,
  hasHistory: boolean,
): NodeReport {
  const row = results[0]?.rows[0] as ProbeRow | undefined;
  if (row === undefined) throw new Error('a probe has no row');
  const past = hasHistory ? (results[1]?.rows[0] as HistoryRow | undefined) : undefined;
  return {
    askedAtMs,
    role: row.in_recovery ? 'standby' : 'primary',
    // The identifier is unsigned; SQL has no type for that and shows it as a signed one.
    systemIdentifier: BigInt.asUintN(64, row.system_identifier),
    timeline: row.wal_file === null ? undefined : Number.parseInt(row.wal_file.slice(0, 8), 16),
    checkpointTimeline: row.checkpoint_timeline,
    lsn: row.lsn === null ? undefined : parseLsn(row.lsn),
    startedAt: row.started_at,
    history: past && historyOf(past),
    drained: past?.drained ?? [],
  };
}

function historyOf(row: HistoryRow): History {
  const timelines = (row.timelines ?? []).map(
    (timeline, index): TimelineRow => ({
      timeline,
      switchLsn: parseLsn(row.switch_lsns?.[index] ?? ''),
      recordedLsn: parseLsn(row.recorded_lsns?.[index] ?? ''),
      recordedAt: row.recorded_at?.[index] ?? 0n,
    }),
  );
  const acceptances = (row.generations ?? []).map((generation, index) => ({
    generation,
    abandonedTimeline: row.abandoned?.[index] ?? 0,
  }));
  return { timelines, acceptances };
}
