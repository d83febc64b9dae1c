/**
 * Append-only rows as a stream of one moment, however long it takes: its slices, short queries on
 * whatever node, show what the snapshot of its lease does. The lease travels in the resume token,
 * so that any server goes on with it.
 */

import type { Call } from '../postgres/call.js';
import type { TupleCollector } from '../postgres/router-api.js';
import { ExportLease, type LeasedRange } from './export-lease.js';
import { SLICE_ROWS_FIRST, sliceRows } from './slice-size.js';
import { type Slice, type SliceBatch, type SliceSource, streamSlices } from './slice-stream.js';
import type { Store } from './store.js';

/** Rows of one moment. */
export interface SnapshotSource extends Pick<SliceSource, 'args' | 'collector' | 'encode'> {
  readonly range: LeasedRange;
  /**
   * The slice behind a key, the empty one at the beginning: at most `rowsMax` rows that are visible
   * in the snapshot. Asks what it must by `call`.
   */
  slice(after: string, rowsMax: number, snapshot: string, call: Call): Slice | Promise<Slice>;
}

/**
 * Streams encoded messages, heartbeats among them; the last has the summary. Leaving early ends the
 * query and leaves the lease to who resumes the stream, until it expires; where no message was sent
 * nobody can.
 * @throws StowageError SNAPSHOT_EXPIRED where retention was forced, NO_PRIMARY where a stream that
 *   is not resumed has none, and those of `streamSlices`.
 */
export async function* streamSnapshot(
  store: Store,
  call: Call,
  source: SnapshotSource,
  resumeToken: string,
): AsyncGenerator<Uint8Array, void, undefined> {
  const held = new HeldSnapshot(store, source);
  let canBeResumed = resumeToken !== '';
  try {
    for await (const message of streamSlices(store, call, held, resumeToken)) {
      held.lease?.keep();
      canBeResumed = true;
      yield message;
    }
  } finally {
    if (held.isClosed || !canBeResumed) await held.lease?.end();
  }
}

/** A stream's slices at the snapshot of its lease. */
class HeldSnapshot implements SliceSource {
  readonly args: readonly string[];
  readonly collector: TupleCollector<SliceBatch>;
  readonly rowsFirst = SLICE_ROWS_FIRST;
  readonly rowsNext = sliceRows;
  readonly encode: SliceSource['encode'];
  readonly #store: Store;
  readonly #source: SnapshotSource;
  /** Undefined before it is made or taken up. */
  lease: ExportLease | undefined;
  /** All was sent. */
  isClosed = false;

  constructor(store: Store, source: SnapshotSource) {
    const { collector } = source;
    this.#store = store;
    this.#source = source;
    this.args = source.args;
    this.encode = source.encode;
    this.collector = {
      tuple: (bytes, start, end) => collector.tuple(bytes, start, end),
      isFull: () => collector.isFull(),
      take: () => {
        const batch = collector.take();
        return batch && { ...batch, lastKey: this.#within(batch.lastKey) };
      },
    };
  }

  async open({ lastKey, token }: { lastKey: string; token: string }, call: Call) {
    if (lastKey === '') {
      const lease = await ExportLease.make(this.#store, call, this.#source.range);
      this.lease = lease;
      return { lastKey: this.#within(''), token: lease.token };
    }
    const known: Call = { ...call, freshness: { kind: 'at_least', token } };
    const id = lastKey.slice(0, lastKey.indexOf(' '));
    this.lease = await ExportLease.resume(this.#store, known, id, token);
    return { lastKey, token };
  }

  async slice(lastKey: string, rowsMax: number, call: Call): Promise<Slice> {
    const { snapshot, token } = this.#held;
    const known: Call = { ...call, freshness: { kind: 'at_least', token } };
    const after = lastKey.slice(lastKey.indexOf(' ') + 1);
    const slice = await this.#source.slice(after, rowsMax, snapshot, known);
    return slice.end === undefined ? slice : { ...slice, end: this.#within(slice.end) };
  }

  async close(call: Call): Promise<void> {
    await this.#held.requireWhole(call);
    this.isClosed = true;
  }

  get #held(): ExportLease {
    if (this.lease === undefined) throw new Error('the stream was not opened');
    return this.lease;
  }

  /** A key as the stream's position has it: behind the lease. */
  #within(key: string): string {
    return `${this.#held.id} ${key}`;
  }
}
