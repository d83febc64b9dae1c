/**
 * PostgreSQL's tsquery, read as PostgreSQL reads it: it says that a query is broken but not where,
 * and a caller has to be told.
 */

import { StowageError } from '../errors.js';
import { operandOf, type SearchTerm, termsOf, type WordQuery } from './search-query.js';

/** The largest distance of `<N>`. */
const DISTANCE_MAX = 16_384;
/** How much of the query an error shows on each side. */
const SHOWN_CHARACTERS = 24;

/** Characters that end a word and begin something else. */
const OPERATORS = new Set(['!', '&', '|', '(', ')', '<']);
/** Of ASCII only: whether others are spaces is another thing in each locale of PostgreSQL. */
const SPACES = new Set([' ', '\t', '\n', '\v', '\f', '\r']);
const isSpace = (character: string): boolean => SPACES.has(character);

/** An opened parenthesis. */
interface Group {
  /** Where it was opened, from 0. */
  readonly at: number;
  /** Whether what is in it is asked not to be there. */
  readonly isNegated: boolean;
}

/**
 * Reads a tsquery, such as `invoice & (finance | tax) & !draft`, `invoic:*`, `a <-> b`.
 * @throws StowageError INVALID_REQUEST with `position`, in characters from 1, where it is broken.
 */
export function readTsquery(query: string): WordQuery {
  return new TsqueryReader(query).read();
}

class TsqueryReader {
  readonly #characters: readonly string[];
  readonly #parts: string[] = [];
  readonly #terms: SearchTerm[] = [];
  readonly #groups: Group[] = [];
  #at = 0;
  /** Whether the next operand or group follows an odd number of `!`. */
  #isNegated = false;

  constructor(query: string) {
    this.#characters = Array.from(query);
  }

  read(): WordQuery {
    this.#skipSpaces();
    if (this.#next === undefined) return { tsquery: operandOf(''), terms: [] };
    do this.#readOperand();
    while (this.#readOperator());
    return { tsquery: this.#parts.join(' '), terms: this.#terms };
  }

  get #next(): string | undefined {
    return this.#characters[this.#at];
  }

  #skipSpaces(): void {
    while (this.#next !== undefined && isSpace(this.#next)) this.#at += 1;
  }

  /** Reads `!`, `(` and a word, which is what an operand begins with. */
  #readOperand(): void {
    for (;;) {
      this.#skipSpaces();
      const next = this.#next;
      if (next === '!') {
        this.#isNegated = !this.#isNegated;
      } else if (next === '(') {
        this.#open();
      } else if (next === undefined) {
        throw this.#broken('a word is missing at the end');
      } else if (OPERATORS.has(next) || next === ':') {
        throw this.#broken(`a word is missing before "${next}"`);
      } else {
        this.#readWord();
        return;
      }
      this.#at += 1;
    }
  }

  #open(): void {
    this.#parts.push(this.#isNegated ? '!(' : '(');
    const outer = this.#groups.at(-1)?.isNegated ?? false;
    this.#groups.push({ at: this.#at, isNegated: outer !== this.#isNegated });
    this.#isNegated = false;
  }

  #readWord(): void {
    const text = this.#next === "'" ? this.#readQuoted() : this.#readBare();
    const { isPrefix, modifiers } = this.#readModifiers();
    this.#parts.push(`${this.#isNegated ? '!' : ''}${operandOf(text)}${modifiers}`);
    const outer = this.#groups.at(-1)?.isNegated ?? false;
    if (outer === this.#isNegated) this.#terms.push(...termsOf(text, isPrefix));
    this.#isNegated = false;
  }

  /** `'...'`, in which two quotes stand for one. */
  #readQuoted(): string {
    const begun = this.#at;
    let text = '';
    for (this.#at += 1; ; this.#at += 1) {
      const next = this.#next;
      if (next === undefined) throw this.#broken('a quote is not closed', begun);
      if (next === '\\') {
        text += this.#readEscaped();
      } else if (next !== "'") {
        text += next;
      } else if (this.#characters[this.#at + 1] === "'") {
        text += next;
        this.#at += 1;
      } else {
        break;
      }
    }
    this.#at += 1;
    if (text === '') throw this.#broken('a word is missing between the quotes', begun);
    return text;
  }

  #readBare(): string {
    let text = '';
    for (; ; this.#at += 1) {
      const next = this.#next;
      if (next === undefined || isSpace(next) || OPERATORS.has(next) || next === ':') return text;
      text += next === '\\' ? this.#readEscaped() : next;
    }
  }

  #readEscaped(): string {
    this.#at += 1;
    if (this.#next === undefined) {
      throw this.#broken('a character is missing behind "\\"', this.#at - 1);
    }
    return this.#next;
  }

  /** `:*`, and the weights that a word must have: `:A` in the key, `:B` in metadata. */
  #readModifiers(): { isPrefix: boolean; modifiers: string } {
    if (this.#next !== ':') return { isPrefix: false, modifiers: '' };
    let modifiers = '';
    for (this.#at += 1; /^[abcd*]$/i.test(this.#next ?? ''); this.#at += 1) modifiers += this.#next;
    return { isPrefix: modifiers.includes('*'), modifiers: modifiers && `:${modifiers}` };
  }

  /** Reads what follows an operand; false at the end of the query. */
  #readOperator(): boolean {
    for (;;) {
      this.#skipSpaces();
      const next = this.#next;
      if (next === undefined) return this.#end();
      if (next === '<') {
        this.#parts.push(this.#readDistance());
        return true;
      }
      if (next !== '&' && next !== '|' && next !== ')') {
        throw this.#broken('an operator is missing: &, | or <->');
      }
      if (next === ')' && this.#groups.pop() === undefined) {
        throw this.#broken('a parenthesis is closed that is not open');
      }
      this.#parts.push(next);
      this.#at += 1;
      if (next !== ')') return true;
    }
  }

  #end(): false {
    const open = this.#groups.at(-1);
    if (open !== undefined) throw this.#broken('a parenthesis is not closed', open.at);
    return false;
  }

  /** `<->` or `<N>`. */
  #readDistance(): string {
    const rest = this.#characters.slice(this.#at).join('');
    const [operator, distance = '1'] = /^<(?:-|(\d+))>/.exec(rest) ?? [];
    if (operator === undefined) throw this.#broken('"<" begins an operator: <-> or <2>');
    if (Number(distance) > DISTANCE_MAX) {
      throw this.#broken(`a distance is at most ${DISTANCE_MAX}`);
    }
    this.#at += operator.length;
    return `<${Number(distance)}>`;
  }

  #broken(what: string, at = this.#at): StowageError {
    const shown = (from: number, to: number) =>
      this.#characters.slice(Math.max(0, from), to).join('');
    const before = shown(at - SHOWN_CHARACTERS, at);
    const behind = shown(at, at + SHOWN_CHARACTERS);
    const position = String(at + 1);
    const description = `at character ${position} ${what}: ${before}»here»${behind}`;
    return new StowageError('INVALID_REQUEST', {
      message: `query: ${description}`,
      metadata: { position },
      violations: [{ field: 'query', description }],
    });
  }
}
