/** The loop that batches are compared with: a row at a time, a commit every so many rows. */

import type pg from 'pg';
import { v7 as uuid } from 'uuid';
import type { IngestedObject } from './ingested-objects.js';
import { PROJECT } from './objects.js';

const UPSERT = `
  insert into storage_objects (project_id, object_key, id, size, content_type, etag, last_modified,
    version_id, storage_backend, storage_class, metadata, owner)
  values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
  on conflict (project_id, object_key) do update set
    size = excluded.size, content_type = excluded.content_type, etag = excluded.etag,
    last_modified = excluded.last_modified, version_id = excluded.version_id,
    storage_backend = excluded.storage_backend, storage_class = excluded.storage_class,
    metadata = excluded.metadata, owner = excluded.owner,
    revision = storage_objects.revision + 1`;

const VERSION = `
  insert into storage_versions (project_id, object_key, version_id, size, etag, content_type,
    last_modified, metadata)
  values ($1, $2, $3, $4, $5, $6, $7, $8)`;

const AUDIT = `
  insert into storage_audit (project_id, id, user_id, username, action, object_key, version_id)
  values ($1, $2, 'anonymous', 'anonymous', 'INGEST_OBJECTS', $3, $4)`;

/** Records objects with three statements each, `rowsPerCommit` a transaction. */
export async function recordRowByRow(
  client: pg.Client,
  objects: readonly IngestedObject[],
  rowsPerCommit: number,
): Promise<void> {
  for (let start = 0; start < objects.length; start += rowsPerCommit) {
    await client.query('begin');
    for (const object of objects.slice(start, start + rowsPerCommit)) await record(client, object);
    await client.query('commit');
  }
}

async function record(client: pg.Client, object: IngestedObject): Promise<void> {
  const { key, size, contentType, etag, lastModified, metadata } = object;
  const versionId = uuid();
  await client.query(UPSERT, [
    ...[PROJECT, key, uuid(), size, contentType, etag, lastModified, versionId],
    ...[object.storageBackend, object.storageClass, metadata, object.owner],
  ]);
  await client.query(VERSION, [
    ...[PROJECT, key, versionId, size, etag, contentType, lastModified, metadata],
  ]);
  await client.query(AUDIT, [PROJECT, uuid(), key, versionId]);
}
