-- Partitions by need, what is known of each, and the seals of closed months.

-- Up Migration

-- What was made and what has left: a stream that was begun before something left can tell.
create table storage_partitions (
  source text collate "C" not null,
  range_start timestamptz not null,
  range_end timestamptz not null,
  partition text collate "C" not null,
  made_at timestamptz not null default clock_timestamp(),
  deleted_before timestamptz,
  deleted_at timestamptz,
  dropped_at timestamptz,
  primary key (source, range_start, made_at),
  constraint storage_partitions_range_check check (range_start < range_end)
);

comment on table storage_partitions is 'Every partition that there is or was';
comment on column storage_partitions.source is 'The table, such as storage_audit';
comment on column storage_partitions.range_start is 'The first time that it holds';
comment on column storage_partitions.range_end is 'The end of what it holds, itself not held';
comment on column storage_partitions.partition is 'Its name; one that was made again has it again';
comment on column storage_partitions.made_at is 'When it was made';
comment on column storage_partitions.deleted_before is
  'Rows before this time were deleted by retention; null: none were';
comment on column storage_partitions.deleted_at is 'When the last of them were';
comment on column storage_partitions.dropped_at is 'When retention dropped it; null: it is there';

grant select on storage_partitions to stowage_service, stowage_readonly;
grant select, update (deleted_before, deleted_at) on storage_partitions to stowage_retention;

-- By their bounds, so that what was made by hand is among them.
insert into storage_partitions (source, range_start, range_end, partition)
select parent::text, substring(bound from 'FROM \(''([^'']+)''\)')::timestamptz,
  substring(bound from 'TO \(''([^'']+)''\)')::timestamptz, c.relname
from unnest('{storage_audit,storage_hooks,storage_changes}'::regclass[]) as parents (parent)
join pg_inherits i on i.inhparent = parent and not i.inhdetachpending
join pg_class c on c.oid = i.inhrelid
cross join lateral (select pg_get_expr(c.relpartbound, c.oid) as bound) as b
where bound ~ 'FROM \(''[^'']+''\) TO \(''[^'']+''\)';

create or replace function stowage_make_partition(
  parent text, name text, starts timestamptz, ends timestamptz
) returns void
  language plpgsql
  set search_path = pg_catalog, pg_temp
  set timezone = 'UTC'
as $$
begin
  execute format('create table public.%I (like public.%I including all)', name, parent);
  -- Attaching clones the parent's row triggers, but never those of statements.
  execute format(
    'create trigger refuse_truncate before truncate on public.%I '
    'for each statement execute function public.stowage_refuse_change()', name);
  execute format(
    'alter table public.%I attach partition public.%I for values from (%L) to (%L)',
    parent, name, starts, ends);
  insert into public.storage_partitions (source, range_start, range_end, partition)
    values (parent, starts, ends, name);
end
$$;

-- The months that events ask for: at most four new ones a call, so that nobody fills the catalog by
-- mistake. SW001: too many; SW002: a month out of range.
create function stowage_ensure_months(parent text, months timestamptz[]) returns integer
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
  set timezone = 'UTC'
as $$
declare
  made integer := 0;
  missing record;
begin
  if pg_is_in_recovery() then
    raise exception using
      errcode = 'read_only_sql_transaction',
      message = 'partitions are made on the primary';
  end if;
  if parent not in ('storage_audit', 'storage_hooks') then
    raise exception using
      errcode = 'invalid_parameter_value',
      message = format('%s has no partitions by month', parent);
  end if;
  perform pg_advisory_xact_lock(hashtextextended('stowage_ensure_partitions', 0));
  for missing in
    select distinct starts, starts + interval '1 month' as ends,
      format('%s_%s', parent, to_char(starts, 'YYYY_MM')) as name
    from (select date_trunc('month', month) as starts from unnest(months) as month) as asked
    where to_regclass(format('public.%I', format('%s_%s', parent, to_char(starts, 'YYYY_MM'))))
      is null
    order by starts
  loop
    if missing.starts < date_trunc('month', now() - interval '10 years')
      or missing.starts > now() + interval '1 hour' then
      raise exception using
        errcode = 'SW002',
        message = format('%s is not within ten years ago and an hour ahead', missing.name);
    end if;
    if made = 4 then
      raise exception using
        errcode = 'SW001',
        message = 'more than four new partitions';
    end if;
    perform public.stowage_make_partition(parent, missing.name, missing.starts, missing.ends);
    made := made + 1;
  end loop;
  return made;
end
$$;
comment on function stowage_ensure_months(text, timestamptz[]) is
  'Makes the partitions of some months, at most four new ones; says how many it made';
revoke all on function stowage_ensure_months(text, timestamptz[]) from public;
grant execute on function stowage_ensure_months(text, timestamptz[]) to stowage_service;

-- Seals: how a closed month was, kept for ever. A further one is added where late events came; none
-- is ever replaced.
create table audit_seals (
  range_start timestamptz not null,
  seal_number integer not null,
  partition text collate "C" not null,
  rows bigint not null,
  sha256 bytea not null,
  sealed_at timestamptz not null default now(),
  primary key (range_start, seal_number),
  constraint audit_seals_seal_number_check check (seal_number >= 1),
  constraint audit_seals_sha256_check check (octet_length(sha256) = 32)
);

