/**
 * Rows to messages in memory: the compiled encoder beside protobuf-es, which gets its values ready
 * made and so is spared what it would cost to make them from the row. `npx tsx bench/wire.ts`.
 */

import { create, type JsonObject, toBinary } from '@bufbuild/protobuf';
import { StorageObjectSchema } from '../gen/stowage/v1/storage_object_pb.js';
import { StreamObjectsResponseSchema } from '../gen/stowage/v1/storage_service_pb.js';
import { createBatchCollector } from '../src/wire/batch-collector.js';
import type { ColumnType } from '../src/wire/column.js';
import { compileTupleEncoder } from '../src/wire/tuple-encoder.js';
import { tuple } from '../test/support/binary-tuple.js';

const ROWS = 100_000;
const DISTINCT_ROWS = 1_000;
const ROWS_PER_MESSAGE = 500;
const REPETITIONS = 5;

const columns: readonly { readonly name: string; readonly type: ColumnType }[] = [
  { name: 'object_key', type: 'text' },
  { name: 'id', type: 'uuid' },
  { name: 'size', type: 'int8' },
  { name: 'content_type', type: 'text' },
  { name: 'etag', type: 'text' },
  { name: 'last_modified', type: 'timestamptz' },
  { name: 'version_id', type: 'text' },
  { name: 'storage_backend', type: 'text' },
  { name: 'storage_class', type: 'text' },
  { name: 'metadata', type: 'jsonb' },
  { name: 'owner', type: 'text' },
  { name: 'created_at', type: 'timestamptz' },
  { name: 'deleted_at', type: 'timestamptz' },
  { name: 'purge_at', type: 'timestamptz' },
  { name: 'revision', type: 'int8' },
];
const types = columns.map((column) => column.type);

/** The metadata a row carries, by the lane's name. */
const lanes: Readonly<Record<string, (row: number) => JsonObject>> = {
  'without metadata': () => ({}),
  'three short keys': (row) => ({ team: `team-${row % 40}`, tier: 'gold', retention_days: 90 }),
  'eight keys, nested': (row) => ({
    owner: { team: `team-${row % 40}`, email: 'someone@example.org' },
    labels: ['raw', 'imported', 'eu-west-1'],
    checksum: { sha256: 'b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9' },
    width: 1920,
    height: 1080,
    ratio: 1.7777,
    public: false,
    note: 'a "quoted" line\nand another',
  }),
};

interface Row {
  readonly tuple: Buffer;
  readonly message: Parameters<typeof create<typeof StorageObjectSchema>>[1];
}

function makeRow(row: number, metadata: JsonObject): Row {
  const id = `019a9d6e-0000-7000-8000-${row.toString(16).padStart(12, '0')}`;
  const key = `documents/${(row % 97).toString().padStart(4, '0')}/invoice-${row}.pdf`;
  const etag = row.toString(16).padStart(32, '0');
  const micros = 1_763_700_000_000_000n + BigInt(row) * 1_000_003n;
  const stamp = { seconds: micros / 1_000_000n, nanos: Number(micros % 1_000_000n) * 1000 };
  const text = JSON.stringify(metadata, undefined, 1).replace(/\n\s*/g, ' ');
  const json = text === '{}' ? text : text.replace(/^\{ /, '{').replace(/ \}$/, '}');
  return {
    tuple: tuple(types, [
      ...[key, id, BigInt(row) * 4099n, 'application/pdf', etag, micros, id],
      ...['s3', 'STANDARD', json, '', micros, null, null, 1n],
    ]),
    message: {
      ...{ objectKey: key, id, size: BigInt(row) * 4099n, contentType: 'application/pdf', etag },
      ...{ lastModified: stamp, versionId: id, storageBackend: 's3', storageClass: 'STANDARD' },
      ...{ metadata, createdAt: stamp, revision: 1n },
    },
  };
}

/** Microseconds a row of the compiled encoder, batches and their CRC-32 included. */
function runCompiled(rows: readonly Row[]): number {
  const encoder = compileTupleEncoder(StorageObjectSchema, columns, {
    field: StreamObjectsResponseSchema.field.objects,
  });
  const collector = createBatchCollector({ encoder, keyColumn: 0 });
  // One chunk with many tuples, as a socket gives them.
  const chunk = Buffer.concat(rows.map((row) => row.tuple));
  const ends: number[] = [];
  for (const row of rows) ends.push((ends.at(-1) ?? 0) + row.tuple.length);
  const begun = process.cpuUsage();
  for (let done = 0; done < ROWS; done += rows.length) {
    let start = 0;
    for (const end of ends) {
      collector.tuple(chunk, start, end);
      start = end;
      if (collector.isFull()) collector.take();
    }
  }
  return microsPerRow(begun);
}

function runProtobufEs(rows: readonly Row[]): number {
  const begun = process.cpuUsage();
  for (let done = 0; done < ROWS; done += ROWS_PER_MESSAGE) {
    const from = done % rows.length;
    const objects = rows
      .slice(from, from + ROWS_PER_MESSAGE)
      .map((row) => create(StorageObjectSchema, row.message));
    toBinary(StreamObjectsResponseSchema, create(StreamObjectsResponseSchema, { objects }));
  }
  return microsPerRow(begun);
}

function microsPerRow(begun: NodeJS.CpuUsage): number {
  const used = process.cpuUsage(begun);
  return (used.user + used.system) / ROWS;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

console.log('us of CPU a row, median of', REPETITIONS);
for (const [name, metadata] of Object.entries(lanes)) {
  const rows = Array.from({ length: DISTINCT_ROWS }, (_, row) => makeRow(row, metadata(row)));
  const compiled: number[] = [];
  const naive: number[] = [];
  // The first run of each is the compiler's and is not counted.
  for (let i = 0; i <= REPETITIONS; i++) {
    compiled.push(runCompiled(rows));
    naive.push(runProtobufEs(rows));
  }
  const [ours, theirs] = [median(compiled.slice(1)), median(naive.slice(1))];
  console.log(
    `${name.padEnd(20)} compiled ${ours.toFixed(2)}  protobuf-es ${theirs.toFixed(2)}`,
    ` ratio ${(theirs / ours).toFixed(1)}`,
  );
}
