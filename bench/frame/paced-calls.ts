/** What calls at an even pace say of a fault. Pure. */

import type { PacedCall } from '../rig/paced-load.js';

/** When the first call succeeded that ended at or after `sinceMs`; undefined: none has yet. */
export function firstSuccessMs(calls: readonly PacedCall[], sinceMs: number): number | undefined {
  const ends = calls
    .filter(({ failure, endedMs }) => failure === undefined && endedMs >= sinceMs)
    .map(({ endedMs }) => endedMs);
  return ends.length === 0 ? undefined : Math.min(...ends);
}

/**
 * How long, at the longest stretch from `sinceMs` on, some call was under way that took more than
 * `normalMs` or failed; 0 where there was none. Not until the last such call: a call that is slow
 * for another reason, seconds later, would be taken for the fault's.
 */
export function longestGapMs(
  calls: readonly PacedCall[],
  sinceMs: number,
  normalMs: number,
): number {
  const slow = calls
    .filter(({ startedMs, endedMs, failure }) => {
      return endedMs > sinceMs && (failure !== undefined || endedMs - startedMs > normalMs);
    })
    .toSorted((a, b) => a.startedMs - b.startedMs);
  let longest = 0;
  let begunMs = Number.NEGATIVE_INFINITY;
  let untilMs = Number.NEGATIVE_INFINITY;
  for (const { startedMs, endedMs } of slow) {
    if (startedMs > untilMs) begunMs = Math.max(startedMs, sinceMs);
    untilMs = Math.max(untilMs, endedMs);
    longest = Math.max(longest, untilMs - begunMs);
  }
  return longest;
}

/** The longest that a call took, milliseconds; 0 where there was none. */
export function worstMs(calls: readonly PacedCall[]): number {
  return Math.max(0, ...calls.map(({ startedMs, endedMs }) => endedMs - startedMs));
}

/** How many failed, by reason. */
export function failuresOf(calls: readonly PacedCall[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { failure } of calls) {
    if (failure !== undefined) counts[failure] = (counts[failure] ?? 0) + 1;
  }
  return counts;
}
