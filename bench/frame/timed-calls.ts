/** How long one call takes where nothing else runs. */

import type { Measures } from './lane.js';
import { median } from './statistics.js';

/** Calls of a repetition. */
const CALLS = 41;

/** The median of calls that are made one after another. */
export async function timedCalls(call: () => Promise<unknown>): Promise<Measures> {
  const times: number[] = [];
  while (times.length < CALLS) {
    const begun = performance.now();
    await call();
    times.push(performance.now() - begun);
  }
  return { callMs: median(times) };
}
