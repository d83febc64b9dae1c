/** Signs of life in a stream that has nothing to say. */

import { NEVER, within } from './interruption.js';

/**
 * Gives what the source gives and, whenever it takes longer than the interval, what `beat` makes.
 * Leaving early ends the source.
 * @param intervalMs Silence before each beat, in ms.
 * @throws what the source throws.
 */
export async function* withHeartbeats<T>(
  source: AsyncGenerator<T, void, undefined>,
  intervalMs: number,
  beat: () => Promise<T> | T,
): AsyncGenerator<T, void, undefined> {
  try {
    for (;;) {
      const next = source.next();
      let outcome = await within(next, { signal: NEVER, deadlineMs: later(intervalMs) });
      while ('interruption' in outcome) {
        yield await beat();
        outcome = await within(next, { signal: NEVER, deadlineMs: later(intervalMs) });
      }
      if (outcome.value.done === true) return;
      yield outcome.value.value;
    }
  } finally {
    await source.return();
  }
}

const later = (ms: number): number => performance.now() + ms;
