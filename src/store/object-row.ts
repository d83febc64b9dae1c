/** Objects between rows and messages. */

import { create, type JsonObject } from '@bufbuild/protobuf';
import { type StorageObject, StorageObjectSchema } from '../../gen/stowage/v1/storage_object_pb.js';
import { timestampMessage } from './messages.js';
import type { ObjectRow } from './object-reads.sql.js';

/** Empty metadata is left out, as streams leave it out. */
export function metadataField(metadata: JsonObject): { metadata?: JsonObject } {
  return Object.keys(metadata).length === 0 ? {} : { metadata };
}

/** The message for a row. */
export function toObject(row: ObjectRow): StorageObject {
  return create(StorageObjectSchema, {
    objectKey: row.object_key,
    id: row.id,
    size: row.size,
    contentType: row.content_type,
    etag: row.etag,
    lastModified: timestampMessage(row.last_modified),
    versionId: row.version_id,
    storageBackend: row.storage_backend,
    storageClass: row.storage_class,
    ...metadataField(row.metadata),
    owner: row.owner,
    createdAt: timestampMessage(row.created_at),
    ...(row.deleted_at === null ? {} : { deletedAt: timestampMessage(row.deleted_at) }),
    ...(row.purge_at === null ? {} : { purgeAt: timestampMessage(row.purge_at) }),
    revision: row.revision,
  });
}
