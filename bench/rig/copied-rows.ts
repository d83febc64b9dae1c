/** The rows that an ingest writes, as COPY reads them: the same tables, the same content. */

import { v7 as uuid } from 'uuid';
import { frameCopyData } from './copy.js';
import type { IngestedObject } from './ingested-objects.js';
import { PROJECT } from './objects.js';
import { searchVector } from './search-vector.js';

/** What goes into one table. */
export interface CopiedTable {
  /** Table and columns. */
  readonly into: string;
  readonly frames: Buffer;
}

const line = (...fields: readonly (string | number)[]): string => `${fields.join('\t')}\n`;

/** Everything that recording these objects writes, table by table, in the order of the service. */
export function copiedTables(objects: readonly IngestedObject[]): CopiedTable[] {
  const requestId = uuid();
  const rows = objects.map((object) => ({
    ...object,
    id: uuid(),
    versionId: uuid(),
    auditId: uuid(),
    json: JSON.stringify(object.metadata),
    modified: object.lastModified.toISOString(),
  }));
  const table = (into: string, lineOf: (row: (typeof rows)[number]) => string): CopiedTable => ({
    into,
    frames: frameCopyData(rows.map(lineOf)),
  });
  return [
    table(
      `storage_objects (project_id, object_key, id, size, content_type, etag, last_modified,
         version_id, storage_backend, storage_class, metadata, owner)`,
      (row) =>
        line(
          ...[PROJECT, row.key, row.id, row.size, row.contentType, row.etag, row.modified],
          ...[row.versionId, row.storageBackend, row.storageClass, row.json, row.owner],
        ),
    ),
    table(
      `storage_versions (project_id, object_key, version_id, size, etag, content_type,
         last_modified, created_by, metadata)`,
      (row) =>
        line(
          ...[PROJECT, row.key, row.versionId, row.size, row.etag, row.contentType],
          ...[row.modified, 'anonymous', row.json],
        ),
    ),
    table(
      'storage_search (project_id, object_key, storage_backend, search_vector, indexed_revision)',
      (row) => line(PROJECT, row.key, row.storageBackend, searchVector(row), 1),
    ),
    table(
      'storage_changes (project_id, kind, object_key, revision, version_id, owner, actor)',
      (row) => line(PROJECT, 'object.created', row.key, 1, row.versionId, row.owner, 'anonymous'),
    ),
    table(
      `storage_audit (project_id, id, user_id, username, action, object_key, version_id,
         ip_address, user_agent, success, correlation_id)`,
      (row) =>
        line(
          ...[PROJECT, row.auditId, 'anonymous', 'anonymous', 'INGEST_OBJECTS', row.key],
          ...[row.versionId, '127.0.0.1', 'grpc-node-js/1.14.7', 't', requestId],
        ),
    ),
  ];
}
