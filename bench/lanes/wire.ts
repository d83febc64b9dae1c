/**
 * Rows to messages in memory, no database: the compiled encoder, with its batches and their
 * CRC-32. Limit: copying the rows' bytes. Naive peer: protobuf-es, which gets its values ready made
 * and so is spared what it would cost to make them from the row. Work: rows.
 */

import { create, type JsonObject, toBinary } from '@bufbuild/protobuf';
import { StreamObjectsResponseSchema } from '../../gen/stowage/v1/storage_list_pb.js';
import { StorageObjectSchema } from '../../gen/stowage/v1/storage_object_pb.js';
import { objectColumns } from '../../src/store/object-columns.js';
import { createBatchCollector } from '../../src/wire/batch-collector.js';
import { compileTupleEncoder } from '../../src/wire/tuple-encoder.js';
import { tuple } from '../../test/support/binary-tuple.js';
import type { Lane, Measures, RowSpec, Subject } from '../frame/lane.js';
import { objectKey, objectMetadata } from '../rig/objects.js';
import type { Rig } from '../rig/rig.js';

const DISTINCT_ROWS = 1_000;
const ROWS_PER_MESSAGE = 500;
/** protobuf-es gets fewer rows: what counts is its time a row. */
const NAIVE_SHARE = 10;

const types = objectColumns.map((column) => column.type);

/** The metadata that a row carries. */
const metadataOf: Readonly<Record<string, (n: number) => JsonObject>> = {
  none: () => ({}),
  short: objectMetadata,
  nested: (n) => ({
    owner: { team: `team-${n % 40}`, email: 'someone@example.org' },
    labels: ['raw', 'imported', 'eu-west-1'],
    checksum: { sha256: 'b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9' },
    width: 1920,
    height: 1080,
    ratio: 1.7777,
    public: false,
    note: 'a "quoted" line\nand another',
  }),
};

export const wire: Lane = {
  name: 'wire',
  summary: 'rows to messages in memory, with no, three and eight metadata keys; cpu a row',
  rowsDefault: 200_000,
  rows: Object.keys(metadataOf).flatMap((name): RowSpec[] => {
    const row = { subject: name, measure: 'cpuUs', unit: 'us', better: 'lower' } as const;
    return [
      { ...row, name, against: `${name}-naive` },
      { ...row, name: `${name}.copying`, against: `${name}-copied` },
    ];
  }),
  setup,
};

async function setup({ rows: count }: Rig): Promise<Readonly<Record<string, Subject>>> {
  const subjects = Object.entries(metadataOf).flatMap(([name, metadata]) => {
    const rows = Array.from({ length: DISTINCT_ROWS }, (_, n) => makeRow(n, metadata(n)));
    const naiveCount = Math.ceil(count / NAIVE_SHARE);
    return [
      [name, async () => timed(count, () => encode(rows, count))],
      [`${name}-copied`, async () => timed(count, () => copy(rows, count))],
      [`${name}-naive`, async () => timed(naiveCount, () => encodeNaively(rows, naiveCount))],
    ] as const;
  });
  return Object.fromEntries(subjects);
}

interface Row {
  readonly tuple: Buffer;
  readonly message: Parameters<typeof create<typeof StorageObjectSchema>>[1];
}

function makeRow(n: number, metadata: JsonObject): Row {
  const id = `019a9d6e-0000-7000-8000-${n.toString(16).padStart(12, '0')}`;
  const key = objectKey(n);
  const etag = n.toString(16).padStart(32, '0');
  const micros = 1_763_700_000_000_000n + BigInt(n) * 1_000_003n;
  const stamp = { seconds: micros / 1_000_000n, nanos: Number(micros % 1_000_000n) * 1000 };
  return {
    tuple: tuple(types, [
      ...[key, id, BigInt(n) * 4099n, 'application/pdf', etag, micros, id],
      ...['s3', 'STANDARD', jsonbText(metadata), '', micros, null, null, 1n],
    ]),
    message: {
      ...{ objectKey: key, id, size: BigInt(n) * 4099n, contentType: 'application/pdf', etag },
      ...{ lastModified: stamp, versionId: id, storageBackend: 's3', storageClass: 'STANDARD' },
      ...{ metadata, createdAt: stamp, revision: 1n },
    },
  };
}

/** As PostgreSQL writes jsonb: a space behind each colon and comma. */
function jsonbText(metadata: JsonObject): string {
  const text = JSON.stringify(metadata, undefined, 1).replace(/\n\s*/g, ' ');
  return text.replace(/([[{]) /g, '$1').replace(/ ([\]}])/g, '$1');
}

/** Microseconds of CPU a row. */
function timed(count: number, work: () => void): Measures {
  const begun = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(begun);
  return { cpuUs: (user + system) / count };
}

function encode(rows: readonly Row[], count: number): void {
  const encoder = compileTupleEncoder(StorageObjectSchema, objectColumns, {
    field: StreamObjectsResponseSchema.field.objects,
  });
  const collector = createBatchCollector({ encoder, key: 0 });
  // One chunk with many tuples, as a socket gives them.
  const chunk = Buffer.concat(rows.map((row) => row.tuple));
  for (let done = 0; done < count; done += rows.length) {
    let start = 0;
    for (const row of rows) {
      const end = start + row.tuple.length;
      collector.tuple(chunk, start, end);
      start = end;
      if (collector.isFull()) collector.take();
    }
  }
}

function copy(rows: readonly Row[], count: number): void {
  const target = Buffer.alloc(Math.max(...rows.map((row) => row.tuple.length)));
  for (let done = 0; done < count; done += rows.length) {
    for (const row of rows) row.tuple.copy(target);
  }
}

function encodeNaively(rows: readonly Row[], count: number): void {
  for (let done = 0; done < count; done += ROWS_PER_MESSAGE) {
    const from = done % rows.length;
    const objects = rows
      .slice(from, from + ROWS_PER_MESSAGE)
      .map((row) => create(StorageObjectSchema, row.message));
    toBinary(StreamObjectsResponseSchema, create(StreamObjectsResponseSchema, { objects }));
  }
}
