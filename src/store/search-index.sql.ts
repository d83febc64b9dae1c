/** The statement that writes the search index; see search-index.ts. */

import { statement } from '../postgres/statement.js';

/**
 * Brings the index rows of some keys in line with their objects: of live ones they are written, of
 * deleted and purged ones removed. Who has changed an object holds its row locked, so nobody else
 * writes its index row. Parameters: project, keys.
 */
export const indexKeys = statement<Record<string, never>>({
  name: 'index-keys',
  intent: 'write',
  text: `
    with present as materialized (
      select changed.object_key, t.storage_backend, t.content_type, t.metadata, t.revision,
        t.object_key is not null and t.deleted_at is null as live
      from unnest($2::text[]) as changed (object_key)
      left join storage_objects t on t.project_id = $1 and t.object_key = changed.object_key
    ), removed as (
      delete from storage_search s
      using present p
      where not p.live and s.project_id = $1 and s.object_key = p.object_key
    )
    insert into storage_search (project_id, object_key, storage_backend, search_vector,
      indexed_revision)
    select $1, object_key, storage_backend,
      stowage_search_vector(object_key, content_type, metadata), revision
    from present
    where live
    on conflict (project_id, object_key) do update set
      storage_backend = excluded.storage_backend, search_vector = excluded.search_vector,
      indexed_revision = excluded.indexed_revision`,
});
