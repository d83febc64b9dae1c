import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatLsn, parseLsn } from '../../src/postgres/lsn.js';
import { encodeParameter } from '../../src/postgres/parameters.js';
import { parseTimestamp, textParser } from '../../src/postgres/types.js';

describe('encodeParameter', () => {
  it.each<[unknown, unknown]>([
    [null, null],
    [undefined, null],
    ['text', 'text'],
    [12, '12'],
    [2n ** 62n, '4611686018427387904'],
    [true, 'true'],
    [{ seconds: 1n, nanos: 2_000 }, '1970-01-01T00:00:01.000002Z'],
    [{ a: [1, null] }, '{"a":[1,null]}'],
    [[], '{}'],
    [['a', null, 'b"c\\d', 'e,f', ''], '{"a",NULL,"b\\"c\\\\d","e,f",""}'],
    [[1n, 2], '{1,2}'],
    [[['a'], ['b']], '{{"a"},{"b"}}'],
    [[true], '{"true"}'],
    [[new Uint8Array([1, 255])], '{"\\\\x01ff"}'],
    [[{ seconds: 0n, nanos: 0 }], '{"1970-01-01T00:00:00.000000Z"}'],
  ])('writes %o', (value, text) => {
    expect(encodeParameter(value)).toBe(text);
  });

  it('sends bytes in binary', () => {
    expect(encodeParameter(new Uint8Array([1, 2]))).toEqual(Buffer.from([1, 2]));
  });

  it.each([() => 1, Symbol('x'), new Date(0), new Map()])(
    'refuses what it does not know',
    (value) => {
      expect(() => encodeParameter(value)).toThrow(TypeError);
    },
  );
});

describe('textParser', () => {
  it.each<[number, string, unknown]>([
    [16, 't', true],
    [16, 'f', false],
    [17, '\\x00ff', Buffer.from([0, 255])],
    [20, '9223372036854775807', 9_223_372_036_854_775_807n],
    [23, '-5', -5],
    [701, '1e-7', 1e-7],
    [1009, '{a,NULL,"b\\"c"}', ['a', null, 'b"c']],
    [1016, '{1,2}', [1n, 2n]],
    [1700, '1.10', '1.10'],
    [3802, '{"a": null}', { a: null }],
    [2950, '00000000-0000-0000-0000-000000000000', '00000000-0000-0000-0000-000000000000'],
  ])('reads type %i', (oid, text, value) => {
    expect(textParser(oid)(text)).toEqual(value);
  });
});

describe('parseTimestamp', () => {
  it.each<[string, bigint, number]>([
    ['1970-01-01 00:00:00+00', 0n, 0],
    ['2025-01-02 03:04:05.123456+00', 1_735_787_045n, 123_456_000],
    ['1969-12-31 23:59:59.5+00', -1n, 500_000_000],
    ['0001-01-01 00:00:00+00', -62_135_596_800n, 0],
    ['9999-12-31 23:59:59.999999+00', 253_402_300_799n, 999_999_000],
  ])('reads %s', (text, seconds, nanos) => {
    expect(parseTimestamp(text)).toEqual({ seconds, nanos });
  });

  it.each(['infinity', '0044-03-15 00:00:00+00 BC', '2025-01-02 03:04:05+02'])(
    'refuses %s',
    (text) => {
      expect(() => parseTimestamp(text)).toThrow(RangeError);
    },
  );
});

describe('parseLsn', () => {
  it('reads what formatLsn writes', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (lsn) => {
        expect(parseLsn(formatLsn(lsn))).toBe(lsn);
      }),
    );
  });

  it.each(['', '0', '0/', 'g/0', '0/123456789', '0/0 '])('refuses "%s"', (text) => {
    expect(() => parseLsn(text)).toThrow(RangeError);
  });
});
