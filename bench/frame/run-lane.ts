/** Runs the subjects of a lane in turns. */

import { formatNumber } from './format.js';
import type { Measures, Samples, Subject } from './lane.js';

/** How to repeat. */
export interface Repetitions {
  /** Measured repetitions of each subject, 1 or more. */
  readonly count: number;
  /** Told what was done, as a phrase. */
  readonly onProgress: (step: string) => void;
  /** Ends the run before the next turn, with its reason. */
  readonly signal: AbortSignal;
}

/**
 * Runs each subject once unmeasured, because the first turn compiles and fills caches, then
 * `count` times in turns: forth, back, forth, so that no subject always follows the same one.
 */
export async function runInTurns(
  subjects: Readonly<Record<string, Subject>>,
  repetitions: Repetitions,
): Promise<Samples> {
  const { count, onProgress, signal } = repetitions;
  const forth = Object.entries(subjects);
  const samples = new Map<string, Measures[]>(forth.map(([name]) => [name, []]));
  for (let repetition = 0; repetition <= count; repetition += 1) {
    const order = repetition % 2 === 0 ? forth : forth.toReversed();
    for (const [name, subject] of order) {
      signal.throwIfAborted();
      const measures = await subject();
      const turn = repetition === 0 ? 'warm-up' : `${repetition}/${count}`;
      onProgress(`${turn} ${name}: ${describeMeasures(measures)}`);
      if (repetition > 0) samples.get(name)?.push(measures);
    }
  }
  return samples;
}

function describeMeasures(measures: Measures): string {
  return Object.entries(measures)
    .map(([name, value]) => `${name} ${formatNumber(value)}`)
    .join(', ');
}
