/** Random numbers that are the same for the same seed, for tests that print theirs. */

/** A source of random things. */
export interface Random {
  /** A whole number from 0 to `bound` - 1. */
  below(bound: number): number;
  /** One of the items, which must not be none. */
  pick<Item>(items: readonly Item[]): Item;
  /** Lower-case letters. */
  word(letters: number): string;
}

/** The generator known as mulberry32: 32 bits of state, good enough to vary tests. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  const below = (bound: number): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * bound);
  };
  return {
    below,
    pick: (items) => {
      const item = items[below(items.length)];
      if (item === undefined) throw new Error('nothing to pick from');
      return item;
    },
    word: (letters) =>
      Array.from({ length: letters }, () => String.fromCharCode(97 + below(26))).join(''),
  };
}
