import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  compareKeys,
  escapePath,
  escapeText,
  keyPrefix,
  nameText,
  sortName,
} from '../../src/cli/scan/names.js';

const key = fc.string({ unit: 'binary', maxLength: 12 });
const bytes = (text: string): Buffer => Buffer.from(text);

describe('compareKeys', () => {
  it('orders keys as their bytes are ordered', () => {
    fc.assert(
      fc.property(key, key, (a, b) => {
        expect(Math.sign(compareKeys(a, b))).toBe(Buffer.compare(bytes(a), bytes(b)));
      }),
      { numRuns: 2_000 },
    );
  });

  it('puts an emoji behind the last characters of the first plane', () => {
    expect(compareKeys('\uffee', '🎉')).toBeLessThan(0);
    expect('\uffee' < '🎉').toBe(false);
  });
});

describe('sortName', () => {
  it('puts what is in a directory behind a file that continues its name with a dash', () => {
    const names = [sortName(bytes('a'), true), sortName(bytes('a-b'), false)];
    names.sort(Buffer.compare);
    expect(names.map(String)).toEqual(['a-b', 'a/']);
  });
});

describe('keyPrefix', () => {
  it('ends in a slash unless it is empty', () => {
    expect(['', 'a', 'a/', '/'].map(keyPrefix)).toEqual(['', 'a/', 'a/', '/']);
  });
});

describe('nameText', () => {
  it('is nothing for bytes that are not UTF-8', () => {
    expect(nameText(Buffer.from([0x63, 0xe9]))).toBeUndefined();
    expect(nameText(bytes('Grüße'))).toBe('Grüße');
  });
});

describe('escapeText', () => {
  it('leaves letters of any language as they are', () => {
    expect(escapeText('Grüße 日本語 🎉 %41 "$x"')).toBe('Grüße 日本語 🎉 %41 "$x"');
  });

  it('lets nothing through that a terminal acts on', () => {
    const text = escapeText('\u001b[2J\u0007\r\n\t\u009b31m\u202e\u2028\u200b\u007f');
    expect(text).toBe('\\x1b[2J\\x07\\r\\n\\t\\u{9b}31m\\u{202e}\\u{2028}\\u{200b}\\x7f');
  });

  it('gives different texts for different names', () => {
    fc.assert(
      fc.property(key, key, (a, b) => {
        expect(escapeText(a) === escapeText(b)).toBe(a === b);
      }),
    );
    expect(escapeText('a\\nb')).not.toBe(escapeText('a\nb'));
  });
});

describe('escapePath', () => {
  it('shows bytes that are not UTF-8 beside characters that are', () => {
    const path = Buffer.concat([bytes('é/'), Buffer.from([0xe9, 0xff]), bytes('.t\n')]);
    expect(escapePath(path)).toBe('é/\\xe9\\xff.t\\n');
  });
});
