-- Hooks: who wants to be told of what; how executions are found by hook and by correlation id.

-- Up Migration

create table hooks (
  project_id text collate "C" not null,
  hook_name text collate "C" not null,
  event_types text[] not null,
  key_prefix text collate "C" not null default '',
  metadata_filter jsonb,
  target text not null default '',
  disabled boolean not null default false,
  description text not null default '',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  revision bigint not null default 1,
  xid xid8 not null default pg_current_xact_id(),
  primary key (project_id, hook_name),
  constraint hooks_event_types_check check (cardinality(event_types) between 1 and 64),
  constraint hooks_metadata_filter_check check (jsonb_typeof(metadata_filter) = 'object'),
  constraint hooks_revision_check check (revision >= 1)
);

comment on table hooks is 'Who wants to be told of what happens';
comment on column hooks.hook_name is 'Its name in the project';
comment on column hooks.event_types is 'Kinds of events; * stands for any characters';
comment on column hooks.key_prefix is 'Only of objects whose keys begin so';
comment on column hooks.metadata_filter is 'Only of objects whose metadata contains this';
comment on column hooks.target is 'A URL; empty: it asks';
comment on column hooks.disabled is 'It is told of nothing';
comment on column hooks.revision is 'Rises by one at every change';
comment on column hooks.xid is 'The transaction of the last change; of this cluster only';

grant select, insert, delete on hooks to stowage_service;
grant update (event_types, key_prefix, metadata_filter, target, disabled, description, updated_at,
              revision, xid)
  on hooks to stowage_service;
grant select on hooks to stowage_readonly;

-- Apart, and for the service to write only: it can tell that there is a secret, but not which. What
-- delivers will read it as a role of its own.
create table hook_secrets (
  project_id text collate "C" not null,
  hook_name text collate "C" not null,
  key_id text collate "C" not null,
  secret bytea not null,
  updated_at timestamptz not null default now(),
  primary key (project_id, hook_name),
  foreign key (project_id, hook_name) references hooks on delete cascade
);

comment on table hook_secrets is 'What deliveries are signed with, encrypted';
comment on column hook_secrets.key_id is 'Which key encrypted it: the start of its SHA-256';
comment on column hook_secrets.secret is 'AES-256-GCM: nonce, ciphertext, tag; bound to its hook';

grant select (project_id, hook_name), insert, update, delete on hook_secrets to stowage_service;

create index storage_hooks_name on storage_hooks (project_id, hook_name, timestamp, id);
create index storage_hooks_correlation on storage_hooks (project_id, correlation_id, timestamp, id)
  where correlation_id is not null;

-- Down Migration

drop index storage_hooks_correlation;
drop index storage_hooks_name;
drop table hook_secrets;
drop table hooks;
