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
  revoke create on schema public from stowage_retention;
  if not is_member then
    revoke stowage_retention from current_user;
  end if;
end
$$;

-- Down Migration

drop function stowage_delete_versions(text, text[], text[]);
