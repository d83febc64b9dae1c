-- The change feed and its positions.

-- Up Migration

-- A sequence of its own: before PostgreSQL 17 a partitioned table has no identity column. Without a
-- cache, so that numbers drawn under one row's lock rise in the order of its changes.
create sequence storage_changes_seq as bigint cache 1;

-- References, not images: an after-image makes recording a third dearer. No primary key: nothing
-- looks a change up by it, and seq cannot repeat.
create table storage_changes (
  seq bigint not null default nextval('storage_changes_seq'),
  xid xid8 not null default pg_current_xact_id(),
  recorded_at timestamptz not null default now(),
  project_id text collate "C" not null,
  kind text collate "C" not null,
  object_key text collate "C" not null default '',
  revision bigint not null,
  version_id text collate "C" not null default '',
  owner text collate "C" not null default '',
  actor text collate "C" not null default '',
  request_id uuid,
  changed_fields text[] not null default '{}'
) partition by range (recorded_at);

alter sequence storage_changes_seq owned by storage_changes.seq;

comment on table storage_changes is
  'One row a mutation, in its transaction; a partition a day (UTC)';
comment on column storage_changes.seq is
  'Drawn under the changed row''s lock: rises along each key';
comment on column storage_changes.xid is 'The transaction; of this cluster only';
comment on column storage_changes.recorded_at is 'When the transaction began';
comment on column storage_changes.kind is 'What happened, such as object.created';
comment on column storage_changes.object_key is 'To which object; empty for a project''s change';
comment on column storage_changes.revision is 'The revision that the change made';
comment on column storage_changes.version_id is 'The latest version after it';
comment on column storage_changes.owner is 'The object''s owner after it';
comment on column storage_changes.actor is 'Who made it';
comment on column storage_changes.request_id is 'The caller''s request id; null without one';
comment on column storage_changes.changed_fields is 'Columns that it changed; none when created';

create index storage_changes_xid on storage_changes (xid, seq);

create trigger refuse_change before update or delete on storage_changes
  for each row execute function stowage_refuse_change();
create trigger refuse_truncate before truncate on storage_changes
  for each statement execute function stowage_refuse_change();

grant select, insert on storage_changes to stowage_service;
grant usage on sequence storage_changes_seq to stowage_service;
grant select on storage_changes to stowage_readonly;
grant select, delete on storage_changes to stowage_retention;

create table storage_ticks (
  tick bigint generated always as identity (cache 1) primary key,
  timeline integer not null,
  snapshot pg_snapshot not null,
  recorded_at timestamptz not null default clock_timestamp()
);

comment on table storage_ticks is
  'Positions of the feed: a node that shows one has replayed all that its snapshot sees';
comment on column storage_ticks.timeline is 'The primary''s timeline';
comment on column storage_ticks.snapshot is
  'pg_current_snapshot() of the primary: a standby''s omits running transactions';
comment on column storage_ticks.recorded_at is 'When it was taken';

create trigger refuse_change before update or delete on storage_ticks
  for each row execute function stowage_refuse_change();
create trigger refuse_truncate before truncate on storage_ticks
  for each statement execute function stowage_refuse_change();

grant select, insert on storage_ticks to stowage_service;
grant select on storage_ticks to stowage_readonly;
grant select, delete on storage_ticks to stowage_retention;

-- Down Migration

drop table storage_ticks;
drop table storage_changes;
