/** Which positions the present history holds, by PostgreSQL's own word, not the service's. Pure. */

import type { Position, Timeline } from './history.js';

/** Beyond every LSN. */
const LSN_MAX = 1n << 64n;

/** The present history. */
export class Lineage {
  readonly #timelines: readonly Timeline[];

  constructor(timelines: readonly Timeline[]) {
    this.#timelines = timelines;
  }

  /** The timelines, oldest first. */
  get timelines(): readonly number[] {
    return this.#timelines.map(({ timeline }) => timeline);
  }

  /** The newest timeline. */
  get newest(): number {
    return this.#timelines.at(-1)?.timeline ?? 1;
  }

  /** Whether what happened up to the position outlived every promotion since. */
  holds(position: Position): boolean {
    return this.isIn(position, this.newest);
  }

  /** Whether a node on the timeline has all that happened up to the position. */
  isIn({ timeline, lsn }: Position, at: number): boolean {
    return timeline <= at && lsn <= this.reach(timeline, at);
  }

  /** How far a timeline is part of a later one's history; without an end of its own. */
  reach(timeline: number, at: number): bigint {
    if (!this.timelines.includes(timeline)) return -1n;
    let least = LSN_MAX;
    for (const row of this.#timelines) {
      const isBetween = row.timeline > timeline && row.timeline <= at;
      if (isBetween && row.switchLsn < least) least = row.switchLsn;
    }
    return least;
  }

  /** Whether nobody can tell which history the position is of. */
  isAmbiguous({ timeline, lsn, isReplayed = false }: Position): boolean {
    return isReplayed && lsn > this.reach(timeline, this.newest);
  }

  /** Up to where a timeline is part of what a node at the position has; none where it is not. */
  bound(timeline: number, at: Position): bigint {
    if (timeline > at.timeline) return -1n;
    if (timeline < at.timeline) return this.reach(timeline, at.timeline);
    return this.isAmbiguous(at) ? this.reach(timeline, this.newest) : at.lsn;
  }
}
