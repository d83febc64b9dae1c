/** The statement that writes the search index; see search-index.ts. */

import { statement } from '../postgres/statement.js';

/**
 * Brings the index rows of some keys in line with their objects: of live ones they are written, of
 * deleted and purged ones removed. Who has changed an object holds its row locked, so nobody else
 * writes its index row. The keys are asked for, not joined: a plan that was kept from when the
 * tables were small would read all objects of the project at every write. Parameters: project,
 * keys.
 */
export const indexKeys = statement<Record<string, never>>({
  name: 'index-keys',
  intent: 'write',
  text: `
    with live as materialized (
      select object_key, storage_backend, content_type, metadata, revision
      from storage_objects
      where project_id = $1 and object_key = any($2::text[]) and deleted_at is null
    ), removed as (
      delete from storage_search
      where project_id = $1 and object_key = any(array(
        select changed
        from unnest($2::text[]) as changed
        where changed not in (select object_key from live)
      ))
    )
    insert into storage_search (project_id, object_key, storage_backend, search_vector,
      indexed_revision)
    select $1, object_key, storage_backend,
      stowage_search_vector(object_key, content_type, metadata), revision
    from live
    on conflict (project_id, object_key) do update set
      storage_backend = excluded.storage_backend, search_vector = excluded.search_vector,
      indexed_revision = excluded.indexed_revision`,
});
