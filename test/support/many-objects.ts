/** Hundreds of thousands of objects, or millions, by SQL: for tests of plans and of their cost. */

import type { TestConnection } from './database.js';

/** What is made. */
export interface ManyObjects {
  /** Live ones, `documents/0000/invoice-00000000.pdf` and on, dealt out to the folders in turn. */
  readonly objects: number;
  readonly folders: number;
  /** Deleted ones, in the first folder before its live ones; default 0. */
  readonly tombstones?: number;
  /** Default `default`. */
  readonly project?: string;
}

/**
 * Fills `storage_objects` and analyses it. The rows lie in random order, so that each row of a page
 * is on a page of its own in the table, as in one that has grown. Indexes are made afterwards: of
 * 200 thousand objects that takes 6 s, and 14 s with the indexes there.
 *
 * Of the nth object, from 0: backend `s3` or `local`, class `GLACIER` for one of 97 and else
 * `STANDARD`; metadata `owner` of a thousand, `rank` of five thousand as a number, `kind` `a` or
 * `b`, and `rare: true` for four of them all.
 */
export async function fillManyObjects(
  admin: TestConnection,
  { objects, folders, tombstones = 0, project = 'default' }: ManyObjects,
): Promise<void> {
  const indexes = await admin.query<{ name: string; definition: string }>(
    `select indexrelid::regclass::text as name, pg_get_indexdef(indexrelid) as definition
     from pg_index where indrelid = 'storage_objects'::regclass and not indisprimary`,
  );
  for (const { name } of indexes) await admin.query(`drop index ${name}`);
  await admin.query(
    `insert into storage_objects (project_id, object_key, id, size, content_type, etag,
       last_modified, version_id, storage_backend, storage_class, metadata, owner)
     select $3,
       format('documents/%s/%s-%s.pdf', lpad((n % $2::int)::text, 4, '0'),
         (array['invoice', 'contract', 'report'])[1 + n % 3], lpad(n::text, 8, '0')),
       gen_random_uuid(), n * 7919::bigint % 1000003, 'application/pdf', md5(n::text),
       timestamptz '2025-01-01' + make_interval(secs => n * 31::bigint % 3000017), 'v1',
       (array['s3', 'local'])[1 + n % 2],
       case when n % 97 = 0 then 'GLACIER' else 'STANDARD' end,
       jsonb_build_object('owner', 'user-' || n % 1000, 'rank', n % 5000,
         'kind', (array['a', 'b'])[1 + n % 2])
         || case when n % ($1::int / 4) = 7 then '{"rare": true}' else '{}' end::jsonb,
       'filler'
     from (
       select n from generate_series(0, $1::int - 1) as n order by hashint4(n)
     ) as shuffled`,
    [objects, folders, project],
  );
  await admin.query(
    `insert into storage_objects (project_id, object_key, id, size, version_id, storage_backend,
       metadata, deleted_at)
     select $2, format('documents/0000/%s-deleted', lpad(n::text, 8, '0')), gen_random_uuid(), 1,
       'v1', 's3', jsonb_build_object('owner', 'user-' || n % 1000), now()
     from generate_series(1, $1::int) as n`,
    [tombstones, project],
  );
  for (const { definition } of indexes) await admin.query(definition);
  await admin.query('vacuum analyze storage_objects');
}
