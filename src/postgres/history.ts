/**
 * The history of a cluster: its timelines and where each left its parent. One check tells whether a
 * position lies in a history; tokens and standbys go through the same one. Pure.
 */

/** Why a node is fenced: of another history or another cluster. */
export type FenceReason = 'other_cluster' | 'former_primary' | 'diverged' | 'split_brain';

/**
 * One timeline, recorded in the data by the first server that found a primary on it, before that
 * primary was sent any write.
 */
export interface TimelineRow {
  readonly timeline: number;
  /** Where it left its parent: what the parent wrote beyond is lost; 0 for the first. */
  readonly switchLsn: bigint;
  /** Microseconds since 1970. With the rest it identifies the row: two promotions of the same
   * number are two histories. */
  readonly recordedAt: bigint;
}

/** A point in some history. */
export interface HistoryPosition {
  readonly timeline: number;
  readonly lsn: bigint;
}

/** The newest row; undefined where there is none. Rows ascend by timeline. */
export function newestRow(rows: readonly TimelineRow[]): TimelineRow | undefined {
  return rows.at(-1);
}

/**
 * True where what happened up to the position is part of the history: its timeline was recorded in
 * it, and it is not past any switch since. A timeline without a row is none of this history's:
 * the row comes before everything that was written on it, so that without it all of that is lost.
 */
export function holds(
  history: readonly TimelineRow[],
  { timeline, lsn }: HistoryPosition,
): boolean {
  if (!history.some((row) => row.timeline === timeline)) return false;
  return lsn <= switchAfter(history, timeline);
}

/** The first switch since a timeline: how far its positions are good. Infinite for the newest. */
export function switchAfter(history: readonly TimelineRow[], timeline: number): bigint {
  return history
    .filter((row) => row.timeline > timeline)
    .reduce((least, { switchLsn }) => (switchLsn < least ? switchLsn : least), LSN_MAX);
}

/** Beyond every LSN. */
export const LSN_MAX = (1n << 64n) - 1n;

/** Whether two rows tell of the same promotion. */
export function sameRow(a: TimelineRow, b: TimelineRow): boolean {
  return a.timeline === b.timeline && a.switchLsn === b.switchLsn && a.recordedAt === b.recordedAt;
}
