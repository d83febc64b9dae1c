-- Objects and the facts of their versions.

-- Up Migration

-- No foreign key to projects: it would lock the project's row once a recorded object. Projects are
-- deleted softly, and a commit asks for its project first.
create table storage_objects (
  project_id text collate "C" not null,
  object_key text collate "C" not null,
  id uuid not null,
  size bigint not null,
  content_type text collate "C" not null default '',
  etag text collate "C" not null default '',
  last_modified timestamptz not null default now(),
  version_id text collate "C" not null default '',
  storage_backend text collate "C" not null default '',
  storage_class text collate "C" not null default '',
  metadata jsonb not null default '{}',
  owner text collate "C" not null default '',
  created_at timestamptz not null default now(),
  deleted_at timestamptz,
  purge_at timestamptz,
  revision bigint not null default 1,
  xid xid8 not null default pg_current_xact_id(),
  primary key (project_id, object_key),
  constraint storage_objects_object_key_check check (octet_length(object_key) between 1 and 1024),
  constraint storage_objects_size_check check (size >= 0),
  constraint storage_objects_metadata_check check (jsonb_typeof(metadata) = 'object'),
  constraint storage_objects_revision_check check (revision >= 1)
);

comment on table storage_objects is 'What is known of each object; the bytes are elsewhere';
comment on column storage_objects.object_key is '1 to 1024 bytes, in byte order';
comment on column storage_objects.id is 'UUIDv7, constant for the life of the key';
comment on column storage_objects.size is 'Bytes of content';
comment on column storage_objects.content_type is 'Media type';
comment on column storage_objects.etag is 'The content''s entity tag as its store gave it';
comment on column storage_objects.last_modified is 'When the content changed';
comment on column storage_objects.version_id is 'The latest version: this column decides which is';
comment on column storage_objects.storage_backend is 'Where the bytes are, such as s3';
comment on column storage_objects.storage_class is 'The store''s class, such as STANDARD';
comment on column storage_objects.metadata is 'The caller''s own facts, a JSON object';
comment on column storage_objects.owner is 'Who owns the object';
comment on column storage_objects.created_at is 'When the key was first recorded';
comment on column storage_objects.deleted_at is 'Null while the object lives';
comment on column storage_objects.purge_at is 'When the record may be purged; null: never';
comment on column storage_objects.revision is 'Rises by one at every change';
comment on column storage_objects.xid is 'The transaction of the last change; of this cluster only';

-- Each index makes recording dearer: one for each way to list, and no more. Those of live rows
-- leave out what is deleted, so that a million tombstones do not slow a listing.
create index storage_objects_live on storage_objects (project_id, object_key)
  where deleted_at is null;
create index storage_objects_live_backend
  on storage_objects (project_id, storage_backend, object_key) where deleted_at is null;
create index storage_objects_live_last_modified
  on storage_objects (project_id, last_modified, object_key) where deleted_at is null;
create index storage_objects_live_duplicates on storage_objects (project_id, etag, size)
  where deleted_at is null and etag <> '';
create index storage_objects_metadata on storage_objects using gin (metadata jsonb_path_ops);

grant select, insert on storage_objects to stowage_service;
grant update (size, content_type, etag, last_modified, version_id, storage_backend, storage_class,
              metadata, owner, deleted_at, purge_at, revision, xid)
  on storage_objects to stowage_service;
grant select on storage_objects to stowage_readonly;

-- Grants bind everybody but the owner; this binds the owner too. UPDATE and TRUNCATE are refused to
-- all, DELETE to all but the retention role, which is reached through functions that it owns.
create function stowage_refuse_change() returns trigger
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
begin
  if tg_op = 'DELETE' and current_user = 'stowage_retention' then
    return old;
  end if;
  raise exception using
    errcode = 'insufficient_privilege',
    message = format('%s is append-only: %s is refused', tg_table_name, tg_op),
    hint = 'Rows leave by retention only.';
end
$$;
comment on function stowage_refuse_change() is 'Keeps a table append-only, for its owner too';
revoke all on function stowage_refuse_change() from public;

create table storage_versions (
  project_id text collate "C" not null,
  object_key text collate "C" not null,
  version_id text collate "C" not null,
  seq bigint not null generated always as identity (cache 1),
  size bigint not null,
  etag text collate "C" not null default '',
  content_type text collate "C" not null default '',
  last_modified timestamptz not null,
  created_by text collate "C" not null default '',
  metadata jsonb not null default '{}',
  delete_marker boolean not null default false,
  created_at timestamptz not null default now(),
  xid xid8 not null default pg_current_xact_id(),
  primary key (project_id, object_key, version_id),
  constraint storage_versions_version_id_check check (octet_length(version_id) between 1 and 1024),
  constraint storage_versions_size_check check (size >= 0)
);

comment on table storage_versions is 'The facts of every version; never updated';
comment on column storage_versions.version_id is 'The caller''s, else a UUIDv7; 1 to 1024 bytes';
comment on column storage_versions.seq is
  'Order of a key''s versions: drawn under its object''s row lock; gaps mean nothing';
comment on column storage_versions.size is 'Bytes of content';
comment on column storage_versions.etag is 'The content''s entity tag';
comment on column storage_versions.content_type is 'Media type';
comment on column storage_versions.last_modified is 'When the content changed';
comment on column storage_versions.created_by is 'Who recorded the version';
comment on column storage_versions.metadata is 'The object''s metadata at that version';
comment on column storage_versions.delete_marker is 'The version stands for a deletion';
comment on column storage_versions.created_at is 'When its transaction began';
comment on column storage_versions.xid is 'Its transaction; of this cluster only';

create trigger refuse_change before update or delete on storage_versions
  for each row execute function stowage_refuse_change();
create trigger refuse_truncate before truncate on storage_versions
  for each statement execute function stowage_refuse_change();

grant select, insert on storage_versions to stowage_service;
grant select on storage_versions to stowage_readonly;
grant select, delete on storage_versions to stowage_retention;

-- Down Migration

drop table storage_versions;
drop function stowage_refuse_change();
drop table storage_objects;
