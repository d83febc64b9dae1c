-- The roles of the database and what they may do in its schema.
--
-- Roles belong to the whole cluster and several databases share them, so each is made only where it
-- is missing, and two databases that are migrated at once must not fail over it: the loser of that
-- race gets duplicate_object or unique_violation. All three are groups that nobody logs in as.

-- Up Migration

do $$
declare
  missing record;
begin
  for missing in
    select * from (values
      ('stowage_service', 'Stowage: what the service may do; its login is a member'),
      ('stowage_readonly', 'Stowage: reads everything but secrets; for people and reports'),
      ('stowage_retention', 'Stowage: the only role that may delete from append-only tables')
    ) as wanted (name, purpose)
    where not exists (select from pg_roles where rolname = wanted.name)
  loop
    begin
      execute format('create role %I nologin', missing.name);
      execute format('comment on role %I is %L', missing.name, missing.purpose);
    exception
      when duplicate_object or unique_violation then
        raise notice 'role % was made meanwhile', missing.name;
      when insufficient_privilege then
        raise exception using
          errcode = 'insufficient_privilege',
          message = format('the migrating role %I may not make the role %I',
                           current_user, missing.name),
          hint = 'Let an administrator run: create role stowage_service nologin; '
                 'create role stowage_readonly nologin; create role stowage_retention nologin;';
    end;
  end loop;
end
$$;

-- Databases that were upgraded from PostgreSQL 14 let everybody make objects in public.
revoke create on schema public from public;
grant usage on schema public to stowage_service, stowage_readonly, stowage_retention;

-- The service compares the schema with itself when it starts.
grant select on stowage_migrations to stowage_service, stowage_readonly;

-- Down Migration

-- The roles stay: other databases may use them, and dropping one would silently take it from every
-- login that is a member.
revoke select on stowage_migrations from stowage_service, stowage_readonly;
revoke usage on schema public from stowage_service, stowage_readonly, stowage_retention;
