/**
 * Statements that change objects which are there: updated, deleted, taken back and moved. Each but
 * the locks is given rows that its transaction has locked.
 */

import { type Statement, statement } from '../postgres/statement.js';
import { OBJECT, type ObjectRow } from './object-reads.sql.js';

/** What preconditions are about, of a row that is locked. */
export interface LockedKey {
  readonly object_key: string;
  readonly etag: string;
  readonly revision: bigint;
  readonly deleted: boolean;
}

/** What the change feed says of a changed object. */
export interface ChangedKey {
  readonly object_key: string;
  readonly version_id: string;
  readonly owner: string;
  readonly revision: bigint;
}

const CHANGED = 'object_key, version_id, owner, revision';

/** Locks what is there of some keys, in key order so that batches do not deadlock over it. */
export const lockKeys = statement<LockedKey>({
  name: 'lock-keys',
  intent: 'write',
  text: `
    select object_key, etag, revision, deleted_at is not null as deleted
    from storage_objects
    where project_id = $1 and object_key = any($2::text[])
    order by object_key
    for update`,
});

/** One whole object, locked. */
export const lockObject = statement<ObjectRow>({
  name: 'lock-object',
  intent: 'write',
  text: `
    select ${OBJECT}
    from storage_objects
    where project_id = $1 and object_key = $2
    for update`,
});

/** Changes what is known beside the content; null for metadata leaves it. */
export const updateObject = statement<ObjectRow>({
  name: 'update-object',
  intent: 'write',
  text: `
    update storage_objects
    set content_type = $3, storage_backend = $4, storage_class = $5,
      metadata = coalesce($6::jsonb, metadata), owner = $7, purge_at = $8::timestamptz,
      revision = revision + 1, xid = pg_current_xact_id()
    where project_id = $1 and object_key = $2
    returning ${OBJECT}`,
});

/**
 * The value in a list of texts that is in the place of a key in the list of keys, $2. The lists are
 * not joined with the table: a plan that was kept from when that was small would read all objects
 * of the project for it.
 */
const lookup = (list: string, key: string): string =>
  `(select jsonb_object($2::text[], ${list}::text[])) ->> ${key}`;

/**
 * Deletes objects and appends their delete markers as the latest versions; each names the one that
 * was the latest. Parameters: project, keys, the markers' ids, time, and who deletes.
 */
function deletion<Row>(name: string, columns: string): Statement<Row> {
  return statement<Row>({
    name,
    intent: 'write',
    text: `
    with former as materialized (
      select jsonb_object_agg(object_key, version_id) as versions
      from storage_objects
      where project_id = $1 and object_key = any($2::text[])
    ), deleted as (
      update storage_objects
      set deleted_at = $4::timestamptz, revision = revision + 1, xid = pg_current_xact_id(),
        version_id = ${lookup('$3', 'object_key')}
      where project_id = $1 and object_key = any($2::text[])
      returning ${columns}
    ), marked as (
      insert into storage_versions (project_id, object_key, version_id, size, etag, content_type,
        last_modified, created_by, metadata, delete_marker, former_version_id)
      select $1, object_key, version_id, 0, '', '', $4::timestamptz, $5, '{}', true,
        (select versions from former) ->> object_key
      from deleted
    )
    select ${columns}
    from deleted`,
  });
}

/** Deletes one object and gives it whole. */
export const deleteObject = deletion<ObjectRow>('delete-object', OBJECT);

/** Deletes a batch, whose objects would be too much to give. */
export const deleteObjects = deletion<ChangedKey>('delete-objects', CHANGED);

/**
 * Takes a deletion back, with the version that the object had, which its marker names. A marker
 * stays as the fact it is. No row where that version is gone: another one has other facts than the
 * object. A marker that names none was made before they did; then the newest version of the
 * object's content is meant, because a caller may have recorded an older one of its store again,
 * and of two with the same content the one of the object's time.
 */
