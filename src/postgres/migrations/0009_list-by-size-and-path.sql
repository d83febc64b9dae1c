-- Lists by size, sums under a prefix, and which paths of the metadata are indexed.

-- Up Migration

create index storage_objects_live_size on storage_objects (project_id, size, object_key)
  where deleted_at is null;

-- With the size in them, sums under a prefix read the index alone: 111 buffers instead of 1013 for
-- a folder of a thousand.
drop index storage_objects_live;
create index storage_objects_live on storage_objects (project_id, object_key) include (size)
  where deleted_at is null;
drop index storage_objects_live_backend;
create index storage_objects_live_backend
  on storage_objects (project_id, storage_backend, object_key) include (size)
  where deleted_at is null;

-- What `stowage index` was asked for. Whether an index is ready stands in pg_index: it is built
-- outside of transactions, so a second record of that would be wrong after a crash.
create table metadata_indexes (
  path text collate "C" not null,
  type text collate "C" not null,
  index_name text collate "C" not null,
  created_at timestamptz not null default now(),
  primary key (path, type),
  constraint metadata_indexes_path_check check (octet_length(path) between 1 and 255),
  constraint metadata_indexes_type_check check (type in ('text', 'number')),
  constraint metadata_indexes_index_name_key unique (index_name)
);

comment on table metadata_indexes is 'Paths of the metadata with an index of their own';
comment on column metadata_indexes.path is 'With dots, such as camera.model';
comment on column metadata_indexes.type is 'Which values are in it: text or number';
comment on column metadata_indexes.index_name is 'Of an index of storage_objects';
comment on column metadata_indexes.created_at is 'When it was asked for';

grant select on metadata_indexes to stowage_service;
grant select on metadata_indexes to stowage_readonly;

-- Down Migration

do $$
declare
  made record;
begin
  for made in select index_name from metadata_indexes loop
    execute format('drop index if exists public.%I', made.index_name);
  end loop;
end
$$;
drop table metadata_indexes;
drop index storage_objects_live_backend;
create index storage_objects_live_backend
  on storage_objects (project_id, storage_backend, object_key) where deleted_at is null;
drop index storage_objects_live;
create index storage_objects_live on storage_objects (project_id, object_key)
  where deleted_at is null;
drop index storage_objects_live_size;
