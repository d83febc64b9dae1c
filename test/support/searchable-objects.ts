/** Hundreds of thousands of objects with their rows of the search index, by SQL. */

import type { TestConnection } from './database.js';

/**
 * Makes `count` objects of the project `default`: the nth, from 1, is
 * `documents/<n % 1000>/<invoice|contract|report>-<n>.pdf`. In its metadata one word is its own
 * (`case<n>`), one that of a thousandth of them (`group<n % 1000>`), one that of every tenth
 * (`archived`). The rows lie in random order, as in a table that has grown. Indexes that
 * searches use are made afterwards, others not at all, which takes a third of the time.
 */
export async function fillSearchableObjects(admin: TestConnection, count: number): Promise<void> {
  const indexes = await admin.query<{ name: string; definition: string }>(
    `select indexrelid::regclass::text as name, pg_get_indexdef(indexrelid) as definition
     from pg_index
     where indrelid in ('storage_objects'::regclass, 'storage_search'::regclass)
       and not indisprimary`,
  );
  for (const { name } of indexes) await admin.query(`drop index ${name}`);
  await admin.query(
    `insert into storage_objects
       (project_id, object_key, id, size, content_type, etag, storage_backend, metadata)
     select 'default',
       format('documents/%s/%s-%s.pdf', lpad((n % 1000)::text, 4, '0'),
         (array['invoice', 'contract', 'report'])[1 + n % 3], lpad(n::text, 8, '0')),
       gen_random_uuid(), n, 'application/pdf', md5(n::text),
       case when n % 2 = 0 then 's3' else 'local' end,
       jsonb_build_object('case', 'case' || n, 'group', 'group' || n % 1000,
         'state', case when n % 10 = 0 then 'archived' else 'current' end)
     from (select n from generate_series(1, $1::int) as n order by hashint4(n)) as shuffled`,
    [count],
  );
  await admin.query(
    `insert into storage_search
       (project_id, object_key, storage_backend, search_vector, indexed_revision)
     select project_id, object_key, storage_backend,
       stowage_search_vector(object_key, content_type, metadata), revision
     from storage_objects`,
  );
  for (const { name, definition } of indexes) {
    if (/_search_|_live$/.test(name)) await admin.query(definition);
  }
  await admin.query('vacuum analyze storage_objects');
  await admin.query('vacuum analyze storage_search');
}
