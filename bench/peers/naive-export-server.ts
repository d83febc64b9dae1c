/**
 * An export as it is usually written: pg-cursor, a protobuf-es message a row, a thousand rows a
 * response, back-pressure by `drain`.
 */

import { once } from 'node:events';
import { create, type JsonObject, toBinary } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type grpc from '@grpc/grpc-js';
import pg from 'pg';
import Cursor from 'pg-cursor';
import { StreamObjectsResponseSchema } from '../../gen/stowage/v1/storage_list_pb.js';
import { type StorageObject, StorageObjectSchema } from '../../gen/stowage/v1/storage_object_pb.js';
import { serveGrpc } from './serve-grpc.js';

const ROWS_PER_MESSAGE = 1000;

interface Row {
  readonly object_key: string;
  readonly id: string;
  /** A bigint comes from pg as text. */
  readonly size: string;
  readonly content_type: string;
  readonly etag: string;
  readonly last_modified: Date;
  readonly version_id: string;
  readonly storage_backend: string;
  readonly storage_class: string;
  readonly metadata: JsonObject;
  readonly owner: string;
  readonly created_at: Date;
  readonly revision: string;
}

const pool = new pg.Pool({ connectionString: process.env['DATABASE_URL'] });

function toMessage(row: Row): StorageObject {
  return create(StorageObjectSchema, {
    objectKey: row.object_key,
    id: row.id,
    size: BigInt(row.size),
    contentType: row.content_type,
    etag: row.etag,
    lastModified: timestampFromDate(row.last_modified),
    versionId: row.version_id,
    storageBackend: row.storage_backend,
    storageClass: row.storage_class,
    metadata: row.metadata,
    owner: row.owner,
    createdAt: timestampFromDate(row.created_at),
    revision: BigInt(row.revision),
  });
}

/** The request is the query, as `{ text, params }`. */
async function stream(call: grpc.ServerWritableStream<Buffer, Buffer>): Promise<void> {
  const { text, params } = JSON.parse(call.request.toString()) as {
    readonly text: string;
    readonly params: unknown[];
  };
  const client = await pool.connect();
  const cursor = client.query(new Cursor<Row>(text, params));
  try {
    for (;;) {
      const rows = await cursor.read(ROWS_PER_MESSAGE);
      if (rows.length === 0) break;
      const response = create(StreamObjectsResponseSchema, { objects: rows.map(toMessage) });
      const bytes = Buffer.from(toBinary(StreamObjectsResponseSchema, response));
      if (!call.write(bytes)) await once(call, 'drain');
    }
    call.end();
  } finally {
    await cursor.close();
    client.release();
  }
}

const handler = (call: grpc.ServerWritableStream<Buffer, Buffer>): void => {
  stream(call).catch((error: unknown) => call.destroy(error as Error));
};

await serveGrpc({
  path: '/bench.Naive/Stream',
  responseStream: true,
  handler: handler as grpc.UntypedHandleCall,
});
