-- What the servers tell each other through the database: the history of its timelines, which nodes
-- are drained, and which ranges running exports still need.

-- Up Migration

create table timelines (
  timeline integer primary key,
  switch_lsn pg_lsn not null,
  recorded_at timestamptz not null default now(),
  constraint timelines_timeline_check check (timeline >= 1)
);

comment on table timelines is
  'Each timeline that a primary was found on, recorded before that primary is written to';
comment on column timelines.switch_lsn is
  'Where it left its parent: what the parent wrote beyond is lost; 0/0 for the first';
comment on column timelines.recorded_at is 'When it was found';

grant select, insert on timelines to stowage_service;
grant select on timelines to stowage_readonly;

-- History files are closed to ordinary roles, and no function tells a switch point: this one does,
-- where its owner may read files (a superuser, or by grant execute on pg_read_file), on standbys
-- too. It gives away no more than one LSN.
create function stowage_switch_point(timeline integer) returns pg_lsn
  language plpgsql stable security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  history text;
begin
  if timeline <= 1 then
    return '0/0'::pg_lsn;
  end if;
  history := pg_read_file(
    format('pg_wal/%s.history', upper(lpad(to_hex(timeline), 8, '0'))), 0, 1048576, true);
  return (
    select split_part(line, E'\t', 2)::pg_lsn
    from regexp_split_to_table(history, E'\n') with ordinality as lines (line, number)
    where line ~ E'^[0-9]+\t[0-9A-F]+/[0-9A-F]+'
    order by number desc
    limit 1
  );
exception
  when insufficient_privilege then
    return null;
end
$$;
comment on function stowage_switch_point(integer) is
  'Where a timeline left its parent; null where the node cannot tell; 0/0 for the first';
revoke all on function stowage_switch_point(integer) from public;
grant execute on function stowage_switch_point(integer) to stowage_service;

create table node_drains (
  node text collate "C" primary key,
  drained_at timestamptz not null default now(),
  drained_by text collate "C" not null default ''
);

comment on table node_drains is 'Nodes that every server keeps free of calls, until undrained';
comment on column node_drains.node is 'host:port';
comment on column node_drains.drained_by is 'Who drained it';

grant select, insert, update, delete on node_drains to stowage_service;
grant select on node_drains to stowage_readonly;

create table export_leases (
  project_id text collate "C" not null,
  lease_id uuid not null,
  source text collate "C" not null,
  range_start timestamptz not null,
  range_end timestamptz not null,
  principal text collate "C" not null,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  primary key (project_id, lease_id),
  constraint export_leases_range_check check (range_start < range_end)
);

comment on table export_leases is 'Ranges that running exports still need: retention spares them';
comment on column export_leases.lease_id is 'UUIDv7, in the stream''s resume tokens';
comment on column export_leases.source is 'The table, such as storage_audit';
comment on column export_leases.range_start is 'The first time that is needed';
comment on column export_leases.range_end is 'The end of what is needed, itself not needed';
comment on column export_leases.principal is 'Who exports';
comment on column export_leases.expires_at is 'Renewed while the stream runs or may be resumed';

grant select, insert, update, delete on export_leases to stowage_service;
grant select on export_leases to stowage_readonly;
grant select on export_leases to stowage_retention;

-- Down Migration

drop table export_leases;
drop table node_drains;
drop function stowage_switch_point(integer);
drop table timelines;
