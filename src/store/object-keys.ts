/** Ranges of keys. Keys are compared in bytes, which is the order of their code points. */

/** Beyond every key: longer than a key may be, of the highest code point. */
export const KEY_CEILING = '\u{10FFFF}'.repeat(257);

/**
 * The least key that is above every key with the prefix. Prefixes are half-open ranges because
 * `LIKE` in a prepared statement reads the whole table: 185 ms against 0.3 ms on a million keys.
 */
export function prefixCeiling(prefix: string): string {
  const points = Array.from(prefix, (character) => character.codePointAt(0) ?? 0);
  while (points.length > 0) {
    const last = points.pop() ?? 0;
    if (last === 0x10ffff) continue;
    const next = last === 0xd7ff ? 0xe000 : last + 1;
    return String.fromCodePoint(...points, next);
  }
  return KEY_CEILING;
}

/**
 * A text that is below every key with the prefix and above all other keys that are: for ranges that
 * begin behind their lower end.
 */
export function prefixFloor(prefix: string): string {
  const points = Array.from(prefix, (character) => character.codePointAt(0) ?? 0);
  const last = points.pop();
  if (last === undefined) return '';
  const head = String.fromCodePoint(...points);
  // No key has U+0000, so none is between the head and the head with U+0001.
  if (last === 1) return head;
  return head + String.fromCodePoint(last === 0xe000 ? 0xd7ff : last - 1) + KEY_CEILING;
}

/** Orders keys as the database does. */
export function compareKeys(left: string, right: string): number {
  return Buffer.compare(Buffer.from(left), Buffer.from(right));
}
