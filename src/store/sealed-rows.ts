/**
 * Collects rows of the audit trail as they stand on the wire, for a digest: the bytes of a row are
 * those of COPY's binary format, so that anybody can make the same digest with psql. Hashes
 * nothing: what is collected may be given up and come again.
 */

import type { TimestampValue } from '../lib/timestamp.js';
import type { TupleCollector } from '../postgres/router-api.js';

/** Enough for a thousand rows; a batch is hashed in a millisecond. */
const BATCH_BYTES = 256 * 1024;
const DAY_MICROS = 86_400_000_000n;
/** PostgreSQL counts its microseconds from 2000. */
const EPOCH_SECONDS = 946_684_800n;

/** Rows of one project on one day, one behind the other. */
export interface SealedRun {
  readonly project: string;
  /** `YYYY-MM-DD`. */
  readonly day: string;
  rows: number;
  /** The end of its bytes within the batch. */
  end: number;
}

/** Where a batch ends. */
export interface SealedKey {
  readonly project: string;
  readonly timestamp: TimestampValue;
  readonly id: string;
}

/** Some rows in the order of their keys. */
export interface SealedBatch {
  readonly bytes: Buffer;
  readonly runs: readonly SealedRun[];
  readonly lastKey: SealedKey;
}

/** Takes the rows of `sealed-slice`: project, timestamp and id come first. */
export class SealedRowCollector implements TupleCollector<SealedBatch> {
  #bytes = Buffer.allocUnsafe(2 * BATCH_BYTES);
  #length = 0;
  #runs: SealedRun[] = [];
  #run: SealedRun | undefined;
  #day = 0n;
  /** Within `bytes`. */
  #lastRow = 0;

  tuple(source: Buffer, start: number, end: number): void {
    this.#grow(end - start);
    this.#lastRow = this.#length;
    this.#length += source.copy(this.#bytes, this.#length, start, end);
    const { project, micros } = keyAt(this.#bytes, this.#lastRow);
    const day = floorDiv(micros, DAY_MICROS);
    if (this.#run?.project !== project || this.#day !== day) {
      this.#day = day;
      this.#run = { project, day: formatDay(day), rows: 0, end: 0 };
      this.#runs.push(this.#run);
    }
    this.#run.rows += 1;
    this.#run.end = this.#length;
  }

  isFull(): boolean {
    return this.#length >= BATCH_BYTES;
  }

  take(): SealedBatch | undefined {
    const runs = this.#runs;
    if (runs.length === 0) return undefined;
    const bytes = Buffer.from(this.#bytes.subarray(0, this.#length));
    const { project, micros, id } = keyAt(bytes, this.#lastRow);
    this.#length = 0;
    this.#runs = [];
    this.#run = undefined;
    return { bytes, runs, lastKey: { project, timestamp: timestampOf(micros), id } };
  }

  #grow(more: number): void {
    if (this.#length + more <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(2 * (this.#length + more));
    this.#bytes.copy(larger, 0, 0, this.#length);
    this.#bytes = larger;
  }
}

/** The first three columns, none of which is null: a count, then a length and bytes each. */
function keyAt(row: Buffer, start: number) {
  const projectAt = start + 6;
  const projectEnd = projectAt + row.readInt32BE(start + 2);
  const idAt = projectEnd + 16;
  return {
    project: row.toString('utf8', projectAt, projectEnd),
    micros: row.readBigInt64BE(projectEnd + 4),
    id: row.toString('hex', idAt, idAt + 16),
  };
}

const floorDiv = (value: bigint, by: bigint): bigint =>
  value >= 0n ? value / by : -((by - 1n - value) / by);

function formatDay(day: bigint): string {
  return new Date(Number(day * 86_400n + EPOCH_SECONDS) * 1000).toISOString().slice(0, 10);
}

function timestampOf(micros: bigint): TimestampValue {
  const seconds = floorDiv(micros, 1_000_000n);
  const nanos = Number(micros - seconds * 1_000_000n) * 1000;
  return { seconds: seconds + EPOCH_SECONDS, nanos };
}
