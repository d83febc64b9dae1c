// Rows of versions become the bytes that protobuf-es writes: tags, a jsonb of texts, become a map.
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { GetDatabaseStatisticsResponseSchema } from '../../gen/stowage/v1/admin_report_pb.js';
import { ObjectVersionSchema } from '../../gen/stowage/v1/version_pb.js';
import { versionColumns } from '../../src/store/version-columns.js';
import { compileTupleEncoder } from '../../src/wire/tuple-encoder.js';
import { keepEveryCharacter } from '../../src/wire/utf8.js';
import { WireError } from '../../src/wire/wire-error.js';
import { WireWriter } from '../../src/wire/writer.js';
import { tuple } from '../support/binary-tuple.js';

keepEveryCharacter();

const encoder = compileTupleEncoder(ObjectVersionSchema, versionColumns);

function encode(tags: string): Buffer {
  const values = ['k', 'v2', 7n, 'e', 'text/plain', 1_000_001n, true, 'ada', 'fine', tags, '{}'];
  const types = versionColumns.map(({ type }) => type);
  const bytes = tuple(types, [...values, false, 'v1', 5_000_000n, 3n]);
  const writer = new WireWriter(1);
  encoder.encode(writer, bytes, 0, bytes.length);
  return writer.take();
}

const expected = (tags: Record<string, string>) =>
  create(ObjectVersionSchema, {
    objectKey: 'k',
    versionId: 'v2',
    size: 7n,
    etag: 'e',
    contentType: 'text/plain',
    lastModified: { seconds: 1n, nanos: 1_000 },
    isLatest: true,
    createdBy: 'ada',
    comment: 'fine',
    tags,
    restoredFrom: 'v1',
    createdAt: { seconds: 5n, nanos: 0 },
    revision: 3n,
  });

describe('the encoder of versions', () => {
  const maps: readonly Record<string, string>[] = [
    {},
    { reviewed: 'true' },
    { '': '', größe: 'документ', '🏷️': '"\\\n\u{1}' },
    Object.fromEntries(Array.from({ length: 50 }, (_, at) => [`${at}`.padEnd(128, 'n'), 'v'])),
    { long: 'x'.repeat(20_000) },
    ...[118, 119, 120, 121, 122, 123].map((length) => ({ k: 'v'.repeat(length) })),
  ];

  it.each(maps)('writes tags as a map, however long, no. %#', (tags) => {
    const bytes = encode(JSON.stringify(tags));
    expect(fromBinary(ObjectVersionSchema, bytes)).toEqual(expected(tags));
    expect(bytes.equals(toBinary(ObjectVersionSchema, expected(tags)))).toBe(true);
  });

  it('passes over spaces between the members', () => {
    expect(encode(' { "a" : "1" ,\n"b":"2" } ')).toEqual(encode('{"a":"1","b":"2"}'));
  });

  it.each([
    ...['[]', '"a"', '{"a"}', '{"a":1}', '{"a":null}', '{"a":{}}', '{"a":["b"]}', '{a:"b"}'],
    ...['{"a":"b",}', '{"a":"b"', '{"a":"b"}}', '{"a" "b"}', '{"a":"b" "c":"d"}', '{', ''],
  ])('refuses %j for tags', (text) => {
    expect(() => encode(text)).toThrow(WireError);
  });

  it('writes on after a refusal', () => {
    expect(() => encode('{"a": 1}')).toThrow(WireError);
    expect(encode('{}')).toEqual(Buffer.from(toBinary(ObjectVersionSchema, expected({}))));
  });

  it('is compiled for no other map', () => {
    const columns = [{ name: 'sessions', type: 'jsonb' }] as const;
    const compile = () => compileTupleEncoder(GetDatabaseStatisticsResponseSchema, columns);
    expect(compile).toThrow('sessions');
  });
});
