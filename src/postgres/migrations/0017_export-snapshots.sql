-- What an export shows and needs, on every node that has its lease.

-- Up Migration

-- Taken on the primary: on a standby it would leave out what is running.
alter table export_leases add column snapshot pg_snapshot not null default pg_current_snapshot();
comment on column export_leases.snapshot is 'What the export shows: what was committed in it';

alter table export_leases add column partitions text[] not null default '{}';
comment on column export_leases.partitions is
  'How the partitions of the range were in that snapshot: one that is otherwise now has lost rows';

-- Expired ones are forgotten in the order of their expiry.
create index export_leases_expires_at on export_leases (expires_at);

-- Down Migration

drop index export_leases_expires_at;
alter table export_leases drop column partitions;
alter table export_leases drop column snapshot;
