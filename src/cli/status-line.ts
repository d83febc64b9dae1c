/** How far work is, on standard error: a line that changes on a terminal, some lines elsewhere. */

import { cutEnd } from './fit.js';
import { type Output, widthOf } from './output.js';

/** Shows one state after another. */
export interface StatusLine {
  /** Takes what nothing in needs an escape. */
  show(state: string): void;
  /** Says one sentence in between. */
  note(sentence: string): void;
  /** Takes the changing line away. */
  stop(): void;
}

const lineIntervalMs = 5_000;
const eraseLine = '\r\u001b[K';

/** Lines begin with the command's name; what changes on a terminal needs none. */
export function createStatusLine(output: Output, command: string): StatusLine {
  if (output.isTTY === true) {
    return {
      // One that the terminal breaks could not be taken away.
      show: (state) => output.write(`${eraseLine}${cutEnd(state, widthOf(output) - 1)}`),
      note: (sentence) => output.write(`${eraseLine}${sentence}\n`),
      stop: () => output.write(eraseLine),
    };
  }
  let saidMs = performance.now();
  const note = (sentence: string) => output.write(`${command}: ${sentence}\n`);
  return {
    show(state) {
      if (performance.now() - saidMs < lineIntervalMs) return;
      saidMs = performance.now();
      note(state);
    },
    note,
    stop: () => undefined,
  };
}
