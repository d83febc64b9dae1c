/**
 * Reads the tokens of JSON text from bytes, as strictly as JSON.parse does: a slip would become a
 * message that decodes to something else. Strings are read by who writes them; only their escapes
 * are here. UTF-8 is taken as it is: PostgreSQL has checked it.
 */

import { WireError } from './wire-error.js';

/** Digits that a number holds exactly, whatever they are. */
const EXACT_DIGITS_MAX = 15;
const POWERS_OF_10 = Array.from({ length: EXACT_DIGITS_MAX + 1 }, (_, power) => 10 ** power);

const EMPTY = Buffer.alloc(0);
const SPACE = 0x20;
const PLUS = 0x2b;
const MINUS = 0x2d;
const POINT = 0x2e;
const ZERO = 0x30;
const BACKSLASH = 0x5c;
const LETTER_E = 0x65;
const LETTER_U = 0x75;

/** What stands for itself, or for a control character, behind a backslash; 0 elsewhere. */
const ESCAPES = new Uint8Array(256);
for (const [letter, meaning] of ['""', '\\\\', '//', 'b\b', 'f\f', 'n\n', 'r\r', 't\t']) {
  ESCAPES[(letter as string).charCodeAt(0)] = (meaning as string).charCodeAt(0);
}

/** The value of a hexadecimal digit by its letter. */
const NO_DIGIT = 16;
const HEX_DIGITS = new Uint8Array(256).fill(NO_DIGIT);
for (let digit = 0; digit < 16; digit++) {
  const letter = digit.toString(16);
  HEX_DIGITS[letter.charCodeAt(0)] = digit;
  HEX_DIGITS[letter.toUpperCase().charCodeAt(0)] = digit;
}

/** Where a text stands that is being read. */
export class JsonText {
  /** The bytes that the text is part of. */
  source: Buffer = EMPTY;
  /** Where the next byte is. */
  at = 0;
  /** Where the text ends. */
  end = 0;
  #start = 0;

  /** Begins to read the text from `start` to `end`. */
  begin(source: Buffer, start: number, end: number): void {
    this.source = source;
    this.#start = start;
    this.at = start;
    this.end = end;
  }

  /** Lets go of the bytes, once all of the text is read. */
  finish(): void {
    while (this.at < this.end && isSpace(this.source[this.at] as number)) this.at++;
    if (this.at !== this.end) throw this.malformed('goes on behind its end');
    this.source = EMPTY;
  }

  /** The next byte that is no space, not yet taken. */
  peek(): number {
    const source = this.source;
    const end = this.end;
    let at = this.at;
    while (at < end) {
      const byte = source[at] as number;
      if (!isSpace(byte)) {
        this.at = at;
        return byte;
      }
      at++;
    }
    this.at = at;
    throw this.malformed('ends too early');
  }

  /** Takes one of the three words. */
  literal(word: Buffer): void {
    const at = this.at;
    // Compared byte by byte: `Buffer.compare` costs more than the whole word.
    for (let i = 0; i < word.length; i++) {
      if (at + i >= this.end || this.source[at + i] !== word[i]) {
        throw this.malformed('has an unknown word');
      }
    }
    this.at = at + word.length;
  }

  /**
   * Takes a number. Up to 15 digits are an exact integer, and a power of ten up to 10^15 is exact
   * too, so one division rounds correctly; what is longer or has an exponent goes the slow way.
   */
  number(): number {
    const source = this.source;
    const start = this.at;
    const isNegative = source[start] === MINUS;
    const wholeAt = isNegative ? start + 1 : start;
    let at = this.#digits(wholeAt);
    let digits = at - wholeAt;
    if (digits > 1 && source[wholeAt] === ZERO) throw this.malformed('has a number like 01');
    let scale = 0;
    if (at < this.end && source[at] === POINT) {
      scale = this.#digits(at + 1) - at - 1;
      at += 1 + scale;
      digits += scale;
    }
    const hasExponent = at < this.end && ((source[at] as number) | 0x20) === LETTER_E;
    if (hasExponent) at = this.#exponent(at + 1);
    this.at = at;
    if (digits <= EXACT_DIGITS_MAX && !hasExponent) {
      let mantissa = 0;
      for (let i = wholeAt; i < at; i++) {
        const byte = source[i] as number;
        if (byte !== POINT) mantissa = mantissa * 10 + (byte - ZERO);
      }
      const value = mantissa / (POWERS_OF_10[scale] as number);
      return isNegative ? -value : value;
    }
    const value = Number(source.toString('latin1', start, at));
    if (!Number.isFinite(value)) throw this.malformed('has a number beyond a double');
    return value;
  }

  /** Takes what follows a backslash; gives the code point it means. */
  escape(): number {
    const letter = this.at < this.end ? (this.source[this.at] as number) : 0;
    this.at++;
    if (letter === LETTER_U) {
      const point = this.#hexDigits();
      return point >= 0xd800 && point < 0xe000 ? this.#surrogates(point) : point;
    }
    const meaning = ESCAPES[letter] as number;
    if (meaning === 0) throw this.malformed('has an unknown escape');
    return meaning;
  }

  /** The error for what is wrong here. */
  malformed(what: string): WireError {
    return new WireError(`a jsonb ${what}, at byte ${this.at - this.#start} of its text`);
  }

  /** Skips at least one digit; gives the position behind the last. */
  #digits(from: number): number {
    const source = this.source;
    const end = this.end;
    let at = from;
    while (at < end && isDigit(source[at] as number)) at++;
    if (at > from) return at;
    this.at = at;
    throw this.malformed('has something that is no value');
  }

  #exponent(from: number): number {
    const sign = from < this.end ? this.source[from] : undefined;
    return this.#digits(sign === PLUS || sign === MINUS ? from + 1 : from);
  }

  /** Takes the low surrogate that must follow; gives the code point of both. */
  #surrogates(high: number): number {
    const at = this.at;
    const isEscape =
      at + 2 <= this.end && this.source[at] === BACKSLASH && this.source[at + 1] === LETTER_U;
    if (high < 0xdc00 && isEscape) {
      this.at += 2;
      const low = this.#hexDigits();
      if (low >= 0xdc00 && low < 0xe000) return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
    }
    // UTF-8 has no form for it, and PostgreSQL lets none in.
    throw this.malformed('has half a surrogate pair');
  }

  #hexDigits(): number {
    const at = this.at;
    if (at + 4 > this.end) throw this.malformed('ends within an escape');
    let value = 0;
    for (let i = 0; i < 4; i++) {
      const digit = HEX_DIGITS[this.source[at + i] as number] as number;
      if (digit === NO_DIGIT) throw this.malformed('has an unknown escape');
      value = value * 16 + digit;
    }
    this.at = at + 4;
    return value;
  }
}

function isSpace(byte: number): boolean {
  return byte === SPACE || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

function isDigit(byte: number): boolean {
  return byte >= ZERO && byte <= ZERO + 9;
}
