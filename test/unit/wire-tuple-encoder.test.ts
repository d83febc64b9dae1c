import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { reflect } from '@bufbuild/protobuf/reflect';
import { describe, expect, it } from 'vitest';
import type { ColumnType } from '../../src/wire/column.js';
import { compileTupleEncoder, type TupleColumn } from '../../src/wire/tuple-encoder.js';
import { WireError } from '../../src/wire/wire-error.js';
import { WireWriter } from '../../src/wire/writer.js';
import { type ColumnValue, tuple, tupleOfBytes } from '../support/binary-tuple.js';
import { fieldOf, sample, samples } from '../support/sample-message.js';

function encode(columns: readonly TupleColumn[], bytes: Buffer): Buffer {
  const writer = new WireWriter(1);
  compileTupleEncoder(sample, columns).encode(writer, bytes, 0, bytes.length);
  return writer.take();
}

/** One column alone, as a bare message. */
function encodeValue(name: string, type: ColumnType, value: ColumnValue): Buffer {
  return encode([{ name, type }], tuple([type], [value]));
}

/** What protobuf-es writes for one field. */
function expected(name: string, value: unknown): Buffer {
  const message = reflect(sample, create(sample));
  // The descriptor is known at run time only, and so is the type of its field's value.
  message.set(fieldOf(sample, name), value as never);
  return Buffer.from(toBinary(sample, message.message));
}

describe('compileTupleEncoder, values', () => {
  const scalars: readonly [string, ColumnType, ColumnValue, unknown][] = [
    ['text', 'text', 'key', 'key'],
    ['text', 'text', 'ключ 🗝', 'ключ 🗝'],
    ['text', 'text', '', ''],
    ['optional_text', 'text', '', ''],
    [
      'uuid',
      'uuid',
      '019a9d6e-00ff-7abc-8def-0123456789ab',
      '019a9d6e-00ff-7abc-8def-0123456789ab',
    ],
    ...[0n, 1n, -1n, 127n, 128n, 2n ** 31n, 2n ** 32n, 2n ** 53n + 1n].flatMap(int8Cases),
    ...[2n ** 63n - 1n, -(2n ** 63n), -(2n ** 32n)].flatMap(int8Cases),
    ...[0, 1, -1, 2 ** 31 - 1, -(2 ** 31)].flatMap(
      (value): [string, ColumnType, ColumnValue, unknown][] => [
        ['int4', 'int4', value, value],
        ['optional_int4', 'int4', value, value],
      ],
    ),
    ['bool', 'bool', true, true],
    ['bool', 'bool', false, false],
    ['optional_bool', 'bool', false, false],
    ...[0, -0, 0.1, 1e308, 5e-324, Number.NaN, Number.NEGATIVE_INFINITY].flatMap(
      (value): [string, ColumnType, ColumnValue, unknown][] => [
        ['float8', 'float8', value, value],
        ['optional_float8', 'float8', value, value],
      ],
    ),
  ];

  function int8Cases(value: bigint): [string, ColumnType, ColumnValue, unknown][] {
    return [
      ['int8', 'int8', value, value],
      ['optional_int8', 'int8', value, value],
    ];
  }

  it.each(scalars)('writes %s from %s %s as protobuf-es does', (name, type, value, field) => {
    expect(encodeValue(name, type, value).toString('hex')).toBe(
      expected(name, field).toString('hex'),
    );
  });

  it('leaves null out, of every type', () => {
    const types: ColumnType[] = ['text', 'int8', 'int4', 'bool', 'float8', 'timestamptz', 'jsonb'];
    const names = ['optional_text', 'optional_int8', 'optional_int4', 'optional_bool'];
    const columns = types.map((type, i) => ({ name: names[i] ?? type, type }));
    expect(encode(columns, tuple(types, []))).toHaveLength(0);
  });
});

describe('compileTupleEncoder, timestamps', () => {
  const times: readonly (readonly [string, bigint, bigint, number])[] = [
    ['the epoch of Unix', 0n, 0n, 0],
    ['the epoch of PostgreSQL', 946_684_800_000_000n, 946_684_800n, 0],
    [
      'a microsecond before the epoch of PostgreSQL',
      946_684_799_999_999n,
      946_684_799n,
      999_999_000,
    ],
    ['a microsecond after the epoch of Unix', 1n, 0n, 1_000],
    ['a microsecond before the epoch of Unix', -1n, -1n, 999_999_000],
    ['half a second before it', -500_000n, -1n, 500_000_000],
    ['the first moment that has one', -62_135_596_800_000_000n, -62_135_596_800n, 0],
    ['a moment long ago', -62_135_596_799_999_999n, -62_135_596_800n, 1_000],
    ['the last moment that has one', 253_402_300_799_999_999n, 253_402_300_799n, 999_999_000],
    ['the last exact half', 946_684_800_000_000n + 2n ** 53n - 1n, 9_953_884_054n, 740_991_000],
    ['one behind it', 946_684_800_000_000n + 2n ** 53n, 9_953_884_054n, 740_992_000],
  ];

  it.each(times)('writes %s exactly', (_name, micros, seconds, nanos) => {
    const bytes = encodeValue('timestamptz', 'timestamptz', micros);
    const message = reflect(sample, fromBinary(sample, bytes));
    expect(message.get(fieldOf(sample, 'timestamptz'))).toMatchObject({
      message: { seconds, nanos },
    });
    expect(toBinary(sample, message.message)).toEqual(new Uint8Array(bytes));
  });

  const refused: readonly (readonly [string, string])[] = [
    ['infinity', '7fffffffffffffff'],
    ['minus infinity', '8000000000000000'],
    ['the year 10000', '0380e70b913b8000'],
    ['the year before 1', 'ff1fe2ffc59c5fff'],
  ];

  it.each(refused)('refuses %s', (_name, hex) => {
    const bytes = tupleOfBytes([Buffer.from(hex, 'hex')]);
    const columns = [{ name: 'timestamptz', type: 'timestamptz' }] as const;
    expect(() => encode(columns, bytes)).toThrow(/infinite or outside the years/);
  });
});

