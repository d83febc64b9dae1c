/**
 * Texts made to fit a terminal's width: cut with a mark, or broken between words. They are escaped
 * before, so that nothing in them acts on the terminal.
 */

import { displayWidth } from './display-width.js';

const mark = '…';

const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' });

/** What of the characters, one after the other, takes no more columns. */
function fitting(characters: readonly string[], columns: number): readonly string[] {
  let width = 0;
  const past = characters.findIndex((character) => {
    width += displayWidth(character);
    return width > columns;
  });
  return past === -1 ? characters : characters.slice(0, past);
}

const charactersOf = (text: string): string[] =>
  Array.from(graphemes.segment(text), ({ segment }) => segment);

/** The text as far as it fits; where it does not, its end is a mark. */
export function cutEnd(text: string, columns: number): string {
  if (displayWidth(text) <= columns) return text;
  return `${fitting(charactersOf(text), columns - 1).join('')}${mark}`;
}

/** The text; where it does not fit, a mark stands for its middle: names often differ at an end. */
export function cutMiddle(text: string, columns: number): string {
  if (displayWidth(text) <= columns) return text;
  const characters = charactersOf(text);
  const tailColumns = Math.floor((columns - 1) / 2);
  const head = fitting(characters, columns - 1 - tailColumns);
  const tail = fitting(characters.toReversed(), tailColumns).toReversed();
  return `${head.join('')}${mark}${tail.join('')}`;
}

/** The items in as few lines as fit, broken only between items; one that is too long is cut. */
export function wrapped(items: readonly string[], columns: number, gap = '  '): string[] {
  const lines: string[] = [];
  for (const item of items) {
    const longer = lines.length === 0 ? item : `${lines.at(-1)}${gap}${item}`;
    if (lines.length > 0 && displayWidth(longer) <= columns) lines[lines.length - 1] = longer;
    else lines.push(cutEnd(item, columns));
  }
  return lines;
}

/** A sentence in at most so many lines; its middle is cut before its end. */
export function wrappedSentence(sentence: string, columns: number, linesMax: number): string[] {
  const lines = wrapped(sentence.split(' '), columns, ' ');
  if (lines.length <= linesMax) return lines;
  const rest = lines.slice(linesMax - 1).join(' ');
  return [...lines.slice(0, linesMax - 1), cutMiddle(rest, columns)];
}

/** Words, and what stands between two grave accents: it is to be copied. */
const unbroken = /`[^`]+`[^ ]*|[^ ]+/g;

/** A text in lines that fit, broken at spaces; a word that is too long stays whole. */
export function broken(text: string, columns: number): string[] {
  const lines: string[] = [];
  for (const [word] of text.matchAll(unbroken)) {
    const longer = `${lines.at(-1)} ${word}`;
    if (lines.length > 0 && displayWidth(longer) <= columns) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
}
