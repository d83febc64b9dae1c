/** How far work of many commits is, on standard error: a line that changes, or some lines. */

import type { Output } from '../output.js';
import { formatCount } from '../scan/format.js';
import { createStatusLine, type StatusLine } from '../status-line.js';

/** Shows a number of objects that rises. */
export interface Counter extends Pick<StatusLine, 'note' | 'stop'> {
  show(count: number): void;
}

/** `done` is what became of the objects, such as `deleted`. */
export function createCounter(output: Output, command: string, done: string): Counter {
  const { show, note, stop } = createStatusLine(output, command);
  return { show: (count) => show(`${formatCount(count)} ${done}`), note, stop };
}