comment on table audit_seals is 'Counts and digests of closed months of the audit trail';
comment on column audit_seals.range_start is 'The first time of the month';
comment on column audit_seals.seal_number is 'From 1; the highest is how the month is now';
comment on column audit_seals.rows is 'Rows of all projects';
comment on column audit_seals.sha256 is 'Of the digests of its parts, by project and day';

-- By project and day, so that what differs can be named, and so that days which retention has left
-- can still be verified.
create table audit_seal_parts (
  range_start timestamptz not null,
  seal_number integer not null,
  project_id text collate "C" not null,
  day date not null,
  rows bigint not null,
  sha256 bytea not null,
  primary key (range_start, seal_number, project_id, day),
  constraint audit_seal_parts_sha256_check check (octet_length(sha256) = 32)
);

comment on table audit_seal_parts is 'What a seal is made of: one project''s events of one day';
comment on column audit_seal_parts.day is 'UTC';
comment on column audit_seal_parts.sha256 is 'Of the rows in the order of their time and id';

create trigger refuse_change before update or delete on audit_seals
  for each row execute function stowage_refuse_change();
create trigger refuse_truncate before truncate on audit_seals
  for each statement execute function stowage_refuse_change();
create trigger refuse_change before update or delete on audit_seal_parts
  for each row execute function stowage_refuse_change();
create trigger refuse_truncate before truncate on audit_seal_parts
  for each statement execute function stowage_refuse_change();

grant select, insert on audit_seals, audit_seal_parts to stowage_service;
grant select on audit_seals, audit_seal_parts to stowage_readonly;

-- Sealed months that late events came for: each gets a further seal. A note a transaction, so that
-- none waits for another, and that the seal forgets those alone whose events it has seen: with one
-- note a month, an event that came while the month was read would be forgotten with it.
create table audit_late_months (
  range_start timestamptz not null,
  xid xid8 not null default pg_current_xact_id(),
  noted_at timestamptz not null default now(),
  primary key (range_start, xid)
);

comment on table audit_late_months is 'Sealed months that late events came for since';
comment on column audit_late_months.xid is 'The transaction of the events; of this cluster only';

grant select, delete on audit_late_months to stowage_service;
grant select on audit_late_months to stowage_readonly;

-- A row of a sealed month is refused unless its transaction says that late events are welcome.
create function stowage_refuse_sealed() returns trigger
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
  set timezone = 'UTC'
as $$
begin
  if current_setting('stowage.late_events', true) is distinct from 'on' then
    raise exception using
      errcode = 'SW003',
      message = format('%s is sealed', tg_table_name);
  end if;
  insert into public.audit_late_months (range_start)
    values (date_trunc('month', new.timestamp))
    on conflict do nothing;
  return new;
end
$$;
comment on function stowage_refuse_sealed() is 'Keeps a sealed month closed';
revoke all on function stowage_refuse_sealed() from public;

-- Closes a month that is over. Making the trigger waits for the transactions that write to the
-- month and keeps others out meanwhile: what is read after it is all that there will ever be.
create function stowage_close_month(starts timestamptz) returns text
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  month record;
begin
  if pg_is_in_recovery() then
    raise exception using
      errcode = 'read_only_sql_transaction',
      message = 'months are closed on the primary';
  end if;
  -- One caller at a time: the next one finds the trigger.
  perform pg_advisory_xact_lock(hashtextextended('stowage_close_month', 0));
  select partition, range_end into month
    from public.storage_partitions
    where source = 'storage_audit' and range_start = starts and dropped_at is null;
  if not found then
    return null;
  end if;
  if month.range_end > now() then
    raise exception using
      errcode = 'object_not_in_prerequisite_state',
      message = format('%s is not over yet', month.partition);
  end if;
  if not exists (
    select from pg_trigger
    where tgrelid = format('public.%I', month.partition)::regclass and tgname = 'refuse_sealed'
  ) then
    execute format(
      'create trigger refuse_sealed before insert on public.%I '
      'for each row execute function public.stowage_refuse_sealed()', month.partition);
  end if;
  return month.partition;
end
$$;
comment on function stowage_close_month(timestamptz) is
  'Closes a month of the audit trail for its seal; says its partition, null where there is none';
revoke all on function stowage_close_month(timestamptz) from public;
grant execute on function stowage_close_month(timestamptz) to stowage_service;

-- Down Migration

-- Months stay closed no longer: their triggers go with the function.
drop function stowage_close_month(timestamptz);
drop function stowage_refuse_sealed() cascade;
drop table audit_late_months;
drop table audit_seal_parts;
drop table audit_seals;
drop function stowage_ensure_months(text, timestamptz[]);
create or replace function stowage_make_partition(
  parent text, name text, starts timestamptz, ends timestamptz
) returns void
  language plpgsql
  set search_path = pg_catalog, pg_temp
  set timezone = 'UTC'
as $$
begin
  execute format('create table public.%I (like public.%I including all)', name, parent);
  -- Attaching clones the parent's row triggers, but never those of statements.
  execute format(
    'create trigger refuse_truncate before truncate on public.%I '
    'for each statement execute function public.stowage_refuse_change()', name);
  execute format(
    'alter table public.%I attach partition public.%I for values from (%L) to (%L)',
    parent, name, starts, ends);
end
$$;
drop table storage_partitions;
