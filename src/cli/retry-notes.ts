/** Tells of failures that are waited out: of the first at once, then now and then. */

import { describeFailure } from './connection.js';

const noteIntervalMs = 5_000;

/** What to call with each failure; `note` gets a sentence that may go to a terminal. */
export function createRetryNotes(
  server: string,
  note: (sentence: string) => void,
): (error: unknown) => void {
  let notedMs = Number.NEGATIVE_INFINITY;
  return (error) => {
    const timeMs = performance.now();
    if (timeMs - notedMs < noteIntervalMs) return;
    notedMs = timeMs;
    note(`${describeFailure(error, server)}; trying again`);
  };
}
