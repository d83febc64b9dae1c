-- The audit trail and the executions of hooks: append-only, a partition a month.
--
-- There is no default partition: with one, a partition could neither be attached without reading it
-- nor detached concurrently. 0008 makes the partitions.

-- Up Migration

create table storage_audit (
  project_id text collate "C" not null,
  timestamp timestamptz not null default now(),
  id uuid not null,
  user_id text collate "C",
  username text collate "C",
  action text collate "C" not null,
  object_key text collate "C",
  version_id text collate "C",
  ip_address inet,
  user_agent text,
  success boolean not null default true,
  error_message text,
  correlation_id text collate "C",
  metadata jsonb,
  xid xid8 not null default pg_current_xact_id(),
  primary key (project_id, timestamp, id)
) partition by range (timestamp);

comment on table storage_audit is 'Who did what when; append-only; a partition a month (UTC)';
comment on column storage_audit.timestamp is 'When it happened; with the id the event''s key';
comment on column storage_audit.id is 'UUIDv7; an event that comes again has it again';
comment on column storage_audit.user_id is 'Who did it, as programs know them';
comment on column storage_audit.username is 'Who did it, as people know them';
comment on column storage_audit.action is 'What was done, such as DOWNLOAD';
comment on column storage_audit.object_key is 'To which object';
comment on column storage_audit.version_id is 'To which version of it';
comment on column storage_audit.ip_address is 'From where';
comment on column storage_audit.user_agent is 'With which program';
comment on column storage_audit.success is 'Whether it succeeded';
comment on column storage_audit.error_message is 'Why it did not';
comment on column storage_audit.correlation_id is
  'What else belongs to it; the request id of a call';
comment on column storage_audit.metadata is 'Further facts, a JSON object';
comment on column storage_audit.xid is 'Its transaction; of this cluster only';

-- With the primary key five indexes and no more: each makes every append dearer. Behind what is
-- asked for stands time order; the object's index also serves key order below a prefix.
create index storage_audit_user on storage_audit (project_id, user_id, timestamp, id);
create index storage_audit_action on storage_audit (project_id, action, timestamp, id);
create index storage_audit_object on storage_audit (project_id, object_key, timestamp, id);
create index storage_audit_correlation on storage_audit (project_id, correlation_id, timestamp, id);

create trigger refuse_change before update or delete on storage_audit
  for each row execute function stowage_refuse_change();
create trigger refuse_truncate before truncate on storage_audit
  for each statement execute function stowage_refuse_change();

grant select, insert on storage_audit to stowage_service;
grant select on storage_audit to stowage_readonly;
grant select, delete on storage_audit to stowage_retention;

create table storage_hooks (
  project_id text collate "C" not null,
  timestamp timestamptz not null default now(),
  id uuid not null,
  hook_name text collate "C" not null,
  event_type text collate "C" not null,
  object_key text collate "C",
  execution_time double precision,
  success boolean not null,
  error_message text,
  response jsonb,
  payload jsonb,
  correlation_id text collate "C",
  xid xid8 not null default pg_current_xact_id(),
  primary key (project_id, timestamp, id),
  constraint storage_hooks_execution_time_check check (execution_time >= 0)
) partition by range (timestamp);

comment on table storage_hooks is 'Executions of hooks; append-only; a partition a month (UTC)';
comment on column storage_hooks.timestamp is 'When it ran; with the id the execution''s key';
comment on column storage_hooks.id is 'UUIDv7; an execution that comes again has it again';
comment on column storage_hooks.hook_name is 'Which hook';
comment on column storage_hooks.event_type is 'For which kind of event, such as DOCUMENT_ARCHIVED';
comment on column storage_hooks.object_key is 'For which object';
comment on column storage_hooks.execution_time is 'Seconds';
comment on column storage_hooks.success is 'Whether it succeeded';
comment on column storage_hooks.error_message is 'Why it did not';
comment on column storage_hooks.response is 'What the target answered';
comment on column storage_hooks.payload is 'What the target was sent';
comment on column storage_hooks.correlation_id is 'What else belongs to it';
comment on column storage_hooks.xid is 'Its transaction; of this cluster only';

create trigger refuse_change before update or delete on storage_hooks
  for each row execute function stowage_refuse_change();
create trigger refuse_truncate before truncate on storage_hooks
  for each statement execute function stowage_refuse_change();

grant select, insert on storage_hooks to stowage_service;
grant select on storage_hooks to stowage_readonly;
grant select, delete on storage_hooks to stowage_retention;

-- Down Migration

drop table storage_hooks;
drop table storage_audit;