describe('compileTupleEncoder, items', () => {
  const columns: readonly TupleColumn[] = [
    { name: 'text', type: 'text' },
    { name: 'int8', type: 'int8' },
  ];

  it('writes each tuple as an item, whatever the sizes of the ones before', () => {
    const encoder = compileTupleEncoder(sample, columns, { field: fieldOf(samples, 'items') });
    const writer = new WireWriter(1, 1 << 25);
    const sizes = [0, 100, 120, 130, 3, 16_370, 16_390, 5, 2_097_140, 2_097_160, 126, 127, 128];
    for (const size of sizes) {
      const bytes = tuple(['text', 'int8'], ['x'.repeat(size), 1n]);
      encoder.encode(writer, bytes, 0, bytes.length);
    }
    const bytes = writer.take();
    const message = fromBinary(samples, bytes);
    const items = reflect(samples, message).get(fieldOf(samples, 'items')) as Iterable<unknown>;
    expect([...items]).toHaveLength(sizes.length);
    expect(bytes.equals(toBinary(samples, message))).toBe(true);
  });

  it('has room for the jsonb that grows most', () => {
    const json = `{"": [${'1,'.repeat(20_000)}1]}`;
    const encoded = encodeValue('jsonb', 'jsonb', json);
    expect(encoded.length).toBeGreaterThan(5.4 * json.length);
    expect(encoded.equals(toBinary(sample, fromBinary(sample, encoded)))).toBe(true);
  });

  it('names the fields of its columns', () => {
    expect(compileTupleEncoder(sample, columns).fieldNumbers).toEqual([1, 16]);
  });

  it('refuses a tuple that is larger than a batch may be', () => {
    const bytes = tuple(['text', 'int8'], ['x'.repeat(100), 1n]);
    const encoder = compileTupleEncoder(sample, columns);
    expect(() => encoder.encode(new WireWriter(1, 100), bytes, 0, bytes.length)).toThrow(
      new WireError('a tuple of 118 bytes'),
    );
  });
});

describe('compileTupleEncoder, malformed tuples', () => {
  const columns: readonly TupleColumn[] = [
    { name: 'text', type: 'text' },
    { name: 'int8', type: 'int8' },
  ];
  const good = tuple(['text', 'int8'], ['key', 1n]);

  it('refuses one that is cut anywhere', () => {
    for (let end = 0; end < good.length; end++) {
      const encoder = compileTupleEncoder(sample, columns);
      expect(() => encoder.encode(new WireWriter(1), good, 0, end)).toThrow(WireError);
    }
  });

  it.each([
    ['with another count of columns', tuple(['text'], ['key'])],
    ['that goes on', Buffer.concat([good, Buffer.of(0)])],
    ['with a length beyond its end', Buffer.from('00027fffffff6b6579', 'hex')],
    ['with a negative length that is not null', Buffer.from('0002fffffffeffffffff', 'hex')],
    ['with an int8 of four bytes', tupleOfBytes([Buffer.from('key'), Buffer.alloc(4)])],
  ])('refuses one %s', (_name, bytes) => {
    expect(() => encode(columns, bytes)).toThrow(WireError);
  });

  it.each<[ColumnType, string]>([
    ['uuid', '00'],
    ['int4', '0000000000000001'],
    ['bool', ''],
    ['float8', '00000000'],
    ['timestamptz', '00000000'],
    ['jsonb', ''],
    ['jsonb', '027b7d'],
  ])('refuses a %s of bytes %j', (type, hex) => {
    const bytes = tupleOfBytes([Buffer.from(hex, 'hex')]);
    expect(() => encode([{ name: type, type }], bytes)).toThrow(WireError);
  });

  it('refuses one that reaches outside its chunk', () => {
    const encoder = compileTupleEncoder(sample, columns);
    for (const [start, end] of [
      [-1, good.length],
      [0, good.length + 1],
    ] as const) {
      expect(() => encoder.encode(new WireWriter(1), good, start, end)).toThrow(
        /outside its chunk/,
      );
    }
  });
});

describe('compileTupleEncoder, compiling', () => {
  it.each<[string, ColumnType]>([
    ['texts', 'text'],
    ['raw', 'text'],
    ['int8', 'text'],
    ['int8', 'int4'],
    ['zigzag', 'int8'],
    ['fixed', 'int8'],
    ['text', 'jsonb'],
    ['value', 'jsonb'],
    ['jsonb', 'timestamptz'],
    ['one_text', 'text'],
  ])('refuses field %s for a %s', (name, type) => {
    expect(() => compileTupleEncoder(sample, [{ name, type }])).toThrow(name);
  });

  it('refuses a column without a field, and a field of two columns', () => {
    const column = { name: 'text', type: 'text' } as const;
    expect(() => compileTupleEncoder(sample, [{ ...column, name: 'none' }])).toThrow(
      'no field none',
    );
    expect(() => compileTupleEncoder(sample, [column, column])).toThrow('two columns');
  });

  it('refuses an entry that is no list of the message', () => {
    const column = { name: 'text', type: 'text' } as const;
    for (const field of [fieldOf(samples, 'bare'), fieldOf(sample, 'texts')]) {
      expect(() => compileTupleEncoder(sample, [column], { field })).toThrow('is no list of');
    }
  });
});
