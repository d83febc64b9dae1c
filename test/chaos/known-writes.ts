/**
 * The writes of a round beside the changes that the database has of them: who made which state of
 * which key, and what outlived the promotions. Pure.
 */

import type { FeedRow, Round, Seen, WriteRecord } from './history.js';
import type { Lineage } from './lineage.js';

/** A state of the present history, with the write that made it; undefined: nobody is known. */
export interface KnownState {
  readonly seen: Seen;
  readonly row: FeedRow;
  readonly write: WriteRecord | undefined;
}

/** Everything that is known of the writes of a round. */
export class KnownWrites {
  readonly writes: readonly WriteRecord[];
  /** By key, in the order of the feed. */
  readonly states: ReadonlyMap<string, readonly KnownState[]>;
  readonly #byRequestId = new Map<string, WriteRecord>();
  readonly #byTag = new Map<string, WriteRecord>();
  readonly #lineage: Lineage;

  constructor({ records, final }: Round, lineage: Lineage) {
    this.writes = records.filter((record) => record.kind === 'write');
    this.#lineage = lineage;
    for (const write of this.writes) {
      this.#byTag.set(write.tag, write);
      if (write.requestId !== undefined) this.#byRequestId.set(write.requestId, write);
    }
    const states = new Map<string, KnownState[]>();
    for (const row of final.feed) {
      const list = states.get(row.key) ?? [];
      states.set(row.key, list);
      list.push(this.#stateOf(row));
    }
    this.states = states;
  }

  #stateOf(row: FeedRow): KnownState {
    const { key, revision, requestId } = row;
    // A deletion leaves the tag of the write before it.
    const write =
      requestId === undefined ? this.#byTag.get(row.tag) : this.#byRequestId.get(requestId);
    // The project's rows have no owner.
    const tag = key === '' ? (write?.tag ?? '') : row.tag;
    const isLive = !row.kind.endsWith('.deleted');
    return { seen: { key, revision, tag, isLive }, row, write };
  }

  withTag(tag: string): WriteRecord | undefined {
    return this.#byTag.get(tag);
  }

  withRequestId(requestId: string): WriteRecord | undefined {
    return this.#byRequestId.get(requestId);
  }

  /** Whether an acknowledged write must be in the present history. */
  hasSurvived({ outcome, position }: WriteRecord): boolean {
    return outcome === 'acked' && (position === undefined || this.#lineage.holds(position));
  }

  /** The present history's state of a key at a revision. */
  stateAt(key: string, revision: number): KnownState | undefined {
    return this.states.get(key)?.find(({ row }) => row.revision === revision);
  }
}
