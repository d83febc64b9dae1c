/** How many rows a slice of a stream has, by what a row was found to weigh. */

/** Rows of the first slice. */
export const SLICE_ROWS_FIRST = 5_000;

const ROWS_MIN = 100;
const ROWS_MAX = 20_000;
const BYTES = 8 * 1024 * 1024;

/** How many rows a filtered slice passes: its snapshot is held for so long. */
export const PASSED_ROWS = 20_000;

/** Rows of a later slice: about 8 MiB of them, 100 to 20,000. */
export function sliceRows(bytesPerRow: number): number {
  const rows = Math.floor(BYTES / bytesPerRow);
  return Math.min(ROWS_MAX, Math.max(ROWS_MIN, rows));
}
