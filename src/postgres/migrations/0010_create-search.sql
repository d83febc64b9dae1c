-- The search index: a table of its own beside the objects, so that what writes it can change
-- without touching them. It has the live objects only.

-- Up Migration

-- A trusted extension: who owns the database may make it, where the server has it.
do $$
begin
  create extension if not exists pg_trgm with schema public;
  if not exists (select from pg_extension
                 where extname = 'pg_trgm' and extnamespace = 'public'::regnamespace) then
    raise exception using
      errcode = 'object_not_in_prerequisite_state',
      message = 'the extension pg_trgm is in another schema than public',
      hint = 'Let its owner run: alter extension pg_trgm set schema public;';
  end if;
exception
  when insufficient_privilege then
    raise exception using
      errcode = 'insufficient_privilege',
      message = format('the migrating role %I may not make the extension pg_trgm', current_user),
      hint = 'Let an administrator run in this database: create extension pg_trgm schema public;';
  when undefined_file or feature_not_supported then
    raise exception using
      errcode = 'feature_not_supported',
      message = 'the server does not have the extension pg_trgm',
      hint = 'Install PostgreSQL''s contrib package on every node, such as postgresql-contrib.';
end
$$;

-- None of these functions sets a search_path: that costs as much as the work itself. They run with
-- the caller's rights, so a name that a caller has replaced harms the caller alone.

-- Text in which the parser finds each word: Han and kana have no spaces, so that each character is
-- a word and a part of a run is found as a phrase; symbols such as emoji would be dropped. Queries
-- go through it too. ASCII stays as it is.
create function stowage_search_marks(input text) returns text
  language plpgsql immutable parallel safe
as $$
declare
  words text := input;
begin
  if words is null or octet_length(words) = length(words) then
    return words;
  end if;
  words := regexp_replace(
    normalize(words, nfc),
    '([\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff])',
    ' \1 ', 'g');
  if words ~ '[\u2190-\u2bff\U0001f000-\U0001faff]' then
    select string_agg(
             case when letter ~ '[\u2190-\u2bff\U0001f000-\U0001faff]'
               then ' u' || to_hex(ascii(letter)) || ' '
               else letter
             end, '' order by place)
    into words
    from unnest(string_to_array(words, null)) with ordinality as letters (letter, place);
  end if;
  return words;
end
$$;
comment on function stowage_search_marks(text) is
  'Parts Han and kana from each other and names symbols by their code points';

-- The parser would take documents/invoice.pdf for one word: ASCII is parted at whatever is neither
-- letter nor digit. A regular expression, because translate() of so many characters costs three
-- times as much.
create function stowage_search_words(input text) returns text
  language plpgsql immutable parallel safe
as $$
begin
  return public.stowage_search_marks(
    regexp_replace(input, '[\u0001-\u002f\u003a-\u0040\u005b-\u0060\u007b-\u007f]+', ' ', 'g'));
end
$$;
comment on function stowage_search_words(text) is 'Text parted into the words that are searched';

-- Never fails: values are cut at 65536 characters, since those of numbers such as 1e300 are longer
-- than their JSON, and a tsvector has at most 1 MB. The parser leaves out words over 2 KB.
create function stowage_search_vector(object_key text, content_type text, metadata jsonb)
  returns tsvector
  language plpgsql immutable parallel safe
as $$
declare
  leaves text := '';
begin
  if metadata <> '{}' then
    leaves := jsonb_path_query_array(
      metadata,
      'strict $.** ? (@.type() == "string" || @.type() == "number" || @.type() == "boolean")');
    if strpos(leaves, '\') > 0 then
      leaves := regexp_replace(leaves, '\\(u[0-9a-f]{4}|.)', ' ', 'g');
    end if;
    leaves := left(leaves, 65536);
  end if;
  return
    setweight(to_tsvector('pg_catalog.simple', public.stowage_search_words(object_key)), 'A') ||
    setweight(to_tsvector('pg_catalog.simple', public.stowage_search_words(leaves)), 'B') ||
    setweight(to_tsvector('pg_catalog.simple', public.stowage_search_words(content_type)), 'C');
end
$$;
comment on function stowage_search_vector(text, text, jsonb) is
  'The words of an object: A of its key, B of its metadata''s values, C of its content type';

revoke all on function stowage_search_marks(text), stowage_search_words(text),
  stowage_search_vector(text, text, jsonb) from public;
grant execute on function stowage_search_marks(text), stowage_search_words(text),
  stowage_search_vector(text, text, jsonb) to stowage_service;

create table storage_search (
  project_id text collate "C" not null,
  object_key text collate "C" not null,
  storage_backend text collate "C" not null,
  search_vector tsvector not null,
  indexed_revision bigint not null
);

comment on table storage_search is 'The search index: the words of each live object';
comment on column storage_search.object_key is 'The object''s';
comment on column storage_search.storage_backend is 'The object''s';
comment on column storage_search.search_vector is
  'Words of the key (A), the metadata''s values (B) and the content type (C)';
comment on column storage_search.indexed_revision is 'The revision whose words these are';

-- Filled before it has indexes, which is twice as fast.
insert into storage_search
  (project_id, object_key, storage_backend, search_vector, indexed_revision)
select project_id, object_key, storage_backend,
       stowage_search_vector(object_key, content_type, metadata), revision
from storage_objects
where deleted_at is null;

alter table storage_search add primary key (project_id, object_key);

-- One index, because its pending list is then written and read once. The first column narrows a
-- search to a project, or to a backend in it, where others have most of what matches. Keys are
-- lowered by the rules of the database: those of "C" know ASCII alone.
create index storage_search_words on storage_search using gin (
  (array[project_id, project_id || '/' || storage_backend]),
  search_vector,
  lower(object_key collate "default") gin_trgm_ops
);

grant select, insert, update, delete on storage_search to stowage_service;
grant select on storage_search to stowage_readonly;

-- Down Migration

-- The extension stays: it may have been there before, and others may use it.
drop table storage_search;
drop function stowage_search_vector(text, text, jsonb);
drop function stowage_search_words(text);
drop function stowage_search_marks(text);
