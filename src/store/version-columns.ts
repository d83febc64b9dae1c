/**
 * The columns of a version as its statements give them, in the order of the message's fields, and
 * where they come from: facts from the append-only row `v`, comment and tags from the notes `n` of
 * it, and whether it is the latest from its object's row `o`. Holds no statement.
 */

import type { JsonObject } from '@bufbuild/protobuf';
import type { TimestampValue } from '../lib/timestamp.js';
import type { TupleColumn } from '../wire/tuple-encoder.js';

/** A version with its notes. */
export interface VersionRow {
  readonly object_key: string;
  readonly version_id: string;
  readonly size: bigint;
  readonly etag: string;
  readonly content_type: string;
  readonly last_modified: TimestampValue;
  readonly is_latest: boolean;
  readonly created_by: string;
  readonly comment: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly metadata: JsonObject;
  readonly delete_marker: boolean;
  readonly restored_from: string;
  readonly created_at: TimestampValue;
  readonly revision: bigint;
}

/** What a subquery gives that stands for `storage_versions v`. */
export const FACTS = `project_id, object_key, version_id, size, etag, content_type, last_modified,
        created_by, metadata, delete_marker, restored_from, created_at, seq`;

/** The columns of a version, of `storage_versions v`, `storage_objects o` and {@link NOTES}. */
export const VERSION = `v.object_key, v.version_id, v.size, v.etag, v.content_type,
    v.last_modified, v.version_id = o.version_id as is_latest, v.created_by,
    coalesce(n.comment, '') as comment, coalesce(n.tags, '{}') as tags, v.metadata,
    v.delete_marker, v.restored_from, v.created_at, coalesce(n.revision, 1) as revision`;

/**
 * Joins the notes of each version `v`, of which most have none. `offset` keeps it a look at the
 * primary key for each: a join planned while there were few notes would read all of them.
 */
export const NOTES = `left join lateral (
      select comment, tags, revision
      from storage_version_notes
      where project_id = v.project_id and object_key = v.object_key and version_id = v.version_id
      offset 0
    ) as n on true`;

/** What the tuple encoder is compiled from; the order of {@link VERSION}. */
export const versionColumns: readonly TupleColumn[] = [
  { name: 'object_key', type: 'text' },
  { name: 'version_id', type: 'text' },
  { name: 'size', type: 'int8' },
  { name: 'etag', type: 'text' },
  { name: 'content_type', type: 'text' },
  { name: 'last_modified', type: 'timestamptz' },
  { name: 'is_latest', type: 'bool' },
  { name: 'created_by', type: 'text' },
  { name: 'comment', type: 'text' },
  { name: 'tags', type: 'jsonb' },
  { name: 'metadata', type: 'jsonb' },
  { name: 'delete_marker', type: 'bool' },
  { name: 'restored_from', type: 'text' },
  { name: 'created_at', type: 'timestamptz' },
  { name: 'revision', type: 'int8' },
];
