/** Hundreds of thousands of objects with their rows of the search index, by SQL. */

import type { TestConnection } from './database.js';
import { fillTables } from './filled-tables.js';

/**
 * Makes `count` objects of the project `default`: the nth, from 1, is
 * `documents/<n % 1000>/<invoice|contract|report>-<n>.pdf`. In its metadata one word is its own
 * (`case<n>`), one that of a thousandth of them (`group<n % 1000>`), one that of every tenth
 * (`archived`). The rows lie in random order, as in a table that has grown. Only indexes that
 * searches use are there.
 */
export async function fillSearchableObjects(admin: TestConnection, count: number): Promise<void> {
  await fillTables(admin, {
    tables: ['storage_objects', 'storage_search'],
    isNeeded: (index) => /_search_|_live$/.test(index),
    async fill() {
      await admin.query(objects, [count]);
      await admin.query(words);
    },
  });
}

const objects = `
  insert into storage_objects
    (project_id, object_key, id, size, content_type, etag, storage_backend, metadata)
  select 'default',
    format('documents/%s/%s-%s.pdf', lpad((n % 1000)::text, 4, '0'),
      (array['invoice', 'contract', 'report'])[1 + n % 3], lpad(n::text, 8, '0')),
    gen_random_uuid(), n, 'application/pdf', md5(n::text),
    case when n % 2 = 0 then 's3' else 'local' end,
    jsonb_build_object('case', 'case' || n, 'group', 'group' || n % 1000,
      'state', case when n % 10 = 0 then 'archived' else 'current' end)
  from (select n from generate_series(1, $1::int) as n order by hashint4(n)) as shuffled`;

const words = `
  insert into storage_search
    (project_id, object_key, storage_backend, search_vector, indexed_revision)
  select project_id, object_key, storage_backend,
    stowage_search_vector(object_key, content_type, metadata), revision
  from storage_objects`;
