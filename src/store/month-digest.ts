/**
 * The digest of a month of the audit trail: rows are read in slices, on any node that has the
 * month as it is to be seen, and hashed as they come. docs/operations.md has the recipe.
 */

import { createHash, type Hash } from 'node:crypto';
import { StowageError } from '../errors.js';
import { backoffMs, pauseWithin } from '../lib/backoff.js';
import type { TimestampValue } from '../lib/timestamp.js';
import type { Call } from '../postgres/call.js';
import type { Router } from '../postgres/router-api.js';
import { repetition } from '../postgres/sqlstate.js';
import { type SealedBatch, type SealedKey, SealedRowCollector } from './sealed-rows.js';
import { sealedSlice } from './seals.sql.js';

/** A slice's snapshot is held for half a second. */
const SLICE_ROWS = 50_000;
const SLICE_TIMEOUT_MS = 60_000;
/** Failures in a row after which the reading is given up. */
const FAILURES_MAX = 6;
const PAUSE_MS = { first: 10, max: 2_000 };

/** Behind no row. */
const FIRST_KEY: SealedKey = {
  project: '',
  timestamp: { seconds: -62_135_596_800n, nanos: 0 },
  id: '00000000-0000-0000-0000-000000000000',
};

/** The events of one project on one day. */
export interface DayDigest {
  readonly project: string;
  /** `YYYY-MM-DD` (UTC). */
  readonly day: string;
  readonly rows: bigint;
  readonly sha256: Buffer;
}

/** A whole month. */
export interface MonthDigest {
  readonly rows: bigint;
  /** In the order of project and day. */
  readonly days: readonly DayDigest[];
  readonly sha256: Buffer;
}

/** A month's range. */
export interface MonthRange {
  readonly range_start: TimestampValue;
  readonly range_end: TimestampValue;
}

/**
 * Reads a month and hashes it.
 * @param call whose freshness is a token that covers what is to be seen.
 * @throws StowageError those of `router.stream`; the reason of the call's signal.
 */
export async function digestMonth(
  router: Pick<Router, 'stream'>,
  call: Call,
  { range_start, range_end }: MonthRange,
): Promise<MonthDigest> {
  const hasher = new DayHasher();
  let key = FIRST_KEY;
  let failures = 0;
  for (let isMore = true; isMore; ) {
    const rowsBefore = hasher.rows;
    try {
      const params = [range_start, range_end, key.project, key.timestamp, key.id, SLICE_ROWS];
      const collector = new SealedRowCollector();
      const slice = { ...call, deadlineMs: performance.now() + SLICE_TIMEOUT_MS };
      for await (const batch of router.stream(sealedSlice, params, slice, { collector })) {
        hasher.take(batch);
        key = batch.lastKey;
      }
      isMore = hasher.rows - rowsBefore === SLICE_ROWS;
      failures = 0;
    } catch (error) {
      failures = hasher.rows === rowsBefore ? failures + 1 : 1;
      if (failures >= FAILURES_MAX || call.signal.aborted || !isPassing(error)) throw error;
      await pauseWithin(backoffMs(failures - 1, PAUSE_MS.first, PAUSE_MS.max), call);
    }
  }
  return hasher.end();
}

/** The digest of a month by those of its days. */
export function digestOfDays(days: readonly Pick<DayDigest, 'sha256'>[]): Buffer {
  const hash = createHash('sha256');
  for (const { sha256 } of days) hash.update(sha256);
  return hash.digest();
}

/** Another node may have it: a standby is replayed upon, drained or lost. */
function isPassing(error: unknown): boolean {
  if (!(error instanceof StowageError)) return false;
  if (error.reason === 'NO_NODE' || error.reason === 'STANDBY_BEHIND') return true;
  return repetition(error, { role: 'standby', mustReplay: undefined }) !== 'never';
}

/** Hashes rows as they come, day by day. */
class DayHasher {
  rows = 0;
  readonly #days: DayDigest[] = [];
  #open: { project: string; day: string; rows: number; hash: Hash } | undefined;

  take({ bytes, runs }: SealedBatch): void {
    let at = 0;
    for (const { project, day, rows, end } of runs) {
      if (this.#open?.project !== project || this.#open.day !== day) {
        this.#close();
        this.#open = { project, day, rows: 0, hash: createHash('sha256') };
      }
      this.#open.hash.update(bytes.subarray(at, end));
      this.#open.rows += rows;
      this.rows += rows;
      at = end;
    }
  }

  end(): MonthDigest {
    this.#close();
    const days = this.#days;
    return { rows: BigInt(this.rows), days, sha256: digestOfDays(days) };
  }

  #close(): void {
    if (this.#open === undefined) return;
    const { project, day, rows, hash } = this.#open;
    this.#days.push({ project, day, rows: BigInt(rows), sha256: hash.digest() });
    this.#open = undefined;
  }
}