export const undeleteObject = statement<ObjectRow>({
  name: 'undelete-object',
  intent: 'write',
  text: `
    update storage_objects as o
    set deleted_at = null, revision = revision + 1, xid = pg_current_xact_id(),
      version_id = former.former_id
    from (
      select v.version_id as former_id
      from storage_objects w
      left join storage_versions m
        on m.project_id = $1 and m.object_key = $2 and m.version_id = w.version_id
      cross join lateral (
        (select version_id
        from storage_versions
        where project_id = $1 and object_key = $2 and version_id = m.former_version_id
          and not delete_marker)
        union all
        (select version_id
        from storage_versions
        where coalesce(m.former_version_id, '') = ''
          and project_id = $1 and object_key = $2 and not delete_marker
        order by (etag = w.etag and size = w.size) desc, last_modified = w.last_modified desc,
          seq desc
        limit 1)
      ) as v
      where w.project_id = $1 and w.object_key = $2
    ) as former
    where project_id = $1 and object_key = $2
    returning ${OBJECT}`,
});

/** What a carried object has beside its columns. */
export interface CarriedRow {
  /** Versions that the statement could append; one an object, if all is well. */
  readonly versions_made: bigint;
}

/**
 * Makes the records of objects under other keys, as live objects with a version each: the source's
 * version id, unless the key has had it. A key where a live object is, or was made meanwhile, is
 * not returned. Keys are made in byte order, as batches are recorded: in the order of the
 * database's language the two could wait for each other. Parameters: project, source keys,
 * destination keys, ids, version ids, time, and who moves.
 */
function carrying<Row>(name: string, columns: string): Statement<Row & CarriedRow> {
  return statement<Row & CarriedRow>({
    name,
    intent: 'write',
    text: `
    with carried as (
      insert into storage_objects as t (project_id, object_key, id, size, content_type, etag,
        last_modified, version_id, storage_backend, storage_class, metadata, owner, purge_at,
        created_at)
      select $1, m.destination_key, m.id, s.size, s.content_type, s.etag, s.last_modified,
        case when exists (
          select from storage_versions v
          where v.project_id = $1 and v.object_key = m.destination_key
            and v.version_id = s.version_id
        ) then m.version_id else s.version_id end,
        s.storage_backend, s.storage_class, s.metadata, s.owner, s.purge_at, $6::timestamptz
      from storage_objects s
      cross join lateral (
        select ${lookup('$3', 's.object_key')} as destination_key,
          (${lookup('$4', 's.object_key')})::uuid as id,
          ${lookup('$5', 's.object_key')} as version_id
      ) as m
      where s.project_id = $1 and s.object_key = any($2::text[])
      order by m.destination_key collate "C"
      on conflict (project_id, object_key) do update set
        size = excluded.size, content_type = excluded.content_type, etag = excluded.etag,
        last_modified = excluded.last_modified, version_id = excluded.version_id,
        storage_backend = excluded.storage_backend, storage_class = excluded.storage_class,
        metadata = excluded.metadata, owner = excluded.owner, purge_at = excluded.purge_at,
        deleted_at = null, revision = t.revision + 1, xid = pg_current_xact_id()
      where t.deleted_at is not null
      returning ${OBJECT}
    ), versioned as (
      insert into storage_versions (project_id, object_key, version_id, size, etag, content_type,
        last_modified, created_by, metadata)
      select $1, object_key, version_id, size, etag, content_type, last_modified, $7, metadata
      from carried
      on conflict do nothing
      returning true
    )
    select ${columns}, (select count(*) from versioned) as versions_made
    from carried`,
  });
}

/** Carries one object to another key and gives it whole. */
export const carryObject = carrying<ObjectRow>('carry-object', OBJECT);

/** Carries a batch, whose objects would be too much to give. */
export const carryObjects = carrying<ChangedKey>('carry-objects', CHANGED);

/** Live keys behind $2, at or above $3 and below $4; at most $5. */
export const listKeys = statement<{ object_key: string }>({
  name: 'list-keys',
  intent: 'readPrimary',
  text: `
    select object_key
    from storage_objects
    where project_id = $1 and object_key > $2 and object_key >= $3 and object_key < $4
      and deleted_at is null
    order by object_key
    limit $5`,
});
