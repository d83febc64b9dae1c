// Times at the microsecond, before 1970 and at the ends of what a timestamp can hold.
import { describe, expect, it } from 'vitest';
import { cutToMicros, fromMillis, toIsoMicros } from '../../src/lib/timestamp.js';

describe('toIsoMicros', () => {
  it.each([
    [{ seconds: 0n, nanos: 0 }, '1970-01-01T00:00:00.000000Z'],
    [{ seconds: 1_700_000_000n, nanos: 123_456_789 }, '2023-11-14T22:13:20.123456Z'],
    [{ seconds: -1n, nanos: 999_999_000 }, '1969-12-31T23:59:59.999999Z'],
    [{ seconds: -62_135_596_800n, nanos: 0 }, '0001-01-01T00:00:00.000000Z'],
    [{ seconds: 253_402_300_799n, nanos: 999_999_999 }, '9999-12-31T23:59:59.999999Z'],
  ])('writes %o as %s', (time, text) => {
    expect(toIsoMicros(time)).toBe(text);
  });
});

describe('fromMillis', () => {
  it('keeps fractions, also before 1970', () => {
    expect(fromMillis(1500.25)).toEqual({ seconds: 1n, nanos: 500_250_000 });
    expect(fromMillis(-0.5)).toEqual({ seconds: -1n, nanos: 999_500_000 });
  });
});

describe('cutToMicros', () => {
  it('drops what PostgreSQL does not keep', () => {
    expect(cutToMicros({ seconds: 5n, nanos: 1_999 })).toEqual({ seconds: 5n, nanos: 1_000 });
  });
});
