import { create, fromBinary, type JsonObject, toBinary } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { GetObjectRequestSchema } from '../../gen/stowage/v1/storage_read_pb.js';
import {
  BatchRecordObjectsRequestSchema,
  RecordObjectRequestSchema,
} from '../../gen/stowage/v1/storage_record_pb.js';
import { boundViolations, violationsMax } from '../../src/server/message-bounds.js';
import { decodeRequest } from '../../src/server/validation.js';

function violationsOf(metadata: JsonObject) {
  const request = create(RecordObjectRequestSchema, { object: { metadata } });
  return boundViolations(RecordObjectRequestSchema, request);
}

const fieldsOf = (metadata: JsonObject) => violationsOf(metadata).map(({ field }) => field);

function nested(levels: number): JsonObject {
  let value: JsonObject = { leaf: 1 };
  for (let level = 1; level < levels; level += 1) value = { a: value };
  return value;
}

describe('boundViolations', () => {
  it('finds nothing wrong with ordinary metadata', () => {
    expect(violationsOf({ a: 'text', b: [1, 2.5, null, true], c: { d: -(2 ** 53) + 1 } })).toEqual(
      [],
    );
  });

  it('names the place of each value that cannot be kept', () => {
    const fields = fieldsOf({
      big: 2 ** 53,
      huge: -1e300,
      list: [1, Number.NaN, { infinite: Number.POSITIVE_INFINITY }],
      nul: 'a\0b',
      lone: '\ud800',
    });
    expect(fields).toEqual([
      'object.metadata.big',
      'object.metadata.huge',
      'object.metadata.list[1]',
      'object.metadata.list[2].infinite',
      'object.metadata.nul',
      'object.metadata.lone',
    ]);
  });

  it('looks for no more than some fifty', () => {
    expect(violationsOf({ list: Array<string>(100_000).fill('\0') })).toHaveLength(violationsMax);
    const deep = { lists: Array.from({ length: 100 }, () => ['\0', '\0', '\0']) };
    expect(violationsOf(deep)).toHaveLength(violationsMax);
  });

  it('takes paired surrogates', () => {
    expect(fieldsOf({ face: '😀' })).toEqual([]);
  });

  it('refuses NUL in keys and a key that JavaScript would swallow', () => {
    expect(fieldsOf({ 'a\0': 1 })).toEqual(['object.metadata']);
    expect(fieldsOf({ in: JSON.parse('{"x":1}') })).toEqual([]);
    const swallowed: JsonObject = {};
    Object.setPrototypeOf(swallowed, { x: 1 });
    expect(fieldsOf({ in: swallowed })).toEqual(['object.metadata.in']);
  });

  it('takes 32 levels, decoded from bytes too, and refuses 33', () => {
    const request = (levels: number) =>
      create(BatchRecordObjectsRequestSchema, {
        requests: [{ object: { metadata: nested(levels) } }],
      });
    const decoded = (levels: number) =>
      decodeRequest(
        BatchRecordObjectsRequestSchema,
        toBinary(BatchRecordObjectsRequestSchema, request(levels)),
      );
    expect(boundViolations(BatchRecordObjectsRequestSchema, decoded(32))).toEqual([]);
    expect(boundViolations(BatchRecordObjectsRequestSchema, decoded(33))).toMatchObject([
      { field: expect.stringMatching(/^requests\[0\]\.object\.metadata\.a/) },
    ]);
  });

  it('takes 65536 bytes as JSON and refuses one more', () => {
    const overhead = JSON.stringify({ text: '' }).length;
    expect(fieldsOf({ text: 'x'.repeat(65_536 - overhead) })).toEqual([]);
    expect(fieldsOf({ text: 'x'.repeat(65_537 - overhead) })).toEqual(['object.metadata']);
    expect(fieldsOf({ text: 'é'.repeat(32_768) })).toEqual(['object.metadata']);
  });

  it('refuses times that do not exist', () => {
    const request = create(RecordObjectRequestSchema, {
      object: {
        lastModified: { seconds: 253_402_300_800n, nanos: 0 },
        purgeAt: { seconds: 0n, nanos: -1 },
      },
    });
    expect(boundViolations(RecordObjectRequestSchema, request).map(({ field }) => field)).toEqual([
      'object.last_modified',
      'object.purge_at.nanos',
    ]);
  });

  it('looks into the chosen field of a oneof', () => {
    const request = create(GetObjectRequestSchema, {
      freshness: { demand: { case: 'maxStaleness', value: { seconds: 1n, nanos: -1 } } },
    });
    expect(boundViolations(GetObjectRequestSchema, request)).toMatchObject([
      { field: 'freshness.max_staleness.nanos' },
    ]);
  });
});

describe('decodeRequest', () => {
  const good = toBinary(
    GetObjectRequestSchema,
    create(GetObjectRequestSchema, { objectKey: 'abc' }),
  );

  it('refuses text that is not UTF-8 instead of mending it', () => {
    const bytes = Uint8Array.from(good);
    bytes[bytes.length - 1] = 0xff;
    expect(() => decodeRequest(GetObjectRequestSchema, bytes)).toThrow(/utf-8/i);
    expect(fromBinary(GetObjectRequestSchema, good).objectKey).toBe('abc');
  });

  it('refuses bytes that end too early', () => {
    expect(() => decodeRequest(GetObjectRequestSchema, good.subarray(0, 3))).toThrow(
      /not a valid stowage.v1.GetObjectRequest/,
    );
  });
});
