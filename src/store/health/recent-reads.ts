/**
 * What one node has read of late, by its counters. Since they were last reset, which may be years
 * ago, they say little of now: after a backup that has read everything the share that memory
 * answered stays low for weeks, and after a good year it stays high whatever happens.
 */

import type { DatabaseActivity } from '../../../gen/stowage/v1/health_pb.js';

/** Blocks that memory answered, and those that it did not. */
export interface Reads {
  readonly hit: bigint;
  readonly read: bigint;
}

/** A window begins anew when it is so old; counters that were not looked at for longer are old. */
const WINDOW_MS = 10 * 60_000;

interface Look extends Reads {
  readonly atMs: number;
}

/** The difference between the newest counters and those that are ten to twenty minutes older. */
export class RecentReads {
  #former: Look | undefined;
  #base: Look | undefined;
  #last: Look | undefined;

  /** @param atMs on the clock of `performance.now()`. */
  add(activity: DatabaseActivity | undefined, atMs: number): void {
    if (activity === undefined) return;
    const look = { hit: activity.blocksHit, read: activity.blocksRead, atMs };
    const { hit, read, atMs: lastMs } = this.#last ?? look;
    const isGap = atMs - lastMs > WINDOW_MS;
    if (isGap || look.hit < hit || look.read < read) {
      this.#former = undefined;
      this.#base = undefined;
    } else if (this.#base !== undefined && atMs - this.#base.atMs >= WINDOW_MS) {
      this.#former = this.#base;
      this.#base = undefined;
    }
    this.#base ??= look;
    this.#last = look;
  }

  /** Nothing where the node was looked at once only. */
  get lately(): Reads {
    const from = this.#former ?? this.#base;
    if (from === undefined || this.#last === undefined) return { hit: 0n, read: 0n };
    return { hit: this.#last.hit - from.hit, read: this.#last.read - from.read };
  }
}
