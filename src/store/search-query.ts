/**
 * Queries of words, brought to the one form that PostgreSQL is given: a tsquery whose operands are
 * quoted and hold letters, digits and spaces, so that it can neither be refused nor mean more than
 * was asked. Operands of several words are phrases.
 */

import { partAscii, wordsOf } from './search-words.js';

/** Words that must follow one another to match; what highlights are made of. */
export interface SearchTerm {
  readonly words: readonly string[];
  /** Whether each word may go on. */
  readonly isPrefix: boolean;
}

/** A query that PostgreSQL accepts. */
export interface WordQuery {
  /** For `to_tsquery`, once it has been through `stowage_search_marks`. */
  readonly tsquery: string;
  /** What is asked to be there; not what is asked not to be. */
  readonly terms: readonly SearchTerm[];
}

/** An operand that PostgreSQL drops, with the operator beside it. */
const NOTHING = "'.'";

/** An operand of a tsquery: quoted, or one that is dropped where the text has no words. */
export function operandOf(text: string): string {
  const parted = partAscii(text);
  return parted === '' ? NOTHING : `'${parted}'`;
}

/** The term that an operand asks for; none where the text has no words. */
export function termsOf(text: string, isPrefix: boolean): SearchTerm[] {
  const words = wordsOf(text).map(({ word }) => word);
  return words.length === 0 ? [] : [{ words, isPrefix }];
}

/** A word, a phrase, or the `or` between two of them. */
const WEB_TOKEN = /(?<not>-?)"(?<phrase>[^"]*)"?|(?<word>[^\s"]+)/gu;

/**
 * Reads what people type into search engines: words that must all be there, `"a phrase"`, `or`,
 * `-not`. Takes every text. Not PostgreSQL's `websearch_to_tsquery`, which would take
 * `invoices/2024.pdf` for one word.
 */
export function readWebQuery(query: string): WordQuery {
  const alternatives: string[][] = [[]];
  const terms: SearchTerm[] = [];
  for (const { groups = {} } of query.matchAll(WEB_TOKEN)) {
    const { phrase, word = '' } = groups;
    const last = alternatives.at(-1) ?? [];
    if (word.toLowerCase() === 'or' && last.length > 0) {
      alternatives.push([]);
      continue;
    }
    const isNegated = phrase === undefined ? word.startsWith('-') : groups['not'] === '-';
    const text = phrase ?? word;
    if (partAscii(text) === '') continue;
    last.push(`${isNegated ? '!' : ''}${operandOf(text)}`);
    if (!isNegated) terms.push(...termsOf(text, false));
  }
  const wanted = alternatives.filter((words) => words.length > 0);
  const tsquery = wanted.map((words) => words.join(' & ')).join(' | ');
  return { tsquery: tsquery === '' ? NOTHING : tsquery, terms };
}
