/** Whatever row PostgreSQL sends, its bytes become what protobuf-es would have written. */

import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { StreamObjectsResponseSchema } from '../../gen/stowage/v1/storage_list_pb.js';
import type { TupleEncoder } from '../../src/wire/tuple-encoder.js';
import { keepEveryCharacter } from '../../src/wire/utf8.js';
import { WireError } from '../../src/wire/wire-error.js';
import { WireWriter } from '../../src/wire/writer.js';
import {
  objectEncoder,
  type Row,
  rowArbitrary,
  rowMessage,
  rowTuple,
} from '../support/storage-object-rows.js';

keepEveryCharacter();

/** Encodes rows one behind the other out of one chunk, with foreign bytes around each. */
function encodeRows(encoder: TupleEncoder, rows: readonly Row[]): Buffer {
  const writer = new WireWriter(1);
  for (const row of rows) {
    const bytes = rowTuple(row);
    const chunk = Buffer.concat([Buffer.alloc(7, 0xff), bytes, Buffer.alloc(9, 0xff)]);
    encoder.encode(writer, chunk, 7, 7 + bytes.length);
  }
  return writer.take();
}

function expectSameBytes(encoder: TupleEncoder, rows: readonly Row[]): void {
  const objects = rows.map(rowMessage);
  const message = create(StreamObjectsResponseSchema, { objects });
  const bytes = encodeRows(encoder, rows);
  expect(bytes.equals(toBinary(StreamObjectsResponseSchema, message))).toBe(true);
}

describe('compileTupleEncoder, any row', () => {
  it('writes the bytes that protobuf-es writes', () => {
    const encoder = objectEncoder();
    const rows = fc.array(rowArbitrary(false), { maxLength: 4 });
    fc.assert(
      fc.property(rows, (some) => expectSameBytes(encoder, some)),
      { numRuns: 800 },
    );
  });

  it('writes what decodes to the row, whatever its metadata keys are', () => {
    const encoder = objectEncoder();
    const rows = fc.array(rowArbitrary(true), { maxLength: 4 });
    const property = fc.property(rows, (some) => {
      const decoded = fromBinary(StreamObjectsResponseSchema, encodeRows(encoder, some));
      expect(decoded.objects).toStrictEqual(some.map(rowMessage));
    });
    fc.assert(property, { numRuns: 500 });
  });

  it('is found out when one bit of one row is wrong, or one length is padded', () => {
    const plants: ((item: Buffer) => Buffer)[] = [
      (item) => {
        const copy = Buffer.from(item);
        copy[copy.length - 1] = (copy[copy.length - 1] as number) ^ 1;
        return copy;
      },
      (item) => {
        // The length stands behind the tag, one byte long; its last byte is the first below 128.
        const last = item.findIndex((byte, at) => at > 0 && byte < 0x80);
        const padded = Buffer.from([(item[last] as number) | 0x80, 0]);
        return Buffer.concat([item.subarray(0, last), padded, item.subarray(last + 1)]);
      },
    ];
    for (const plant of plants) {
      const encoder = objectEncoder();
      const broken: TupleEncoder = {
        ...encoder,
        encode(writer, source, start, end) {
          const own = new WireWriter(1);
          encoder.encode(own, source, start, end);
          const item = plant(own.take());
          writer.reserve(item.length);
          item.copy(writer.bytes, writer.position);
          writer.commit(writer.position + item.length);
        },
      };
      const rows = fc.array(rowArbitrary(false), { minLength: 1, maxLength: 1 });
      const property = fc.property(rows, (some) => expectSameBytes(broken, some));
      expect(fc.check(property, { numRuns: 100 }).failed).toBe(true);
    }
  });
});

/** Ways to spoil a tuple: a byte changed, cut off, or added. */
const spoiling = fc.array(
  fc.record({ at: fc.nat(), byte: fc.nat(255), how: fc.constantFrom('set', 'cut', 'add') }),
  { minLength: 1, maxLength: 3 },
);

describe('compileTupleEncoder, spoilt tuples', () => {
  it('throws a WireError or depends on the tuple alone, never on the bytes around it', () => {
    const property = fc.property(rowArbitrary(true), spoiling, (row, changes) => {
      let bytes = rowTuple(row);
      for (const { at, byte, how } of changes) {
        const place = at % bytes.length;
        if (how === 'set') bytes[place] = byte;
        else if (how === 'cut') bytes = bytes.subarray(0, Math.max(1, place));
        else
          bytes = Buffer.concat([bytes.subarray(0, place), Buffer.of(byte), bytes.subarray(place)]);
      }
      const outcomes = [0x00, 0x22, 0xff].map((around) => {
        const chunk = Buffer.concat([Buffer.of(around), bytes, Buffer.alloc(64, around)]);
        const writer = new WireWriter(1);
        try {
          objectEncoder().encode(writer, chunk, 1, 1 + bytes.length);
        } catch (error) {
          expect(error).toBeInstanceOf(WireError);
          expect(writer.position).toBe(0);
          return 'refused';
        }
        return writer.take().toString('hex');
      });
      expect(new Set(outcomes).size).toBe(1);
    });
    fc.assert(property, { numRuns: 1_500 });
  });
});
