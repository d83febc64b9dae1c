/** The tree that the reading lanes work on: a million keys in folders, each with words to find. */

import type pg from 'pg';
import type { BenchDatabase } from './database.js';
import { PROJECT } from './objects.js';
import type { Rig } from './rig.js';

/** Folders of the tree below `documents/`; with a million objects each holds a thousand. */
export const FOLDERS = 1000;

/** A folder beside the tree, of ten objects. */
export const TINY = 'tiny/';

/** Every tenth object has it: a hundred thousand of a million. */
export const COMMON_WORD = 'finance';

/** One object of a thousand has it. */
export const RARE_WORD = 'zeppelin';

/** The run's tree of `rig.rows` objects: recorded once, whatever lanes read it. */
export function treeDatabase(rig: Rig): Promise<BenchDatabase> {
  return rig.sharedDatabase('tree', async (admin, database) => {
    rig.progress(`recording ${rig.rows} objects`);
    await fillTree(admin, rig.rows);
    rig.progress('indexing them for search');
    await indexTree(admin);
    await admin.query('checkpoint');
    await database.whenReplicated();
  });
}

/** On disk in an order that is not that of the keys. */
async function fillTree(admin: pg.Client, count: number): Promise<void> {
  await admin.query(`insert into projects (project_id, name) values ($1, 'Bench')`, [PROJECT]);
  await admin.query(
    `insert into storage_objects (project_id, object_key, id, size, content_type, etag,
       last_modified, version_id, storage_backend, storage_class, metadata, owner)
     select $1,
       case when n <= 10 then format('tiny/note-%s.txt', n)
            else format('documents/%s/invoice-%s.pdf', lpad((n % $3)::text, 4, '0'), n) end,
       gen_random_uuid(), (n * 7919::bigint) % 1000003, 'application/pdf', md5(n::text),
       now() - ((n * 7919::bigint) % 1000003) * interval '1 second', gen_random_uuid(), 's3',
       case when n % 50 = 0 then 'GLACIER' else 'STANDARD' end,
       jsonb_build_object('team', 'team-' || n % 40, 'department',
         case when n % 10 = 0 then $4::text else 'operations' end)
         || case when n % 1000 = 0 then jsonb_build_object('craft', $5::text) else '{}' end,
       'owner-' || n % 100
     from generate_series(1, $2::integer) as n
     order by md5(n::text)`,
    [PROJECT, count, FOLDERS, COMMON_WORD, RARE_WORD],
  );
  await admin.query('vacuum (analyze) storage_objects');
}

/** As the migration does for objects that are there before it: the rows first, then the index. */
async function indexTree(admin: pg.Client): Promise<void> {
  const { rows } = await admin.query<{ made: string }>(
    `select pg_get_indexdef('storage_search_words'::regclass) as made`,
  );
  await admin.query('drop index storage_search_words');
  await admin.query(
    `insert into storage_search
       (project_id, object_key, storage_backend, search_vector, indexed_revision)
     select project_id, object_key, storage_backend,
       stowage_search_vector(object_key, content_type, metadata), revision
     from storage_objects`,
  );
  await admin.query(rows[0]?.made ?? '');
  await admin.query('vacuum (analyze) storage_search');
}
