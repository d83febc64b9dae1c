/** Highlights: the parts of an object in which a search was found, as a line for people. */

import type { JsonValue } from '@bufbuild/protobuf';
import type { StorageObject } from '../../gen/stowage/v1/storage_object_pb.js';
import type { SearchTerm } from './search-query.js';
import { type PlacedWord, wordsOf } from './search-words.js';

/** How many parts are shown. */
const PARTS_MAX = 4;
/** How much of a text is shown on each side of the first match. */
const CONTEXT_CHARACTERS = 80;
/** How much of a text is looked at, and of the path of a value in metadata. */
const TEXT_CHARACTERS_MAX = 16_384;
const PATH_CHARACTERS_MAX = 64;
/** How many terms are looked for. */
const TERMS_MAX = 32;
const OPENING = '\u00ab';
const CLOSING = '\u00bb';

/** A stretch of a text, in UTF-16 units. */
interface Span {
  readonly start: number;
  readonly end: number;
}

/** Finds the stretches of a text that match. */
export type Marker = (text: string) => Span[];

/** Marks the words of terms, of the first 32 of them. */
export function markTerms(terms: readonly SearchTerm[]): Marker {
  const wanted = terms.slice(0, TERMS_MAX);
  return (text) => {
    const words = wordsOf(text);
    const spans: Span[] = [];
    for (let at = 0; at < words.length; at += 1) {
      for (const term of wanted) {
        if (matches(words, at, term)) spans.push(spanOf(words.slice(at, at + term.words.length)));
      }
    }
    return spans;
  };
}

/** Whether a term stands at a place among words. Copies nothing: most stand at few places. */
function matches(words: readonly PlacedWord[], at: number, term: SearchTerm): boolean {
  return term.words.every((wanted, offset) => {
    const word = words[at + offset]?.word;
    return word !== undefined && (term.isPrefix ? word.startsWith(wanted) : word === wanted);
  });
}

const spanOf = (placed: readonly PlacedWord[]): Span => ({
  start: placed[0]?.start ?? 0,
  end: placed.at(-1)?.end ?? 0,
});

/** Marks a part of a text, whatever its case. */
export function markPart(part: string): Marker {
  const pattern = part.replaceAll(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
  return (text) =>
    Array.from(text.matchAll(new RegExp(pattern, 'giu')), ({ 0: found, index }) => ({
      start: index,
      end: index + found.length,
    }));
}

/**
 * The line for an object: its key, content type and metadata where they match, at most four parts;
 * its key alone where none does.
 * @param isOfKeys whether nothing but keys was searched
 */
export function highlight(object: StorageObject, mark: Marker, isOfKeys: boolean): string {
  const texts: [name: string, text: string][] = [['', object.objectKey]];
  if (!isOfKeys) {
    texts.push(['content type: ', object.contentType], ...leavesOf('', object.metadata ?? {}));
  }
  const parts: string[] = [];
  for (const [name, text] of texts) {
    const cut = text.slice(0, TEXT_CHARACTERS_MAX);
    const spans = merged(mark(cut));
    // A cut may part a surrogate pair, and no message can hold half of one.
    if (spans.length > 0) parts.push((name + marked(cut, spans)).toWellFormed());
    if (parts.length === PARTS_MAX) break;
  }
  return parts.length === 0 ? object.objectKey : parts.join(' \u00b7 ');
}

/** The values of metadata that are searched, with their paths. */
function leavesOf(path: string, value: JsonValue): [name: string, text: string][] {
  if (value === null) return [];
  if (typeof value !== 'object') {
    return [[`${path.slice(0, PATH_CHARACTERS_MAX)}: `, String(value)]];
  }
  return Object.entries(value).flatMap(([name, inner]) =>
    leavesOf(path === '' ? name : `${path}.${name}`, inner),
  );
}

/** Spans in order; those that touch or overlap are one. */
function merged(spans: readonly Span[]): Span[] {
  const sorted = spans.toSorted((left, right) => left.start - right.start);
  const result: Span[] = [];
  for (const span of sorted) {
    const last = result.at(-1);
    if (last !== undefined && span.start <= last.end) {
      result[result.length - 1] = { start: last.start, end: Math.max(last.end, span.end) };
    } else {
      result.push(span);
    }
  }
  return result;
}

/** The text around the first span, with every span in it marked. */
function marked(text: string, spans: readonly Span[]): string {
  const first = spans[0] ?? { start: 0, end: 0 };
  const from = Math.max(0, first.start - CONTEXT_CHARACTERS);
  const to = Math.min(text.length, first.start + 2 * CONTEXT_CHARACTERS);
  let result = from > 0 ? '…' : '';
  let at = from;
  for (const { start, end } of spans) {
    if (start >= to) break;
    result += `${text.slice(at, start)}${OPENING}${text.slice(start, Math.min(end, to))}${CLOSING}`;
    at = Math.min(end, to);
  }
  return result + text.slice(at, to) + (to < text.length ? '…' : '');
}
