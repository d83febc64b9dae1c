-- What may change of a version, its order in a key's history, and the trail of a key.

-- Up Migration

alter table storage_versions add column restored_from text collate "C" not null default '';
comment on column storage_versions.restored_from is 'The version that it restored; empty: none';
alter table storage_versions
  add column former_version_id text collate "C" not null default '';
comment on column storage_versions.former_version_id is
  'Of a delete marker: the latest version before it; empty: recorded before markers named it';

-- Newest first, page by page, and all versions of a prefix, key by key.
create index storage_versions_seq on storage_versions (project_id, object_key, seq desc);

-- Apart from the facts, which stay append-only. Most versions have no row here, so recording pays
-- nothing for them; with its version the row leaves, whoever deletes that.
create table storage_version_notes (
  project_id text collate "C" not null,
  object_key text collate "C" not null,
  version_id text collate "C" not null,
  comment text not null default '',
  tags jsonb not null default '{}',
  revision bigint not null default 1,
  updated_at timestamptz not null default now(),
  updated_by text collate "C" not null default '',
  xid xid8 not null default pg_current_xact_id(),
  primary key (project_id, object_key, version_id),
  foreign key (project_id, object_key, version_id) references storage_versions on delete cascade,
  constraint storage_version_notes_tags_check check (jsonb_typeof(tags) = 'object'),
  constraint storage_version_notes_revision_check check (revision >= 1)
);

comment on table storage_version_notes is 'What may change of a version: comment and tags';
comment on column storage_version_notes.comment is 'What somebody said of it';
comment on column storage_version_notes.tags is 'Short facts, texts by name';
comment on column storage_version_notes.revision is
  'Rises by one at every change; a version without a row has revision 1';
comment on column storage_version_notes.updated_at is 'When it was changed last';
comment on column storage_version_notes.updated_by is 'Who changed it last';
comment on column storage_version_notes.xid is
  'The transaction of the last change; of this cluster only';

grant select, insert on storage_version_notes to stowage_service;
grant update (comment, tags, revision, updated_at, updated_by, xid)
  on storage_version_notes to stowage_service;
grant select on storage_version_notes to stowage_readonly;

-- For the changes of one key; a partition a day, so each index stays small.
create index storage_changes_object on storage_changes (project_id, object_key, recorded_at, seq);

-- Down Migration

drop index storage_changes_object;
drop table storage_version_notes;
drop index storage_versions_seq;
alter table storage_versions drop column restored_from, drop column former_version_id;
