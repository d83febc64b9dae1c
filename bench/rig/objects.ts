/** The objects that lanes work on: in a folder tree, with a little metadata each. */

import type { JsonObject } from '@bufbuild/protobuf';
import type pg from 'pg';

/** The project of the benches. */
export const PROJECT = 'bench';

const FOLDERS = 1000;

/** The key of the nth object that {@link fillObjects} makes, from 1. */
export function objectKey(n: number): string {
  return `documents/${String(n % FOLDERS).padStart(4, '0')}/invoice-${n}.pdf`;
}

export function objectMetadata(n: number): JsonObject {
  return { team: `team-${n % 40}`, tier: 'gold', retention_days: 90 };
}

/** Makes the project, with objects in an order on disk that is not that of their keys. */
export async function fillObjects(admin: pg.Client, count: number): Promise<void> {
  await admin.query(`insert into projects (project_id, name) values ($1, 'Bench')`, [PROJECT]);
  await admin.query(
    `insert into storage_objects (project_id, object_key, id, size, content_type, etag,
       last_modified, version_id, storage_backend, storage_class, metadata, owner)
     select $1, format('documents/%s/invoice-%s.pdf', lpad((n % $3)::text, 4, '0'), n),
       gen_random_uuid(), n * 4099::bigint, 'application/pdf', md5(n::text),
       now() - n * interval '1 second', gen_random_uuid(), 's3', 'STANDARD',
       jsonb_build_object('team', 'team-' || n % 40, 'tier', 'gold', 'retention_days', 90),
       'owner-' || n % 100
     from generate_series(1, $2::integer) as n
     order by md5(n::text)`,
    [PROJECT, count, FOLDERS],
  );
  await admin.query('vacuum (analyze) storage_objects');
  await admin.query('checkpoint');
}
