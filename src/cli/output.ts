/** Where a command reads and prints, and how JSON is printed. It asks nobody and calls nothing. */

import { once } from 'node:events';

/** A stream that may be a terminal. */
export interface Output extends NodeJS.WritableStream {
  readonly isTTY?: boolean;
  /** Of a terminal, where it tells. */
  readonly columns?: number;
  hasColors?(): boolean;
}

/** What a command has of its process. */
export interface Shell {
  readonly stdin: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  readonly stdout: Output;
  readonly stderr: Output;
  exitCode?: number | string | null | undefined;
}

/** Columns that lines have there; no end elsewhere than on a terminal. */
export function widthOf({ isTTY, columns }: Pick<Output, 'isTTY' | 'columns'>): number {
  // A terminal that was told no size says zero.
  return isTTY === true ? columns || 80 : Number.POSITIVE_INFINITY;
}

/** Writes and waits for a reader that is slower, so that a long output needs no memory. */
export async function print(stream: Output, text: string): Promise<void> {
  if (!stream.write(text)) await once(stream, 'drain');
}

/**
 * What JSON leaves as it is and a terminal may act on, or a reader cannot see. It can only stand
 * in texts, so that its escape means the same.
 */
const unprintable = /[\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Zl}\p{Zp}]/gu;

function escapeUnits(character: string): string {
  // Line breaks between the members of an indented document.
  if (character === '\n') return character;
  return Array.from({ length: character.length }, (_, index) => {
    const unit = character.charCodeAt(index).toString(16).padStart(4, '0');
    return `\\u${unit}`;
  }).join('');
}

/** The value as JSON on which no terminal acts; `indent` makes it a document for reading. */
export function jsonText(value: unknown, indent?: number): string {
  return JSON.stringify(value, undefined, indent).replace(unprintable, escapeUnits);
}
