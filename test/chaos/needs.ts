/**
 * What a read must have seen, by its freshness: the highest revision of each key that was
 * acknowledged, or read, before what the read demands. Pure.
 */

import type { Demand, Position, ReadRecord, Round } from './history.js';
import type { KnownWrites } from './known-writes.js';
import type { Lineage } from './lineage.js';

/** Marks in rising order, each with the highest revision so far. */
class Marks<At extends number | bigint> {
  readonly #marks: { readonly at: At; revision: number }[] = [];
  #isSorted = true;

  add(at: At, revision: number): void {
    this.#marks.push({ at, revision });
    this.#isSorted = false;
  }

  /** The highest revision at or below the bound; 0: none. */
  upTo(bound: At): number {
    this.#sort();
    let [low, high] = [0, this.#marks.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#marks[middle]?.at ?? bound) <= bound) low = middle + 1;
      else high = middle;
    }
    return this.#marks[low - 1]?.revision ?? 0;
  }

  #sort(): void {
    if (this.#isSorted) return;
    this.#isSorted = true;
    this.#marks.sort((a, b) => (a.at < b.at ? -1 : 1));
    let highest = 0;
    for (const mark of this.#marks) {
      highest = Math.max(highest, mark.revision);
      mark.revision = highest;
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
        if (known.hasSurvived(write)) at(this.#byTime, key).add(write.endMs, revision);
        this.#mark(key, write.position, revision);
      }
    }
    for (const record of records) {
      if (record.kind !== 'read') continue;
      for (const { key, revision } of record.seen) this.#mark(key, record.position, revision);
    }
  }

  #mark(key: string, position: Position | undefined, revision: number): void {
    if (position === undefined) return;
    at(this.#byPosition, `${position.timeline} ${key}`).add(position.lsn, revision);
  }

  /** The lowest revision that the read may show of the key; 0: it may know nothing of it. */
  of({ demand, startMs }: Pick<ReadRecord, 'demand' | 'startMs'>, key: string): number {
    switch (demand.kind) {
      case 'strong':
        return this.#byTime.get(key)?.upTo(startMs) ?? 0;
      case 'max_staleness':
        return this.#byTime.get(key)?.upTo(startMs - demand.stalenessMs) ?? 0;
      case 'at_least':
        return this.#atLeast(demand, key);
      case 'eventual':
        return 0;
    }
  }

  #atLeast({ position }: Extract<Demand, { kind: 'at_least' }>, key: string): number {
    const timelines = new Set([...this.#lineage.timelines, position.timeline]);
    const needs = [...timelines].map((timeline) => {
      const marks = this.#byPosition.get(`${timeline} ${key}`);
      return marks?.upTo(this.#lineage.bound(timeline, position)) ?? 0;
    });
    return Math.max(...needs);
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
