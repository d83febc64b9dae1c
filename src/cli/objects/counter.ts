/** How far work of many commits is, on standard error: a line that changes, or some lines. */

import type { Output } from '../output.js';
import { formatCount } from '../scan/format.js';

/** Shows a number of objects that rises. */
export interface Counter {
  show(count: number): void;
  /** Says one sentence in between. */
  note(sentence: string): void;
  /** Takes the changing line away. */
  stop(): void;
}

const lineIntervalMs = 5_000;
const eraseLine = '\r\u001b[K';

/** `done` is what became of the objects, such as `deleted`. */
export function createCounter(output: Output, command: string, done: string): Counter {
  if (output.isTTY === true) {
    return {
      show: (count) => output.write(`${eraseLine}${formatCount(count)} ${done}`),
      note: (sentence) => output.write(`${eraseLine}${sentence}\n`),
      stop: () => output.write(eraseLine),
    };
  }
  let saidMs = performance.now();
  const note = (sentence: string) => output.write(`${command}: ${sentence}\n`);
  return {
    show(count) {
      if (performance.now() - saidMs < lineIntervalMs) return;
      saidMs = performance.now();
      note(`${formatCount(count)} ${done}`);
    },
    note,
    stop: () => undefined,
  };
}
