-- What removes objects for good, and what looks for duplicates and adds up.

-- Up Migration

-- Tombstones in key order, for those below a prefix, and in the order of their deletion, for those
-- that are old; neither holds a live row, so recording pays nothing for them.
create index storage_objects_deleted on storage_objects (project_id, object_key)
  where deleted_at is not null;
create index storage_objects_deleted_at on storage_objects (project_id, deleted_at, object_key)
  where deleted_at is not null;

-- Project before time: the first entry of each project tells whether anything of it is due, and one
-- project's backlog does not stand before another's.
create index storage_objects_purge_at on storage_objects (project_id, purge_at, object_key)
  where purge_at is not null;

-- By size before etag, so that the largest duplicates and the largest objects come first. With the
-- backend, and with rows that have no etag, it is also all that statistics have to read.
drop index storage_objects_live_duplicates;
create index storage_objects_live_content on storage_objects (project_id, size, etag)
  include (storage_backend) where deleted_at is null;

-- Versions leave by the retention role only, which no login is a member of. What its caller has
-- locked and will feed and audit is removed here, object by object, so that no object is left
-- without some of its versions; behind 10,000 versions it stops between two objects.
create function stowage_purge_objects(project text, keys text[])
  returns table (purged_key text, purged_versions bigint)
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  removed bigint := 0;
begin
  if pg_is_in_recovery() then
    -- Where no key is given, a standby would otherwise seem to have done it.
    raise exception using
      errcode = 'read_only_sql_transaction',
      message = 'objects are purged on the primary';
  end if;
  if cardinality(keys) > 1000 then
    raise exception using
      errcode = 'program_limit_exceeded',
      message = format('%s keys are more than the 1000 of one purge', cardinality(keys));
  end if;
  foreach purged_key in array coalesce(keys, '{}') loop
    exit when removed >= 10000;
    delete from public.storage_objects as o
      where o.project_id = project and o.object_key = purged_key;
    continue when not found;
    delete from public.storage_versions as v
      where v.project_id = project and v.object_key = purged_key;
    get diagnostics purged_versions = row_count;
    removed := removed + purged_versions;
    return next;
  end loop;
end
$$;
comment on function stowage_purge_objects(text, text[]) is
  'Removes objects with their versions for good: at most 1000, in the order given; says which';
revoke all on function stowage_purge_objects(text, text[]) from public;
grant execute on function stowage_purge_objects(text, text[]) to stowage_service;
grant select (project_id, object_key), delete on storage_objects to stowage_retention;

-- To give a function away takes a membership with the right to become the role, and the role's own
-- right to make things in the schema. Both last as long as this migration. Since PostgreSQL 16 the
-- maker of a role may grant it, but not yet become it.
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
  alter function public.stowage_purge_objects(text, text[]) owner to stowage_retention;
  revoke create on schema public from stowage_retention;
  if not is_member then
    revoke stowage_retention from current_user;
  end if;
end
$$;

-- Down Migration

-- The owner of the schema may drop what others own in it.
drop function stowage_purge_objects(text, text[]);
revoke select (project_id, object_key), delete on storage_objects from stowage_retention;
drop index storage_objects_live_content;
create index storage_objects_live_duplicates on storage_objects (project_id, etag, size)
  where deleted_at is null and etag <> '';
drop index storage_objects_purge_at;
drop index storage_objects_deleted_at;
drop index storage_objects_deleted;
