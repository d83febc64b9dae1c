/**
 * The history of a cluster: its timelines, where each left its parent, and which of them were given
 * up. One check tells whether a position lies in a history: tokens and standbys go through the same
 * one. Pure.
 */

import type { Token } from '../lib/token-layout.js';

/**
 * One timeline, recorded in the data by the first server that found a primary on it, before that
 * primary was sent any write.
 */
export interface TimelineRow {
  readonly timeline: number;
  /** Where it left its parent: what the parent wrote beyond is lost; 0 for the first. */
  readonly switchLsn: bigint;
  /** Where it had come to when this was recorded: a node beyond has the row or is of another. */
  readonly recordedLsn: bigint;
  /**
   * Microseconds since 1970. With the rest it identifies the row: two promotions to the same
   * number are two histories.
   */
  readonly recordedAt: bigint;
}

/** A newer timeline that was given up for an older one, recorded in the data of the older one. */
export interface Acceptance {
  /** Rises by one each time. */
  readonly generation: number;
  /** The newest that had been seen. */
  readonly abandonedTimeline: number;
}

/** What a node's own data say of its past. Both ascend. */
export interface History {
  readonly timelines: readonly TimelineRow[];
  readonly acceptances: readonly Acceptance[];
}

/** Of two histories the one with the higher rank is right: by generation, then by timeline. */
export interface Rank {
  readonly generation: number;
  readonly timeline: number;
}

/** A point in some history, as tokens tell it. */
export type HistoryPosition = Pick<Token, 'timeline' | 'promotion' | 'lsn' | 'precision'>;

/** How far a node of some history may have replayed and still be of this one. */
export interface Bounds {
  /** Surely of it up to here. */
  readonly sure: bigint;
  /** Up to here it may be on its way from the switch to the row that tells of it. */
  readonly possible: bigint;
}

/** Nothing was recorded. */
export const NO_HISTORY: History = { timelines: [], acceptances: [] };

/** Below every rank that a node can have. */
export const NO_RANK: Rank = { generation: 0, timeline: 0 };

/** Beyond every LSN. */
const LSN_MAX = (1n << 64n) - 1n;

/** A row becomes visible somewhat behind where it was recorded, and others write meanwhile. */
const RECORD_BYTES = 65_536n;

/** The rank of a history, or of a primary with it that is on `timeline` and may lack its row. */
export function rankOf(history: History, timeline: number = newestTimeline(history)): Rank {
  return { generation: history.acceptances.at(-1)?.generation ?? 0, timeline };
}

/** Positive where `a` is the higher rank, 0 where they are equal. */
export function compareRanks(a: Rank, b: Rank): number {
  return a.generation - b.generation || a.timeline - b.timeline;
}

/** The newest timeline; 0 where nothing was recorded. */
export function newestTimeline({ timelines }: History): number {
  return timelines.at(-1)?.timeline ?? 0;
}

/** The highest timeline that was given up; 0 where none was. */
export function abandonedTimeline({ acceptances }: History): number {
  return Math.max(0, ...acceptances.map((acceptance) => acceptance.abandonedTimeline));
}

/**
 * True where what happened up to the position is part of the history: its timeline was recorded in
 * it, and no switch since lies before the position. A timeline without a row is none of this
 * history's: the row precedes all that was written on it, so that without it all of that is lost.
 */
export function holds(history: History, position: HistoryPosition): boolean {
  const { timeline, promotion, lsn, precision } = position;
  const own = history.timelines.find((row) => row.timeline === timeline);
  if (own === undefined || promotionOf(own) !== promotion) return false;
  const { sure, possible } = boundsAfter(history, timeline);
  return lsn <= (precision === 'exact' ? sure : possible);
}

/** How far positions on a timeline are good: up to the first switch since. */
function boundsAfter({ timelines }: History, timeline: number): Bounds {
  const later = timelines.filter((row) => row.timeline > timeline);
  const sure = least(later.map((row) => row.switchLsn));
  // Never before the switch: a timeline is recorded on the node that is on it.
  return { sure, possible: least(later.map((row) => row.recordedLsn + RECORD_BYTES)) };
}

function least(bounds: readonly bigint[]): bigint {
  const [first = LSN_MAX] = bounds.toSorted((a, b) => Number(a > b) - Number(a < b));
  return first;
}

/**
 * How far a node with these data may have replayed and still be of the history; undefined where it
 * is of another one. A node without rows stands before the first that was recorded.
 */
export function boundsOf(history: History, own: History): Bounds | undefined {
  const newest = own.timelines.at(-1);
  if (newest === undefined) return boundsAfter(history, history.timelines[0]?.timeline ?? 0);
  const isOurs = history.timelines.some((row) => sameRow(row, newest));
  return isOurs ? boundsAfter(history, newest.timeline) : undefined;
}

/** What tokens name a row by, beside its timeline. */
export function promotionOf({ recordedAt }: Pick<TimelineRow, 'recordedAt'>): number {
  return Number(BigInt.asUintN(32, recordedAt));
}

/** Whether two rows tell of the same promotion. */
export function sameRow(a: TimelineRow, b: TimelineRow): boolean {
  return a.timeline === b.timeline && a.switchLsn === b.switchLsn && a.recordedAt === b.recordedAt;
}

/** Whether two histories that grow by rows are one, as told twice. */
export function sameHistory(a: History, b: History): boolean {
  if (a === b) return true;
  const [newestA, newestB] = [a.timelines.at(-1), b.timelines.at(-1)];
  if (a.timelines.length !== b.timelines.length) return false;
  if (newestA && newestB && !sameRow(newestA, newestB)) return false;
  return compareRanks(rankOf(a), rankOf(b)) === 0;
}
