/** Pauses between attempts: doubled each time, spread by chance, bounded. */

import { type Limits, within } from './interruption.js';
import { pause } from './wait.js';

/**
 * How long to pause before the next attempt, in ms: between a half and all of
 * `firstMs * 2 ** (failures - 1)`, at most `maxMs`. By chance, for those that met would meet again.
 */
export function backoffMs(failures: number, firstMs: number, maxMs: number): number {
  return Math.min(maxMs, firstMs * 2 ** (failures - 1)) * (0.5 + Math.random() / 2);
}

/** Pauses, no longer than the limits last. */
export async function pauseWithin(ms: number, limits: Limits): Promise<void> {
  await within(pause(ms), limits);
}
