/**
 * Names of files and keys of objects: how one becomes the other, in which order they stand, and
 * how either is shown to a person. Nothing here touches the disk.
 */

import { isUtf8 } from 'node:buffer';

/** A key's bound in bytes of UTF-8, as the service has it. */
export const keyBytesMax = 1024;

const slash = Buffer.from('/');

/**
 * Orders two keys by their bytes in UTF-8, as the service lists them. JavaScript compares UTF-16
 * units, which puts a surrogate (an emoji, say) before U+E000 to U+FFFF; the bytes put it behind.
 */
export function compareKeys(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let index = 0; index < length; index += 1) {
    const unitA = a.charCodeAt(index);
    const unitB = b.charCodeAt(index);
    if (unitA !== unitB) {
      return rank(unitA) - rank(unitB);
    }
  }
  return a.length - b.length;
}

function rank(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800;
}

/**
 * The prefix of every key of a scan: as given, with a `/` behind it where it has none. Without
 * it `--prefix photos` would also mean `photos-old/...`, and `--delete` would take that away.
 */
export function keyPrefix(given: string): string {
  return given === '' || given.endsWith('/') ? given : `${given}/`;
}

/** The name as text; undefined where its bytes are not UTF-8. */
export function nameText(name: Buffer): string | undefined {
  return isUtf8(name) ? name.toString('utf8') : undefined;
}

/** The path of an entry; bytes, because a name need not be UTF-8. */
export function joinPath(directory: Buffer, name: Buffer): Buffer {
  return Buffer.concat([directory, slash, name]);
}

/**
 * Where the entry stands among its neighbours: a directory's keys all begin with its name and a
 * slash, so `a/x` stands behind `a-b` although `a` stands before it.
 */
export function sortName(name: Buffer, isDirectory: boolean): Buffer {
  return isDirectory ? Buffer.concat([name, slash]) : name;
}

const shortEscapes: Readonly<Record<string, string>> = {
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\\': '\\\\',
};

/**
 * Everything that a terminal may act on or that a reader cannot see: controls, formats (which can
 * turn the direction of text), line separators, lone surrogates, code points without a meaning.
 */
const unprintable = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}\\]/gu;

function escapeCharacter(character: string): string {
  const short = shortEscapes[character];
  if (short !== undefined) return short;
  const point = character.codePointAt(0) ?? 0;
  return point < 0x80 ? `\\x${hex(point, 2)}` : `\\u{${hex(point, 1)}}`;
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0');
}

/** The text with all that is unprintable escaped; a backslash is doubled: nothing is ambiguous. */
export function escapeText(text: string): string {
  return text.replace(unprintable, escapeCharacter);
}

/** {@link escapeText} for bytes: those that are not UTF-8 appear as `\xff`. */
export function escapePath(path: Buffer): string {
  const text = nameText(path);
  if (text !== undefined) return escapeText(text);
  let out = '';
  let start = 0;
  while (start < path.length) {
    const length = characterLength(path, start);
    out +=
      length === 0
        ? `\\x${hex(path[start] ?? 0, 2)}`
        : escapeText(path.toString('utf8', start, start + length));
    start += Math.max(length, 1);
  }
  return out;
}

/** Bytes of the UTF-8 character that begins at `start`; zero where none does. */
function characterLength(bytes: Buffer, start: number): number {
  for (let length = 1; length <= 4 && start + length <= bytes.length; length += 1) {
    if (isUtf8(bytes.subarray(start, start + length))) return length;
  }
  return 0;
}
