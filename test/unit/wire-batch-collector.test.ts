import { crc32 } from 'node:zlib';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { StreamObjectsResponseSchema } from '../../gen/stowage/v1/storage_list_pb.js';
import { createBatchCollector } from '../../src/wire/batch-collector.js';
import { WireError } from '../../src/wire/wire-error.js';
import { objectEncoder, type Row, rowMessage, rowTuple } from '../support/storage-object-rows.js';

function collectorOfObjects() {
  return createBatchCollector({ encoder: objectEncoder(), key: 0 });
}

type Collector = ReturnType<typeof collectorOfObjects>;

function collect(collector: Collector, row: Row): void {
  const bytes = rowTuple(row);
  collector.tuple(bytes, 0, bytes.length);
  // The reader's chunk is used again at once.
  bytes.fill(0xff);
}

/** Collects rows of a size until the batch is full. */
function fill(collector: Collector, etagBytes: number) {
  for (let i = 0; !collector.isFull(); i++) {
    collect(collector, { object_key: `key-${i}`, etag: 'x'.repeat(etagBytes) });
  }
  const batch = collector.take();
  if (batch === undefined) throw new Error('a full batch has items');
  return batch;
}

describe('createBatchCollector', () => {
  it('gives the items of a message as protobuf-es would write them', () => {
    const collector = collectorOfObjects();
    const rows: Row[] = [
      { object_key: 'a', size: 1n, metadata: { team: 'x' } },
      {},
      {
        object_key: 'schlüssel/ж',
        id: '019a9d6e-0000-7000-8000-000000000001',
        etag: 'e'.repeat(300),
      },
    ];
    for (const row of rows) collect(collector, row);
    const batch = collector.take();
    const message = create(StreamObjectsResponseSchema, { objects: rows.map(rowMessage) });
    expect(batch?.bytes.equals(toBinary(StreamObjectsResponseSchema, message))).toBe(true);
    expect(batch?.items).toBe(3);
    expect(batch?.lastKey).toBe('schlüssel/ж');
    expect(batch?.crc32).toBe(crc32(toBinary(StreamObjectsResponseSchema, message)));
  });

  it('gives nothing when nothing was collected, and begins afresh after each batch', () => {
    const collector = collectorOfObjects();
    expect(collector.take()).toBeUndefined();
    collect(collector, { object_key: 'a' });
    const first = collector.take();
    expect(collector.take()).toBeUndefined();
    collect(collector, { object_key: 'b' });
    const second = collector.take();
    const keys = [first, second].map((batch) =>
      fromBinary(StreamObjectsResponseSchema, batch?.bytes ?? new Uint8Array()).objects.map(
        (object) => object.objectKey,
      ),
    );
    expect(keys).toEqual([['a'], ['b']]);
  });

  it('fills the first batch with 256 small rows', () => {
    expect(fill(collectorOfObjects(), 1).items).toBe(256);
  });

  it('fills the first batch with 8 KiB, then 64, 128 and 256 KiB, and stays there', () => {
    const collector = collectorOfObjects();
    const sizes = Array.from({ length: 5 }, () => fill(collector, 200).bytes.length / 1024);
    expect(sizes.map((size) => Math.floor(size))).toEqual([8, 64, 128, 256, 256]);
  });

  it('has the last key after rows of any column, and an empty one where it was left out', () => {
    const collector = createBatchCollector({ encoder: objectEncoder(), key: 10 });
    const row: Row = {
      object_key: 'k'.repeat(500),
      size: -1n,
      last_modified: 1_700_000_000_123_456n,
      metadata: { nested: { list: [1, 'two', null] } },
      revision: 7n,
    };
    collect(collector, { ...row, owner: 'first' });
    collect(collector, { ...row, owner: 'last' });
    expect(collector.take()?.lastKey).toBe('last');
    collect(collector, row);
    expect(collector.take()?.lastKey).toBe('');
  });

  it('is as it was before a row that fails', () => {
    const collector = collectorOfObjects();
    collect(collector, { object_key: 'good' });
    const bad = rowTuple({ object_key: 'bad', size: 5n });
    expect(() => collector.tuple(bad, 0, bad.length - 1)).toThrow(WireError);
    const batch = collector.take();
    expect(batch?.items).toBe(1);
    expect(batch?.lastKey).toBe('good');
    expect(
      fromBinary(StreamObjectsResponseSchema, batch?.bytes ?? Buffer.alloc(0)).objects,
    ).toHaveLength(1);
  });

  it('does not grow without end when nobody takes its batches', () => {
    const collector = collectorOfObjects();
    const row: Row = { object_key: 'k', etag: 'x'.repeat(100_000) };
    const rows = Array.from({ length: 50 }, () => rowTuple(row));
    expect(() => {
      for (const bytes of rows) collector.tuple(bytes, 0, bytes.length);
    }).toThrow(/over the limit/);
    expect(collector.take()?.bytes.length).toBeLessThanOrEqual(4 * 1024 * 1024);
  });

  it('refuses a key column that the encoder does not have', () => {
    expect(() => createBatchCollector({ encoder: objectEncoder(), key: 15 })).toThrow(
      'no column 15',
    );
  });
});
