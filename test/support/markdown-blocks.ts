/** Code blocks of a markdown file, so that what a page tells the reader to run is run. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** One fenced block. */
export interface Block {
  /** The word behind the fence; empty where there is none. */
  readonly language: string;
  readonly text: string;
}

/** The blocks of a file of the checkout, in order. */
export function blocksOf(file: string): Block[] {
  const text = readFileSync(join(import.meta.dirname, '..', '..', file), 'utf8');
  return [...text.matchAll(/^```(\w*)\n(.*?)^```$/gms)].map(([, language = '', body = '']) => ({
    language,
    text: body,
  }));
}
