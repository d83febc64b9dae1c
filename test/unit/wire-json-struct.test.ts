import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { StorageObjectSchema } from '../../gen/stowage/v1/storage_object_pb.js';
import { JSON_DEPTH_MAX, JSON_GROWTH_MAX, JsonStructEncoder } from '../../src/wire/json-struct.js';
import { WireError } from '../../src/wire/wire-error.js';

const METADATA_TAG = (StorageObjectSchema.field.metadata.number << 3) | 2;

function encode(text: string | Buffer): Buffer {
  const source = Buffer.from(text);
  const bytes = Buffer.alloc(source.length * JSON_GROWTH_MAX + 10);
  const end = new JsonStructEncoder().putField(bytes, 0, METADATA_TAG, source, 0, source.length);
  expect(end).toBeLessThanOrEqual(bytes.length);
  return bytes.subarray(0, end);
}

/** Decodes, and checks that encoding it again gives the same bytes. */
function decode(text: string) {
  const bytes = encode(text);
  const message = fromBinary(StorageObjectSchema, bytes);
  expect(bytes.equals(toBinary(StorageObjectSchema, message))).toBe(true);
  return message.metadata;
}

function nested(open: string, core: string, close: string, levels: number): string {
  return `{"a": ${open.repeat(levels)}${core}${close.repeat(levels)}}`;
}

