// Key ranges against the byte order that PostgreSQL's "C" collation has.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareKeys, prefixCeiling } from '../../src/store/object-keys.js';

const key = fc.string({ unit: 'binary', maxLength: 12 }).filter((text) => text.isWellFormed());

describe('prefixCeiling', () => {
  it('bounds exactly the keys that begin with the prefix', () => {
    const property = fc.property(key, key, (prefix, other) => {
      const inRange =
        compareKeys(other, prefix) >= 0 && compareKeys(other, prefixCeiling(prefix)) < 0;
      expect(inRange).toBe(Buffer.from(other).indexOf(Buffer.from(prefix)) === 0);
    });
    fc.assert(property, { numRuns: 2_000 });
  });

  it('contains what is made by appending to the prefix', () => {
    const property = fc.property(key, key, (prefix, rest) => {
      expect(compareKeys(prefix + rest, prefixCeiling(prefix))).toBeLessThan(0);
    });
    fc.assert(property, { numRuns: 2_000 });
  });

  it.each([
    ['a', 'b'],
    ['a/', 'a0'],
    ['\u{D7FF}', '\u{E000}'],
    ['a\u{10FFFF}', 'b'],
  ])('follows %j with %j', (prefix, ceiling) => {
    expect(prefixCeiling(prefix)).toBe(ceiling);
  });

  it('is above every key where the prefix leaves no limit', () => {
    const highest = '\u{10FFFF}'.repeat(256);
    expect(compareKeys(highest, prefixCeiling(''))).toBeLessThan(0);
    expect(compareKeys(highest, prefixCeiling('\u{10FFFF}'))).toBeLessThan(0);
  });
});

describe('compareKeys', () => {
  it('orders by bytes, where UTF-16 order differs', () => {
    expect(compareKeys('\u{FFFD}', '\u{1F600}')).toBeLessThan(0);
    expect('\u{FFFD}' < '\u{1F600}').toBe(false);
  });
});
