/** Versions between rows and messages. */

import { create } from '@bufbuild/protobuf';
import { type ObjectVersion, ObjectVersionSchema } from '../../gen/stowage/v1/version_pb.js';
import { timestampMessage } from './messages.js';
import { metadataField } from './object-row.js';
import type { VersionRow } from './version-columns.js';

/** The message for a row. */
export function toVersion(row: VersionRow): ObjectVersion {
  return create(ObjectVersionSchema, {
    objectKey: row.object_key,
    versionId: row.version_id,
    size: row.size,
    etag: row.etag,
    contentType: row.content_type,
    lastModified: timestampMessage(row.last_modified),
    isLatest: row.is_latest,
    createdBy: row.created_by,
    comment: row.comment,
    tags: { ...row.tags },
    ...metadataField(row.metadata),
    deleteMarker: row.delete_marker,
    restoredFrom: row.restored_from,
    createdAt: timestampMessage(row.created_at),
    revision: row.revision,
  });
}
