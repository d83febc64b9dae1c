/** Rows of StorageObject, as PostgreSQL would send them and as the message they must become. */

import { create, type JsonObject, type MessageInitShape } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { StreamObjectsResponseSchema } from '../../gen/stowage/v1/storage_list_pb.js';
import { StorageObjectSchema } from '../../gen/stowage/v1/storage_object_pb.js';
import { objectColumns } from '../../src/store/object-columns.js';
import { compileTupleEncoder } from '../../src/wire/tuple-encoder.js';
import { type ColumnValue, tuple } from './binary-tuple.js';
import { jsonbText } from './jsonb-text.js';

/** The columns, in the order of the field numbers. */
export const columns = objectColumns;

/** A row by its columns' names; what is left out is null. Times are microseconds since 1970. */
export interface Row {
  readonly object_key?: string | null;
  readonly id?: string | null;
  readonly size?: bigint | null;
  readonly content_type?: string | null;
  readonly etag?: string | null;
  readonly last_modified?: bigint | null;
  readonly version_id?: string | null;
  readonly storage_backend?: string | null;
  readonly storage_class?: string | null;
  readonly metadata?: JsonObject | null;
  readonly owner?: string | null;
  readonly created_at?: bigint | null;
  readonly deleted_at?: bigint | null;
  readonly purge_at?: bigint | null;
  readonly revision?: bigint | null;
}

/** An encoder of such rows as items of StreamObjectsResponse. */
export function objectEncoder() {
  return compileTupleEncoder(StorageObjectSchema, columns, {
    field: StreamObjectsResponseSchema.field.objects,
  });
}

/** The row as PostgreSQL sends it. */
export function rowTuple(row: Row): Buffer {
  const values = columns.map(({ name }): ColumnValue => {
    const value = row[name as keyof Row] ?? null;
    return value === null || typeof value !== 'object' ? value : jsonbText(value);
  });
  const types = columns.map(({ type }) => type);
  return tuple(types, values);
}

/** The message the row must become. */
export function rowMessage(row: Row) {
  const init: MessageInitShape<typeof StorageObjectSchema> = {
    objectKey: row.object_key ?? '',
    id: row.id ?? '',
    size: row.size ?? 0n,
    contentType: row.content_type ?? '',
    etag: row.etag ?? '',
    ...timestampField('lastModified', row.last_modified),
    versionId: row.version_id ?? '',
    storageBackend: row.storage_backend ?? '',
    storageClass: row.storage_class ?? '',
    ...(Object.keys(row.metadata ?? {}).length > 0 ? { metadata: row.metadata as JsonObject } : {}),
    owner: row.owner ?? '',
    ...timestampField('createdAt', row.created_at),
    ...timestampField('deletedAt', row.deleted_at),
    ...timestampField('purgeAt', row.purge_at),
    revision: row.revision ?? 0n,
  };
  return create(StorageObjectSchema, init);
}

function timestampField(name: string, micros: bigint | null | undefined) {
  if (micros === null || micros === undefined) return {};
  const nanos = Number(((micros % 1_000_000n) + 1_000_000n) % 1_000_000n) * 1000;
  return { [name]: { seconds: (micros - BigInt(nanos / 1000)) / 1_000_000n, nanos } };
}

const text = fc.string({ unit: 'binary', maxLength: 200 });
const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
/** Years 1 to 9999. */
const micros = fc.bigInt({ min: -62_135_596_800_000_000n, max: 253_402_300_799_999_999n });

/**
 * Metadata. Keys that look like array indices are left out unless asked for, because JavaScript
 * moves them before all others and protobuf-es then writes another order; `__proto__` always.
 */
export function metadataArbitrary(hasIndexKeys: boolean): fc.Arbitrary<JsonObject> {
  const key = fc
    .oneof(fc.string({ unit: 'binary', maxLength: 20 }), hasIndexKeys ? fc.nat().map(String) : text)
    .filter((name) => name !== '__proto__' && (hasIndexKeys || !/^\d+$/.test(name)));
  const number = fc.oneof(
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.integer(),
    fc.maxSafeInteger(),
    fc.integer({ min: -99_999, max: 99_999 }).map((hundredths) => hundredths / 100),
  );
  const { node } = fc.letrec<{ node: JsonObject; value: JsonObject[string] }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 6, withCrossShrink: true },
      fc.oneof(text, number, fc.boolean(), fc.constant(null)),
      fc.array(tie('value'), { maxLength: 8 }),
      tie('node'),
    ),
    node: fc.dictionary(key, tie('value'), { maxKeys: 8, noNullPrototype: true }),
  }));
  // As JSON.parse gives them: in the order of the text.
  return node.map((object) => JSON.parse(jsonbText(object)) as JsonObject);
}

/** Any row. */
export function rowArbitrary(hasIndexKeys: boolean): fc.Arbitrary<Row> {
  const nullable = <T>(values: fc.Arbitrary<T>) => fc.option(values, { freq: 6, nil: null });
  return fc.record({
    object_key: nullable(text),
    id: nullable(fc.uuid()),
    size: nullable(int64),
    content_type: nullable(text),
    etag: nullable(text),
    last_modified: nullable(micros),
    version_id: nullable(text),
    storage_backend: nullable(text),
    storage_class: nullable(text),
    metadata: nullable(metadataArbitrary(hasIndexKeys)),
    owner: nullable(text),
    created_at: nullable(micros),
    deleted_at: nullable(micros),
    purge_at: nullable(micros),
    revision: nullable(int64),
  });
}
