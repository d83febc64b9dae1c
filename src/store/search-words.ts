/**
 * What a word is, as `stowage_search_words` of the migrations has it: a run of letters and digits;
 * of Han and kana each character; of symbols such as emoji each one. Case and Unicode's ways to
 * compose a letter make no difference.
 */

/** Characters that are words by themselves: Han, kana and symbols. */
const SINGLE =
  '\\u2190-\\u2bff\\u3040-\\u30ff\\u3400-\\u4dbf\\u4e00-\\u9fff\\uf900-\\ufaff' +
  '\\u{1f000}-\\u{1faff}\\u{20000}-\\u{3ffff}';

const WORD = new RegExp(`[${SINGLE}]|(?:(?![${SINGLE}])[\\p{L}\\p{N}\\p{M}])+`, 'gu');
const SINGLES = new RegExp(`[${SINGLE}]`, 'gu');

/** Everything of ASCII that parts words, and a text up to the last of it. */
const SEPARATORS = /[^\P{ASCII}a-zA-Z0-9]+/gu;
const UP_TO_SEPARATOR = /^.*[^\P{ASCII}a-zA-Z0-9]/su;

/** A word and where it stands, in UTF-16 units. */
export interface PlacedWord {
  readonly word: string;
  readonly start: number;
  readonly end: number;
}

/** The form in which words are compared. */
const foldWord = (word: string): string => word.normalize('NFC').toLowerCase();

/** The words of a text in order. */
export function wordsOf(text: string): PlacedWord[] {
  return Array.from(text.matchAll(WORD), ({ 0: word, index }) => ({
    word: foldWord(word),
    start: index,
    end: index + word.length,
  }));
}

/** The text with its words parted by spaces and without what else ASCII has. */
export function partAscii(text: string): string {
  return text.replace(SEPARATORS, ' ').trim();
}

/** The characters of a text that are words by themselves, wherever they stand. */
export function singlesOf(text: string): string[] {
  return text.match(SINGLES) ?? [];
}

/**
 * The words that stand in every key with the prefix: those before its last separator, behind which
 * a word may go on.
 */
export function wholeWordsOf(prefix: string): string {
  return partAscii(UP_TO_SEPARATOR.exec(prefix)?.[0] ?? '');
}
