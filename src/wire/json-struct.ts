/**
 * Turns the text of a JSON object into google.protobuf.Struct, or one of texts into the entries of
 * a map of strings, bytes to bytes, in one pass.
 */

import { JsonText } from './json-text.js';
import { putLength, putVarint32 } from './writer.js';

/**
 * How many times the text's size the message can come to: `1,` in an array is two bytes and becomes
 * eleven; nothing grows more, length prefixes of any nesting included.
 */
export const JSON_GROWTH_MAX = 6;

/**
 * Levels of objects and arrays, the outermost included. A level is up to three messages (Struct,
 * entry, Value) and decoders refuse more than 100, by default: with the two that are around the
 * metadata of a streamed object, 33 levels are the most that is read (tried with Python's two).
 */
export const JSON_DEPTH_MAX = 33;

const EMPTY = Buffer.alloc(0);

const SPACE = 0x20;
const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_BRACKET = 0x5d;
const LETTER_F = 0x66;
const LETTER_N = 0x6e;
const LETTER_T = 0x74;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

const TRUE = Buffer.from('true');
const FALSE = Buffer.from('false');
const NULL = Buffer.from('null');

/** Tags of google.protobuf.Value and of what is around it. */
const NULL_TAG = 0x08;
const NUMBER_TAG = 0x11;
const STRING_TAG = 0x1a;
const BOOL_TAG = 0x20;
const STRUCT_TAG = 0x2a;
const LIST_TAG = 0x32;
/** Struct.fields (an entry), the entry's key, ListValue.values: all of them are field 1. */
const FIRST_TAG = 0x0a;
const ENTRY_VALUE_TAG = 0x12;

/**
 * Writes Struct fields from JSON text. One instance serves one encoder: it holds where it stands
 * while it works.
 */
export class JsonStructEncoder {
  readonly #text = new JsonText();
  #bytes: Buffer = EMPTY;
  #position = 0;

