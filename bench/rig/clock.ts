/** One clock for the bench and for the processes that it measures. */

/**
 * Milliseconds since some moment that all processes of a machine share. `performance.now()` counts
 * from the start of its own process, and the time of day may be set meanwhile.
 */
export function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
