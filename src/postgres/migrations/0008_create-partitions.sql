-- Partitions, made ahead by the service itself: it owns nothing, so it asks functions of the owner.

-- Up Migration

-- Made apart and then attached: that takes a lock which readers and writers of the parent do not
-- notice, where "create table ... partition of" would wait for all of them and hold up the rest.
create function stowage_make_partition(
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
comment on function stowage_make_partition(text, text, timestamptz, timestamptz) is
  'Makes one partition; its triggers are those of the parent';
revoke all on function stowage_make_partition(text, text, timestamptz, timestamptz) from public;

-- The present month and the next two, the present day and the next seven: a service that could not
-- run its hourly job for a week still writes. At most 14 in one call.
create function stowage_ensure_partitions() returns integer
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
  set timezone = 'UTC'
as $$
declare
  made integer := 0;
  missing record;
begin
  if pg_is_in_recovery() then
    -- Where nothing is missing, a standby would otherwise seem to have done it.
    raise exception using
      errcode = 'read_only_sql_transaction',
      message = 'partitions are made on the primary';
  end if;
  -- The view of what is missing must be taken under the lock: READ COMMITTED sees what the last
  -- holder committed.
  perform pg_advisory_xact_lock(hashtextextended('stowage_ensure_partitions', 0));
  for missing in
    with wanted as (
      select parent, format('%s_%s', parent, to_char(starts, 'YYYY_MM')) as name,
             starts, starts + interval '1 month' as ends
      from (values ('storage_audit'), ('storage_hooks')) as parents (parent),
           generate_series(date_trunc('month', now()),
                           date_trunc('month', now()) + interval '2 months',
                           interval '1 month') as starts
      union all
      select 'storage_changes', format('storage_changes_%s', to_char(starts, 'YYYY_MM_DD')),
             starts, starts + interval '1 day'
      from generate_series(date_trunc('day', now()),
                           date_trunc('day', now()) + interval '7 days',
                           interval '1 day') as starts
    )
    select * from wanted where to_regclass(format('public.%I', name)) is null
    order by parent, starts
  loop
    perform public.stowage_make_partition(
      missing.parent, missing.name, missing.starts, missing.ends);
    made := made + 1;
  end loop;
  return made;
end
$$;
comment on function stowage_ensure_partitions() is
  'Makes the partitions of now and of the near future; says how many it made';
revoke all on function stowage_ensure_partitions() from public;
grant execute on function stowage_ensure_partitions() to stowage_service;

select stowage_ensure_partitions();

-- Down Migration

-- The partitions stay with their tables.
drop function stowage_ensure_partitions();
drop function stowage_make_partition(text, text, timestamptz, timestamptz);
