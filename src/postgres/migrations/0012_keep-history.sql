-- What lets a server tell which history a node belongs to, after promotions that nobody watched.

-- Up Migration

-- Where the primary had come to, noted once a minute: after a promotion whose switch point nobody
-- can tell, what survived of the notes is a lower bound of it.
alter table timelines add column reached_lsn pg_lsn;
comment on column timelines.reached_lsn is
  'Up to where its primary had flushed, noted once a minute; null before the first note';
grant update (reached_lsn) on timelines to stowage_service;

-- A dump, or an upgrade by pg_upgrade, takes the rows along into a cluster whose timelines begin
-- anew: there they tell of nothing. Every cluster has an identifier of its own.
alter table timelines
  add column system_identifier bigint not null default (pg_control_system()).system_identifier;
alter table timelines drop constraint timelines_pkey;
alter table timelines add primary key (system_identifier, timeline);
comment on column timelines.system_identifier is
  'Of which cluster it tells: rows of others came with a dump or an upgrade and do not count';

-- Between a switch and its row a standby cannot tell which timeline it is on.
alter table timelines
  add column recorded_lsn pg_lsn not null default pg_current_wal_insert_lsn();
comment on column timelines.recorded_lsn is
  'Where its primary had come to when this was recorded';

-- All switches that lead to a timeline, its own included: the history file of a node has a line
-- for each ancestor. Replaces stowage_switch_point, which told the last one only: a timeline that
-- was promoted past between two looks would be missed.
create function stowage_timeline_history(timeline integer)
  returns table (history_timeline integer, switch_lsn pg_lsn)
  language plpgsql stable security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  history text;
begin
  if timeline <= 1 then
    return query select 1, '0/0'::pg_lsn;
    return;
  end if;
  history := pg_read_file(
    format('pg_wal/%s.history', upper(lpad(to_hex(timeline), 8, '0'))), 0, 1048576, true);
  if history is null then
    return;
  end if;
  return query
    with ancestors as (
      select split_part(line, E'\t', 1)::integer as ancestor,
             split_part(line, E'\t', 2)::pg_lsn as ended,
             number
      from regexp_split_to_table(history, E'\n') with ordinality as lines (line, number)
      where line ~ E'^[0-9]+\t[0-9A-F]+/[0-9A-F]+'
    )
    select coalesce(lead(ancestor) over (order by number), timeline), ended from ancestors
    union all
    (select ancestor, '0/0'::pg_lsn from ancestors order by number limit 1);
exception
  when insufficient_privilege then
    return;
end
$$;
comment on function stowage_timeline_history(integer) is
  'Each timeline up to this one and where it left its parent; nothing where the node cannot tell';
revoke all on function stowage_timeline_history(integer) from public;
grant execute on function stowage_timeline_history(integer) to stowage_service;
drop function stowage_switch_point(integer);

create table timeline_acceptances (
  system_identifier bigint not null default (pg_control_system()).system_identifier,
  generation integer not null,
  timeline integer not null,
  abandoned_timeline integer not null,
  accepted_at timestamptz not null default clock_timestamp(),
  accepted_by text collate "C" not null,
  primary key (system_identifier, generation),
  constraint timeline_acceptances_generation_check check (generation >= 1)
);

comment on table timeline_acceptances is
  'Newer timelines that were given up: a node whose data do not say so is of another history';
comment on column timeline_acceptances.system_identifier is
  'Of which cluster it tells, as in timelines';
comment on column timeline_acceptances.generation is
  'Rises by one each time; of two primaries the one of the higher generation is right';
comment on column timeline_acceptances.timeline is 'The one that the cluster went on with';
comment on column timeline_acceptances.abandoned_timeline is 'The newest that had been seen';
comment on column timeline_acceptances.accepted_by is
  'Who said so; `stowage` where nobody had claimed the newer one for 30 s';

grant select, insert on timeline_acceptances to stowage_service;
grant select on timeline_acceptances to stowage_readonly;

-- Down Migration

drop table timeline_acceptances;
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
drop function stowage_timeline_history(integer);
alter table timelines drop column reached_lsn, drop column recorded_lsn;
delete from timelines
where system_identifier <> (select system_identifier from pg_control_system());
alter table timelines drop column system_identifier;
alter table timelines add primary key (timeline);
