import { describe, expect, it } from 'vitest';
import { WireError } from '../../src/wire/wire-error.js';
import {
  putBytes,
  putLength,
  putVarint32,
  putVarint64,
  varint32Bytes,
  WireWriter,
} from '../../src/wire/writer.js';

/** A varint of 64 bits, bit by bit, as the encoding is defined. */
function varint(value: bigint): string {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  return Buffer.from([...bytes, Number(rest)]).toString('hex');
}

const edges = [0n, 1n, 127n, 128n, 16_383n, 16_384n, 2_097_151n, 2_097_152n, 2n ** 28n - 1n];
const edges32 = [...edges, 2n ** 28n, 2n ** 31n - 1n, 2n ** 31n, 2n ** 32n - 1n];
const edges64 = [
  2n ** 32n,
  2n ** 35n - 1n,
  2n ** 35n,
  2n ** 53n,
  2n ** 63n - 1n,
  -(2n ** 63n),
  -1n,
];

describe('varints', () => {
  it.each(edges32)('writes %d of 32 bits in as few bytes as it takes', (value) => {
    const bytes = Buffer.alloc(16);
    const end = putVarint32(bytes, 3, Number(value));
    expect(bytes.toString('hex', 3, end)).toBe(varint(value));
    expect(varint32Bytes(Number(value))).toBe(end - 3);
  });

  it.each([...edges32, ...edges64])('writes %d of 64 bits from its halves', (value) => {
    const bytes = Buffer.alloc(16);
    const high = Number(BigInt.asIntN(32, value >> 32n));
    const end = putVarint64(bytes, 3, high, Number(BigInt.asIntN(32, value)));
    expect(bytes.toString('hex', 3, end)).toBe(varint(value));
  });
});

describe('putLength', () => {
  const sizes = [0, 1, 127, 128, 129, 16_383, 16_384, 2_097_151, 2_097_152];
  const guesses = [1, 2, 3, 4];
  const cases = sizes.flatMap((size) => guesses.map((reserved) => ({ size, reserved })));

  it.each(cases)('writes a length of $size least where $reserved were reserved', (given) => {
    const { size, reserved } = given;
    const content = Buffer.alloc(size, 'abcdefg');
    const bytes = Buffer.alloc(size + 16, 0xee);
    content.copy(bytes, 2 + reserved);
    const end = putLength(bytes, 2, reserved, 2 + reserved + size);
    const prefix = varint(BigInt(size));
    expect(bytes.toString('hex', 0, 2)).toBe('eeee');
    expect(bytes.toString('hex', 2, 2 + prefix.length / 2)).toBe(prefix);
    expect(bytes.subarray(2 + prefix.length / 2, end).equals(content)).toBe(true);
  });
});

describe('putBytes', () => {
  it.each([0, 1, 47, 48, 49, 1000])('copies %d bytes and no more', (size) => {
    const source = Buffer.from(Array.from({ length: size + 2 }, (_, i) => i % 251));
    const bytes = Buffer.alloc(size + 4, 0xee);
    expect(putBytes(bytes, 2, source, 1, 1 + size)).toBe(2 + size);
    expect(bytes.subarray(2, 2 + size).equals(source.subarray(1, 1 + size))).toBe(true);
    expect([bytes[1], bytes[2 + size]]).toEqual([0xee, 0xee]);
  });
});

describe('WireWriter', () => {
  it('keeps what is committed while it grows', () => {
    const writer = new WireWriter(1, 1 << 20);
    const expected: number[] = [];
    for (let i = 0; i < 3000; i++) {
      writer.reserve(1 + (i % 7));
      writer.bytes[writer.position] = i & 255;
      writer.commit(writer.position + 1);
      expected.push(i & 255);
    }
    expect([...writer.take()]).toEqual(expected);
  });

  it('forgets what was written and not committed', () => {
    const writer = new WireWriter(8);
    writer.reserve(4);
    writer.bytes.fill(1, 0, 4);
    writer.commit(2);
    writer.reserve(100);
    expect([...writer.take()]).toEqual([1, 1]);
  });

  it('never touches bytes it gave away', () => {
    const writer = new WireWriter(64);
    writer.reserve(2);
    writer.bytes.fill(1, 0, 2);
    writer.commit(2);
    const taken = writer.take();
    writer.reserve(2);
    writer.bytes.fill(2, 0, 2);
    writer.commit(2);
    expect([...taken]).toEqual([1, 1]);
    expect([...writer.take()]).toEqual([2, 2]);
  });

  it('refuses what is over its limit and keeps what came before', () => {
    const writer = new WireWriter(1, 10);
    writer.reserve(11);
    writer.bytes.fill(7);
    writer.commit(10);
    expect(() => writer.commit(11)).toThrow(WireError);
    expect(writer.take()).toHaveLength(10);
  });

  it('refuses a position behind its room', () => {
    const writer = new WireWriter(4);
    writer.reserve(4);
    expect(() => writer.commit(5)).toThrow('reserved too little');
  });
});
