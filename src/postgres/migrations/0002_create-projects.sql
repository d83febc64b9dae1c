-- Projects: the wall between callers. Every other table has project_id first in its primary key.

-- Up Migration

create table projects (
  project_id text collate "C" primary key,
  name text not null default '',
  language text not null default 'en',
  status text not null default 'active',
  progress double precision not null default 0,
  metadata jsonb not null default '{}',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  deleted_at timestamptz,
  revision bigint not null default 1,
  xid xid8 not null default pg_current_xact_id(),
  constraint projects_project_id_check check (project_id ~ '^[a-z0-9][a-z0-9._-]{0,62}$'),
  constraint projects_progress_check check (progress between 0 and 100),
  constraint projects_metadata_check check (jsonb_typeof(metadata) = 'object'),
  constraint projects_revision_check check (revision >= 1)
);

comment on table projects is 'Every object, version, event and hook lives in exactly one project';
comment on column projects.project_id is '1 to 63 of a-z, 0-9, dot, dash, underscore';
comment on column projects.name is 'A name for people';
comment on column projects.language is 'BCP 47 tag; nobody but the owner may change it';
comment on column projects.status is 'The caller''s word for where the work stands';
comment on column projects.progress is 'Per cent, 0 to 100';
comment on column projects.metadata is 'The caller''s own facts, a JSON object';
comment on column projects.deleted_at is 'Null while the project lives';
comment on column projects.revision is 'Rises by one at every change';
comment on column projects.xid is 'The transaction of the last change; of this cluster only';

-- By column, so that the id, the language and the time of making cannot change.
grant select, insert on projects to stowage_service;
grant update (name, status, progress, metadata, updated_at, deleted_at, revision, xid)
  on projects to stowage_service;
grant select on projects to stowage_readonly;

insert into projects (project_id, name) values ('default', 'Default');

-- Down Migration

drop table projects;
