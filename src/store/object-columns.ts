/** The columns of an object as its statements give them, in the order of the message's fields. */

import type { TupleColumn } from '../wire/tuple-encoder.js';

/** What the tuple encoder is compiled from; the order of `OBJECT` in object-reads.sql.ts. */
export const objectColumns: readonly TupleColumn[] = [
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
