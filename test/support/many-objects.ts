/** Hundreds of thousands of objects in folders, by SQL: for tests of plans and of their cost. */

import type { TestConnection } from './database.js';
import { fillTables } from './filled-tables.js';

/** What is made. */
export interface ManyObjects {
  /** Live ones, `documents/0000/invoice-00000000.pdf` and on, dealt out to the folders in turn. */
  readonly objects: number;
  readonly folders: number;
  /** Deleted ones, in the first folder before its live ones. */
  readonly tombstones: number;
}

/**
 * Fills `storage_objects` in the project `default`. The rows lie in random order, so that each row
 * of a page is on a page of its own in the table, as in one that has grown.
 *
 * Of the nth object, from 0: backend `s3` or `local`, class `GLACIER` for one of 97 and else
 * `STANDARD`; metadata `owner` of a thousand, `rank` of five thousand as a number, `kind` `a` or
 * `b`, and `rare: true` for four of them all.
 */
export async function fillManyObjects(
  admin: TestConnection,
  { objects, folders, tombstones }: ManyObjects,
): Promise<void> {
  await fillTables(admin, {
    tables: ['storage_objects'],
    async fill() {
      await admin.query(liveObjects, [objects, folders]);
      await admin.query(deletedObjects, [tombstones]);
    },
  });
}

const liveObjects = `
  insert into storage_objects (project_id, object_key, id, size, content_type, etag,
    last_modified, version_id, storage_backend, storage_class, metadata, owner)
  select 'default',
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
  ) as shuffled`;

const deletedObjects = `
  insert into storage_objects (project_id, object_key, id, size, version_id, storage_backend,
    metadata, deleted_at)
  select 'default', format('documents/0000/%s-deleted', lpad(n::text, 8, '0')),
    gen_random_uuid(), 1, 'v1', 's3', jsonb_build_object('owner', 'user-' || n % 1000), now()
  from generate_series(1, $1::int) as n`;
