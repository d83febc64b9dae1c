-- The snapshot of an export, on every node that has its lease.

-- Up Migration

-- Taken on the primary: on a standby it would leave out what is running.
alter table export_leases add column snapshot pg_snapshot not null default pg_current_snapshot();
comment on column export_leases.snapshot is 'What the export shows: what was committed in it';

-- Down Migration

alter table export_leases drop column snapshot;
