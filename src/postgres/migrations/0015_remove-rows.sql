-- What removes versions one by one, and the rows of a month that retention cuts through.

-- Up Migration

-- What its caller has locked, fed and audited is removed here: versions leave by the retention role
-- only, which no login is a member of.
create function stowage_delete_versions(project text, keys text[], version_ids text[])
  returns bigint
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  deleted bigint;
begin
  if pg_is_in_recovery() then
    raise exception using
      errcode = 'read_only_sql_transaction',
      message = 'versions are deleted on the primary';
  end if;
  if cardinality(keys) > 1000 or cardinality(keys) <> cardinality(version_ids) then
    raise exception using
      errcode = 'program_limit_exceeded',
      message = 'a deletion takes 1000 versions, each with its key';
  end if;
  delete from public.storage_versions as v
    using unnest(keys, version_ids) as doomed (object_key, version_id)
    where v.project_id = project and v.object_key = doomed.object_key
      and v.version_id = doomed.version_id;
  get diagnostics deleted = row_count;
  return deleted;
end
$$;
comment on function stowage_delete_versions(text, text[], text[]) is
  'Deletes versions for good, at most 1000; says how many';
revoke all on function stowage_delete_versions(text, text[], text[]) from public;
grant execute on function stowage_delete_versions(text, text[], text[]) to stowage_service;

-- Rows that the owner's note says must go (deleted_before): behind a place of the table, in the
-- order in which they lie, so that no batch meets the dead rows of the one before. Exports that
-- begin wait for the end of the batch: leases are looked at under a lock that keeps new ones out,
-- and who makes one later sees when rows left (deleted_at). Looks at 32 MiB a call at most.
create function stowage_delete_rows(
  partition_name text, place text, force boolean,
  out deleted bigint, out next_place text, out needed_until timestamptz
)
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
  set timezone = 'UTC'
  set enable_seqscan = off
  set enable_indexscan = off
  set enable_bitmapscan = off
as $$
declare
  part record;
  boundary timestamptz;
  page bigint := coalesce((place::point)[0], 0);
  pages bigint;
  doomed tid[];
begin
  if pg_is_in_recovery() then
    raise exception using
      errcode = 'read_only_sql_transaction',
      message = 'rows are deleted on the primary';
  end if;
  deleted := 0;
  lock table public.export_leases in share mode;
  select p.source, p.range_start, p.range_end, p.deleted_before, p.made_at into part
    from public.storage_partitions as p
    where p.partition = partition_name and p.dropped_at is null
    order by p.made_at desc limit 1;
  if part.deleted_before is null then
    raise exception using
      errcode = 'object_not_in_prerequisite_state',
      message = format('nothing of %s is to be deleted', partition_name);
  end if;
  boundary := least(part.range_end, part.deleted_before);
  if not force then
    select max(l.expires_at) into needed_until
      from public.export_leases as l
      where l.source = part.source and l.expires_at > clock_timestamp()
        and l.range_start < boundary and l.range_end > part.range_start;
    if needed_until is not null then
      return;
    end if;
  end if;
  pages := pg_relation_size(format('public.%I', partition_name)::regclass)
    / current_setting('block_size')::bigint;
  -- By the table of all: of its partitions it has no grants.
  execute format(
    'select array_agg(ctid) from (select ctid from public.%I where timestamp >= $1 '
    'and timestamp < $2 and ctid > $3 and ctid < $4 limit 5000) as found', part.source)
    into doomed
    using part.range_start, boundary, coalesce(place, '(0,0)')::tid,
      format('(%s,0)', page + 4096)::tid;
  if cardinality(doomed) > 0 then
    execute format(
      'delete from public.%I where ctid = any ($1) and timestamp >= $2 and timestamp < $3',
      part.source)
      using doomed, part.range_start, boundary;
    get diagnostics deleted = row_count;
    update public.storage_partitions as p
      set deleted_at = clock_timestamp()
      where p.source = part.source and p.range_start = part.range_start
        and p.made_at = part.made_at;
  end if;
  if cardinality(doomed) = 5000 then
    next_place := doomed[5000]::text;
  elsif page + 4096 < pages then
    next_place := format('(%s,0)', page + 4096);
  end if;
end
$$;
comment on function stowage_delete_rows(text, text, boolean) is
  'Deletes at most 5000 rows that retention has left behind its note; says where to go on';
revoke all on function stowage_delete_rows(text, text, boolean) from public;
grant execute on function stowage_delete_rows(text, text, boolean) to stowage_service;
-- A lock that keeps leases from being made takes the right to delete them.
grant delete on export_leases to stowage_retention;

do $$
declare
  membership text :=
    case when current_setting('server_version_num')::int >= 160000 then 'SET' else 'MEMBER' end;
  is_member boolean := pg_has_role('stowage_retention', membership);
begin
  if not is_member then
    begin
      grant stowage_retention to current_user;
    exception
      when insufficient_privilege then
        raise exception using
          errcode = 'insufficient_privilege',
          message = format('the migrating role %I may not give a function to stowage_retention',
                           current_user),
          hint = format('Let an administrator run: grant stowage_retention to %I;', current_user);
    end;
  end if;
  grant create on schema public to stowage_retention;
  alter function public.stowage_delete_versions(text, text[], text[]) owner to stowage_retention;
  alter function public.stowage_delete_rows(text, text, boolean) owner to stowage_retention;
  revoke create on schema public from stowage_retention;
  if not is_member then
    revoke stowage_retention from current_user;
  end if;
end
$$;

-- Down Migration

revoke delete on export_leases from stowage_retention;
drop function stowage_delete_rows(text, text, boolean);
drop function stowage_delete_versions(text, text[], text[]);