describe('JsonStructEncoder', () => {
  it('leaves {} out', () => {
    expect(encode('{}')).toHaveLength(0);
    expect(encode(' { } ')).toHaveLength(0);
  });

  it('passes over every kind of space', () => {
    expect(decode('\r\n\t {\r\n\t "a"\r\n\t :\r\n\t [\r\n\t 1\r\n\t ,2 ] }\n')).toEqual({
      a: [1, 2],
    });
  });

  it('keeps empty objects and arrays that are inside', () => {
    expect(decode('{"a": {}, "b": [], "": [{}, []]}')).toEqual({ a: {}, b: [], '': [{}, []] });
  });

  it.each([
    ...['0', '-0', '1', '-1', '0.1', '-0.1', '1.5', '999999999999999', '9007199254740991'],
    ...['9007199254740993', '123456789012345680000', '0.30000000000000004', '0.000001', '1e308'],
    ...[
      `1${'0'.repeat(308)}`,
      `0.${'0'.repeat(320)}49`,
      '4.35',
      '2.675',
      '123456.789012345',
      '5e-324',
    ],
    ...['100000.000000001', '1E+2', '1e-2', '4.1279584117577727'],
  ])('gives the number %s the value that JSON.parse gives it', (text) => {
    expect(decode(`{"n": ${text}}`)).toStrictEqual(JSON.parse(`{"n": ${text}}`));
  });

  it('gives every escape its character', () => {
    const escapes = String.raw`\" \\ \/ \b \f \n \r \t \u0000 \u00e9 \u20ac \ud834\udd1e \uFFFF`;
    const text = `{"\\u006b\\"": "${escapes}"}`;
    expect(decode(text)).toStrictEqual(JSON.parse(text));
  });

  it('gives escapes on both sides of each length in UTF-8 their characters', () => {
    const points = ['007f', '0080', '07ff', '0800', 'd7ff', 'e000', 'ffff'];
    const texts = [...points, 'd800\\udc00', 'dbff\\udfff'].map((hex) => `\\u${hex}`);
    for (const text of texts) {
      expect(decode(`{"a": "${text}"}`)).toStrictEqual(JSON.parse(`{"a": "${text}"}`));
    }
  });

  it('writes lengths least on both sides of each size', () => {
    for (const size of [100, 110, 118, 119, 120, 121, 122, 123, 124, 125, 126, 127, 128, 16_370]) {
      for (let more = 0; more < 16; more++) {
        const text = JSON.stringify({ a: { b: ['x'.repeat(size + more)] }, c: 1 });
        expect(decode(text)).toEqual(JSON.parse(text));
      }
    }
  });

  it('takes 64 KiB of metadata', () => {
    const keys = Array.from({ length: 3_000 }, (_, i) => [`key-${i}`, { n: i, s: 'é'.repeat(3) }]);
    const text = JSON.stringify(Object.fromEntries(keys));
    expect(text.length).toBeGreaterThan(64 * 1024);
    expect(decode(text)).toEqual(JSON.parse(text));
  });

  it('stays within its growth for the shapes that grow most', () => {
    for (const count of [0, 1, 9, 200, 2_000]) {
      for (const item of ['1', '[1]', '{"":1}', '[]', 'true']) {
        const items = Array.from({ length: count }, () => item).join(',');
        expect(() => decode(`{"":[${items}]}`)).not.toThrow();
        expect(() => decode(nested('[', items, ']', JSON_DEPTH_MAX - 3))).not.toThrow();
        expect(() => decode(nested('{"":[', items, ']}', 14))).not.toThrow();
      }
    }
  });

  it('takes the depth that every decoder takes and refuses one more', () => {
    for (const [open, close] of [
      ['[', ']'],
      ['{"a":', '}'],
    ] as const) {
      expect(() => decode(nested(open, '1', close, JSON_DEPTH_MAX - 1))).not.toThrow();
      expect(() => decode(nested(open, '1', close, JSON_DEPTH_MAX))).toThrow(/levels deep/);
    }
    expect(() => decode(nested('[', '', '', 1_000_000))).toThrow(/levels deep/);
  });

  it.each([
    ...['', ' ', '[]', '1', 'null', '"a"', '{', '{"', '{"a', '{"a"', '{"a":', '{"a":1', '{"a":1,'],
    ...[
      '{"a":1,}',
      '{,}',
      '{"a" 1}',
      '{"a"=1}',
      '{"a"11}',
      '{"a":}',
      '{a:1}',
      '{"a":1}}',
      '{"a":1} x',
      '{"a":[1,]}',
    ],
    ...[
      '{"a":[1 2]}',
      '{"a":[}',
      '{"a":01}',
      '{"a":1.}',
      '{"a":.5}',
      '{"a":+1}',
      '{"a":-}',
      '{"a":1e}',
    ],
    ...[
      '{"a":tru}',
      '{"a":nul',
      '{"a":True}',
      '{"a":NaN}',
      '{"a":"\n"}',
      '{"a":"\\x"}',
      '{"a":"\\',
    ],
    ...[
      '{"a":"\\u12"}',
      '{"a":"\\u12g4"}',
      '{"a":"\\ud800"}',
      '{"a":"\\udc00"}',
      '{"a":"\\udc00\\udc00"}',
      '{"a":"\\ud800\\ue000"}',
      '{"a":"\\ud800\\u0041"}',
    ],
    ...['{"a":"\\ud800\\', '{"a":"\\ud800\\u', '{"a":1e400}', '{"a":-1e400}', '{"a":\u00a01}'],
  ])('refuses %j', (text) => {
    expect(() => encode(text)).toThrow(WireError);
  });

  it('says where, and nothing of what stands there', () => {
    expect(() => encode('{"secret": secret}')).toThrow(
      'a jsonb has something that is no value, at byte 11 of its text',
    );
  });

  it('works on after a refusal', () => {
    const encoder = new JsonStructEncoder();
    const bytes = Buffer.alloc(100);
    const bad = Buffer.from('{"a": [1, x');
    expect(() => encoder.putField(bytes, 0, METADATA_TAG, bad, 0, bad.length)).toThrow(WireError);
    const good = Buffer.from('{"a": [1]}');
    const end = encoder.putField(bytes, 0, METADATA_TAG, good, 0, good.length);
    expect(bytes.subarray(0, end).equals(encode('{"a": [1]}'))).toBe(true);
  });
});
