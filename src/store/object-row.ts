/** Objects between rows and messages. */

import { create } from '@bufbuild/protobuf';
import { type StorageObject, StorageObjectSchema } from '../../gen/stowage/v1/storage_object_pb.js';
import { timestampMessage } from './messages.js';
import type { ObjectRow } from './object-reads.sql.js';

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
    metadata: row.metadata,
    owner: row.owner,
    createdAt: timestampMessage(row.created_at),
    ...(row.deleted_at === null ? {} : { deletedAt: timestampMessage(row.deleted_at) }),
    ...(row.purge_at === null ? {} : { purgeAt: timestampMessage(row.purge_at) }),
    revision: row.revision,
  });
}
