/**
 * What a read must have seen, by its freshness: the highest revision of each key that was
 * acknowledged, or read, before what the read demands. Pure.
 */

import type { Demand, HistoryRecord, Position, ReadRecord, Round } from './history.js';
import type { KnownWrites } from './known-writes.js';
import type { Lineage } from './lineage.js';

/** A revision that must be seen, and who knew of it. */
export interface Need {
  readonly revision: number;
  readonly source: HistoryRecord | undefined;
}

const NO_NEED: Need = { revision: 0, source: undefined };

/** Marks in rising order, each with the highest revision so far. */
class Marks<At extends number | bigint> {
  readonly #marks: { readonly at: At; need: Need }[] = [];
  #isSorted = true;

  add(at: At, need: Need): void {
    this.#marks.push({ at, need });
    this.#isSorted = false;
  }

  /** The highest revision at or below the bound. */
  upTo(bound: At): Need {
    this.#sort();
    let [low, high] = [0, this.#marks.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#marks[middle]?.at ?? bound) <= bound) low = middle + 1;
      else high = middle;
    }
    return this.#marks[low - 1]?.need ?? NO_NEED;
  }

  #sort(): void {
    if (this.#isSorted) return;
    this.#isSorted = true;
    this.#marks.sort((a, b) => (a.at < b.at ? -1 : 1));
    let highest = NO_NEED;
    for (const mark of this.#marks) {
      if (mark.need.revision > highest.revision) highest = mark.need;
      mark.need = highest;
    }
  }
}

/** The demands of a round's reads, key by key. */
export class Needs {
  readonly #lineage: Lineage;
  /** By key: acknowledged changes that outlived every promotion, by the time of their answer. */
  readonly #byTime = new Map<string, Marks<number>>();
  /** By key and timeline: what was acknowledged or read, by the position of its token. */
  readonly #byPosition = new Map<string, Marks<bigint>>();

  constructor({ records }: Round, known: KnownWrites, lineage: Lineage) {
    this.#lineage = lineage;
    for (const write of known.writes) {
      if (write.outcome !== 'acked') continue;
      for (const { key, revision } of write.answers[0] ?? []) {
        const need = { revision, source: write };
        if (known.hasSurvived(write)) at(this.#byTime, key).add(write.endMs, need);
        this.#mark(key, write.position, need);
      }
    }
    for (const record of records) {
      if (record.kind !== 'read') continue;
      for (const { key, revision } of record.seen) {
        this.#mark(key, record.position, { revision, source: record });
      }
    }
  }

  #mark(key: string, position: Position | undefined, need: Need): void {
    if (position === undefined || this.#lineage.isAmbiguous(position)) return;
    at(this.#byPosition, `${position.timeline} ${key}`).add(position.lsn, need);
  }

  /** The lowest revision that the read may show of the key; 0: it may know nothing of it. */
  of({ demand, startMs }: Pick<ReadRecord, 'demand' | 'startMs'>, key: string): Need {
    switch (demand.kind) {
      case 'strong':
        return this.#byTime.get(key)?.upTo(startMs) ?? NO_NEED;
      case 'max_staleness':
        return this.#byTime.get(key)?.upTo(startMs - demand.stalenessMs) ?? NO_NEED;
      case 'at_least':
        return this.#atLeast(demand, key);
      case 'eventual':
        return NO_NEED;
    }
  }

  #atLeast({ position }: Extract<Demand, { kind: 'at_least' }>, key: string): Need {
    let highest = NO_NEED;
    for (const timeline of new Set([...this.#lineage.timelines, position.timeline])) {
      const marks = this.#byPosition.get(`${timeline} ${key}`);
      const need = marks?.upTo(this.#lineage.bound(timeline, position)) ?? NO_NEED;
      if (need.revision > highest.revision) highest = need;
    }
    return highest;
  }
}

function at<Key, Value extends number | bigint>(
  map: Map<Key, Marks<Value>>,
  key: Key,
): Marks<Value> {
  const found = map.get(key) ?? new Marks<Value>();
  map.set(key, found);
  return found;
}
