/** What a scan has come to so far: counted in one place, shown by the progress and the report. */

/** Counters of one scan; they only rise. */
export interface Tally {
  /** Regular files that are dealt with, without skipped ones. */
  files: number;
  /** Their bytes, read or not. */
  bytes: bigint;
  /** Bytes that were read for digests. */
  bytesDigested: number;
  /** Files with the recorded size and time, which were not read. */
  unchanged: number;
  /** Records whose file is gone. */
  missing: number;
  /** Of those, records that were deleted. */
  deleted: number;
  /** Entries of the tree that are not recorded. */
  skipped: number;
  /** Of those, the ones that could have been. */
  skippedByError: number;
  /** Records that were left alone because their place in the tree cannot be read. */
  hidden: number;
}

/** A tally of nothing. */
export function newTally(): Tally {
  return {
    files: 0,
    bytes: 0n,
    bytesDigested: 0,
    unchanged: 0,
    missing: 0,
    deleted: 0,
    skipped: 0,
    skippedByError: 0,
    hidden: 0,
  };
}