  /**
   * Writes the text from `start` to `end` as a Struct field with `tag` at `position` of `bytes`;
   * gives the position behind it. `{}` is not written at all: what it would say costs three bytes a
   * row, and nobody but a reflective reader can tell an empty Struct from none. The room for
   * {@link JSON_GROWTH_MAX} times the text and 10 bytes is the caller's to reserve.
   * @throws {WireError} if the text is not a JSON object, is nested deeper than
   *   {@link JSON_DEPTH_MAX}, or has a number that is no finite double
   */
  putField(
    bytes: Buffer,
    position: number,
    tag: number,
    source: Buffer,
    start: number,
    end: number,
  ): number {
    if (end - start === 2 && source[start] === OPEN_BRACE && source[start + 1] === CLOSE_BRACE) {
      return position;
    }
    const lengthAt = putVarint32(bytes, position, tag);
    const text = this.#text;
    text.begin(source, start, end);
    this.#bytes = bytes;
    this.#position = lengthAt + 1;
    if (text.peek() !== OPEN_BRACE) throw text.malformed('is not an object');
    this.#object(1);
    text.finish();
    // So that an encoder that rests keeps no batch alive.
    this.#bytes = EMPTY;
    if (this.#position === lengthAt + 1) return position;
    return putLength(bytes, lengthAt, 1, this.#position);
  }

  /**
   * Writes the members of the text from `start` to `end`, all of them strings, as the entries of a
   * map of strings; gives the position behind them. The room is that of {@link putField}.
   * @throws {WireError} if the text is not a JSON object or a member is no string
   */
  putEntries(
    bytes: Buffer,
    position: number,
    tag: number,
    source: Buffer,
    start: number,
    end: number,
  ): number {
    const text = this.#text;
    text.begin(source, start, end);
    this.#bytes = bytes;
    this.#position = position;
    if (text.peek() !== OPEN_BRACE) throw text.malformed('is not an object');
    text.at++;
    let isOver = text.peek() === CLOSE_BRACE;
    if (isOver) text.at++;
    while (!isOver) {
      this.#textEntry(tag);
      const byte = text.peek();
      text.at++;
      isOver = byte === CLOSE_BRACE;
      if (!isOver && byte !== COMMA) throw text.malformed('lacks a comma or brace');
    }
    text.finish();
    this.#bytes = EMPTY;
    return this.#position;
  }

  #textEntry(tag: number): void {
    const bytes = this.#bytes;
    const lengthAt = putVarint32(bytes, this.#position, tag);
    this.#position = lengthAt + 1;
    this.#key();
    if (this.#text.peek() !== QUOTE) throw this.#text.malformed('has a value that is no string');
    bytes[this.#position++] = ENTRY_VALUE_TAG;
    this.#string();
    this.#close(lengthAt);
  }

  #object(depth: number): void {
    if (depth > JSON_DEPTH_MAX) throw this.#text.malformed(`is over ${JSON_DEPTH_MAX} levels deep`);
    this.#text.at++;
    if (this.#text.peek() === CLOSE_BRACE) {
      this.#text.at++;
      return;
    }
    for (;;) {
      this.#entry(depth);
      const byte = this.#text.peek();
      this.#text.at++;
      if (byte === CLOSE_BRACE) return;
      if (byte !== COMMA) throw this.#text.malformed('lacks a comma or brace');
    }
  }

  #entry(depth: number): void {
    const bytes = this.#bytes;
    const lengthAt = this.#position + 1;
    bytes[lengthAt - 1] = FIRST_TAG;
    this.#position = lengthAt + 1;
    this.#key();
    bytes[this.#position++] = ENTRY_VALUE_TAG;
    this.#value(depth);
    this.#close(lengthAt);
  }

  /** Writes the key of an entry and takes the colon behind it. */
  #key(): void {
    if (this.#text.peek() !== QUOTE) throw this.#text.malformed('lacks a key');
    this.#bytes[this.#position++] = FIRST_TAG;
    this.#string();
    if (this.#text.peek() !== COLON) throw this.#text.malformed('lacks a colon');
    this.#text.at++;
  }

  #array(depth: number): void {
    if (depth > JSON_DEPTH_MAX) throw this.#text.malformed(`is over ${JSON_DEPTH_MAX} levels deep`);
    this.#text.at++;
    if (this.#text.peek() === CLOSE_BRACKET) {
      this.#text.at++;
      return;
    }
    for (;;) {
      this.#bytes[this.#position++] = FIRST_TAG;
      this.#value(depth);
      const byte = this.#text.peek();
      this.#text.at++;
      if (byte === CLOSE_BRACKET) return;
      if (byte !== COMMA) throw this.#text.malformed('lacks a comma or bracket');
    }
  }

  /** Writes length and content of a google.protobuf.Value. */
  #value(depth: number): void {
    const bytes = this.#bytes;
    const lengthAt = this.#position;
    const kindAt = lengthAt + 1;
    this.#position = kindAt + 1;
    switch (this.#text.peek()) {
      case QUOTE:
        bytes[kindAt] = STRING_TAG;
        this.#string();
        break;
      case OPEN_BRACE:
        bytes[kindAt] = STRUCT_TAG;
        this.#position++;
        this.#object(depth + 1);
        this.#close(kindAt + 1);
        break;
      case OPEN_BRACKET:
        bytes[kindAt] = LIST_TAG;
        this.#position++;
        this.#array(depth + 1);
        this.#close(kindAt + 1);
        break;
      case LETTER_T:
        this.#text.literal(TRUE);
        bytes[kindAt] = BOOL_TAG;
        bytes[this.#position++] = 1;
        break;
      case LETTER_F:
        this.#text.literal(FALSE);
        bytes[kindAt] = BOOL_TAG;
        bytes[this.#position++] = 0;
        break;
      case LETTER_N:
        this.#text.literal(NULL);
        bytes[kindAt] = NULL_TAG;
        bytes[this.#position++] = 0;
        break;
      default:
        bytes[kindAt] = NUMBER_TAG;
        this.#position = bytes.writeDoubleLE(this.#text.number(), this.#position);
    }
    this.#close(lengthAt);
  }

  /** Writes the length of what follows the one byte at `lengthAt`. */
  #close(lengthAt: number): void {
    const length = this.#position - lengthAt - 1;
    if (length < 128) this.#bytes[lengthAt] = length;
    else this.#position = putLength(this.#bytes, lengthAt, 1, this.#position);
  }

  /** Writes length and content of the string whose opening quote is next. */
  #string(): void {
    const bytes = this.#bytes;
    const text = this.#text;
    const { source, end } = text;
    const lengthAt = this.#position;
    let at = text.at + 1;
    let to = lengthAt + 1;
    while (at < end) {
      const byte = source[at++] as number;
      if (byte === QUOTE) {
        text.at = at;
        this.#position = to;
        this.#close(lengthAt);
        return;
      }
      if (byte === BACKSLASH) {
        text.at = at;
        to = putUtf8(bytes, to, text.escape());
        at = text.at;
      } else {
        if (byte < SPACE) break;
        bytes[to++] = byte;
      }
    }
    text.at = at;
    throw text.malformed('has a string with a control character or without an end');
  }
}

/** Writes a code point in UTF-8; gives the position behind it. */
function putUtf8(bytes: Buffer, position: number, point: number): number {
  let to = position;
  if (point < 0x80) {
    bytes[to++] = point;
    return to;
  }
  if (point < 0x800) {
    bytes[to++] = 0xc0 | (point >> 6);
  } else {
    if (point < 0x10000) {
      bytes[to++] = 0xe0 | (point >> 12);
    } else {
      bytes[to++] = 0xf0 | (point >> 18);
      bytes[to++] = 0x80 | ((point >> 12) & 63);
    }
    bytes[to++] = 0x80 | ((point >> 6) & 63);
  }
  bytes[to++] = 0x80 | (point & 63);
  return to;
}
