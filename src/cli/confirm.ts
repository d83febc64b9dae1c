/** Asks a person before what cannot be undone. */

import { createInterface } from 'node:readline';
import type { Shell } from './output.js';

/** Whether somebody is there to be asked. */
export function canAsk({ stdin, stderr }: Shell): boolean {
  return stdin.isTTY === true && stderr.isTTY === true;
}

/** Whether the person says yes; everything else, the end of the input and Ctrl-C too, is no. */
export async function confirm({ stdin, stderr }: Shell, question: string): Promise<boolean> {
  const lines = createInterface({ input: stdin, output: stderr, prompt: `${question} [y/N] ` });
  // Not `question()` of readline/promises: at the end of the input it is never answered.
  const answer = await new Promise<string | undefined>((resolve) => {
    lines.once('line', resolve);
    lines.once('close', () => resolve(undefined));
    lines.prompt();
  });
  lines.close();
  // What is said next does not stand behind the question.
  if (answer === undefined) stderr.write('\n');
  return answer !== undefined && /^y(es)?$/i.test(answer.trim());
}
