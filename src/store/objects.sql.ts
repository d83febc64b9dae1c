/** Statements that record objects; other changes are in object-changes.sql.ts. */

import type { TimestampValue } from '../lib/timestamp.js';
import { statement } from '../postgres/statement.js';

/** An object that is recorded already, locked, compared with what is to be recorded. */
export interface LockedObject {
  readonly object_key: string;
  readonly id: string;
  readonly etag: string;
  readonly version_id: string;
  readonly last_modified: TimestampValue;
  readonly created_at: TimestampValue;
  readonly revision: bigint;
  readonly deleted: boolean;
  /** The columns that would change. */
  readonly changed_fields: string[];
}

/**
 * Locks what is there of a batch, in key order so that batches do not deadlock over it, and says
 * which columns would change: here, because only the database compares jsonb as it keeps it.
 * Batches that make some of each other's keys still may; PostgreSQL then ends one of them, which
 * may be repeated. Locked by their keys alone and only then compared: a plan that was kept from
 * when the table was small would join the batch with all of the project. A full join, for the same
 * reason: it is never done by trying each with each, and `case` keeps it from becoming another.
 */
export const lockObjects = statement<LockedObject>({
  name: 'lock-objects',
  intent: 'write',
  text: `
    with locked as materialized (
      select object_key, id, size, content_type, etag, last_modified, version_id, storage_backend,
        storage_class, metadata, owner, created_at, deleted_at, purge_at, revision
      from storage_objects
      where project_id = $1 and object_key = any($2::text[])
      order by object_key
      for update
    )
    select t.object_key, t.id, t.etag, t.version_id, t.last_modified, t.created_at, t.revision,
      t.deleted_at is not null as deleted,
      array_remove(array[
        case when t.size <> s.size then 'size' end,
        case when t.content_type <> s.content_type then 'content_type' end,
        case when t.etag <> s.etag then 'etag' end,
        case when t.last_modified <> s.last_modified then 'last_modified' end,
        case when s.version_id <> '' and t.version_id <> s.version_id then 'version_id' end,
        case when t.storage_backend <> s.storage_backend then 'storage_backend' end,
        case when t.storage_class <> s.storage_class then 'storage_class' end,
        case when t.metadata <> s.metadata then 'metadata' end,
        case when t.owner <> s.owner then 'owner' end,
        case when t.purge_at is distinct from s.purge_at then 'purge_at' end
      ], null) as changed_fields
    from unnest($2::text[], $3::int8[], $4::text[], $5::text[], $6::timestamptz[], $7::text[],
                $8::text[], $9::text[], $10::jsonb[], $11::text[], $12::timestamptz[])
      as s (object_key, size, content_type, etag, last_modified, version_id, storage_backend,
            storage_class, metadata, owner, purge_at)
    full join locked t using (object_key)
    where case when t.object_key is null then false else true end`,
});

/**
 * Writes objects and, where the version is another, their versions. A row is replaced only by its
 * next revision: a key that another transaction made since `lock-objects` is not returned.
 * Parameters beyond those of `lock-objects`: ids, revisions, times of making, and who makes them.
 */
export const writeObjects = statement<{ object_key: string }>({
  name: 'write-objects',
  intent: 'write',
  text: `
    with written as (
      insert into storage_objects as t (project_id, object_key, size, content_type, etag,
        last_modified, version_id, storage_backend, storage_class, metadata, owner, purge_at, id,
        revision, created_at)
      select $1, s.*
      from unnest($2::text[], $3::int8[], $4::text[], $5::text[], $6::timestamptz[], $7::text[],
                  $8::text[], $9::text[], $10::jsonb[], $11::text[], $12::timestamptz[],
                  $13::uuid[], $14::int8[], $15::timestamptz[]) as s
      on conflict (project_id, object_key) do update set
        size = excluded.size, content_type = excluded.content_type, etag = excluded.etag,
        last_modified = excluded.last_modified, version_id = excluded.version_id,
        storage_backend = excluded.storage_backend, storage_class = excluded.storage_class,
        metadata = excluded.metadata, owner = excluded.owner, purge_at = excluded.purge_at,
        deleted_at = null, revision = excluded.revision, xid = pg_current_xact_id()
      where t.revision = excluded.revision - 1
      returning t.object_key, t.version_id, t.size, t.etag, t.content_type, t.last_modified,
        t.metadata
    ), versioned as (
      insert into storage_versions (project_id, object_key, version_id, size, etag, content_type,
        last_modified, created_by, metadata)
      select $1, object_key, version_id, size, etag, content_type, last_modified, $16, metadata
      from written
      on conflict do nothing
    )
    select object_key from written`,
});
