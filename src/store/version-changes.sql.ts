/**
 * Statements that write versions, their notes, and which of them is the latest. Each is given the
 * key of an object whose row its transaction has locked.
 */

import { statement } from '../postgres/statement.js';
import { OBJECT, type ObjectRow } from './object-reads.sql.js';

/**
 * Records a version, and its notes where it has any. Parameters: project, key, version id, size,
 * etag, type, time, who, metadata, the version that it restores, comment, tags.
 */
export const insertVersion = statement<Record<string, never>>({
  name: 'insert-version',
  intent: 'write',
  text: `
    with recorded as (
      insert into storage_versions (project_id, object_key, version_id, size, etag, content_type,
        last_modified, created_by, metadata, restored_from)
      values ($1, $2, $3, $4, $5, $6, $7::timestamptz, $8, $9::jsonb, $10)
    )
    insert into storage_version_notes (project_id, object_key, version_id, comment, tags,
      updated_by)
    select $1, $2, $3, $11, $12::jsonb, $8
    where $11 <> '' or $12::jsonb <> '{}'`,
});

/** The columns of an object in a statement that has those of a version too. */
const OF_OBJECT = OBJECT.replaceAll(/\w+/g, (column) => `o.${column}`);

/**
 * Makes a version the latest. The object takes its facts and lives; by a delete marker it is
 * deleted, and takes those of the version that the marker names, for its undeletion; it keeps its
 * own where that version is gone.
 */
export const makeLatest = statement<ObjectRow>({
  name: 'make-latest',
  intent: 'write',
  text: `
    update storage_objects as o
    set version_id = v.version_id,
      size = coalesce(c.size, o.size), etag = coalesce(c.etag, o.etag),
      content_type = coalesce(c.content_type, o.content_type),
      last_modified = coalesce(c.last_modified, o.last_modified),
      metadata = coalesce(c.metadata, o.metadata),
      deleted_at = case when v.delete_marker then coalesce(o.deleted_at, now()) end,
      revision = o.revision + 1, xid = pg_current_xact_id()
    from storage_versions v
    left join storage_versions c
      on c.project_id = $1 and c.object_key = $2 and not c.delete_marker
        and c.version_id = case when v.delete_marker then v.former_version_id else $3 end
    where o.project_id = $1 and o.object_key = $2
      and v.project_id = $1 and v.object_key = $2 and v.version_id = $3
    returning ${OF_OBJECT}`,
});

/** The version that was recorded last of those that are not $3. */
export const newestOther = statement<{ version_id: string }>({
  name: 'newest-other-version',
  intent: 'readPrimary',
  text: `
    select version_id
    from storage_versions
    where project_id = $1 and object_key = $2 and version_id <> $3
    order by seq desc
    limit 1`,
});

/**
 * Sets comment and tags of a version. One without notes has revision 1, so the first of them begin
 * at 2. Parameters: project, key, version id, comment, tags, and who changes them.
 */
export const writeNotes = statement<Record<string, never>>({
  name: 'write-version-notes',
  intent: 'write',
  text: `
    insert into storage_version_notes as n (project_id, object_key, version_id, comment, tags,
      updated_by, revision)
    values ($1, $2, $3, $4, $5::jsonb, $6, 2)
    on conflict (project_id, object_key, version_id) do update set
      comment = excluded.comment, tags = excluded.tags, updated_by = excluded.updated_by,
      revision = n.revision + 1, updated_at = now(), xid = pg_current_xact_id()`,
});

/** Removes versions for good, with their notes, and says how many: $2 keys, $3 version ids. */
export const deleteVersions = statement<{ deleted: bigint }>({
  name: 'delete-versions',
  intent: 'write',
  text: `select stowage_delete_versions($1, $2::text[], $3::text[]) as deleted`,
});
