/** The audit trail that the lane `audit` reads: two years of events, loaded, then indexed. */

import type pg from 'pg';
import { PROJECT } from './objects.js';

/** Months that hold the events, the present one the last. */
const MONTHS = 24;

/** Rows of a statement, so that the progress moves. */
const ROWS_A_STATEMENT = 500_000;

/** Each of these stands for enough events that a thousandth page of a million is there. */
export const HOT = {
  userId: 'user-hot',
  action: 'DOWNLOAD',
  objectKey: 'documents/hot.pdf',
  correlationId: 'correlation-hot',
  keyPrefix: 'archive/',
} as const;

/** Loads the events into tables without indexes, then makes those again and analyzes. */
export async function fillAudit(
  admin: pg.Client,
  count: number,
  progress: (step: string) => void,
): Promise<void> {
  await admin.query(`insert into projects (project_id, name) values ($1, 'Bench')`, [PROJECT]);
  await makeMonths(admin);
  const indexes = await dropIndexes(admin);
  for (let done = 0; done < count; done += ROWS_A_STATEMENT) {
    progress(`loading events, ${done} of ${count}`);
    await load(admin, done + 1, Math.min(count, done + ROWS_A_STATEMENT), count);
  }
  for (const { definition } of indexes) {
    progress(definition.slice(0, 70));
    await admin.query(definition);
  }
  progress('analyzing');
  await admin.query('vacuum (analyze) storage_audit');
  await admin.query('checkpoint');
}

/** Four at a time, as the service itself may make them. */
async function makeMonths(admin: pg.Client): Promise<void> {
  for (let first = 0; first < MONTHS; first += 4) {
    await admin.query(
      `select stowage_ensure_months('storage_audit', array(
         select date_trunc('month', now(), 'UTC') - n * interval '1 month'
         from generate_series($1::integer, $1 + 3) as n))`,
      [first],
    );
  }
}

/** The primary key among them; gives what makes them again. */
async function dropIndexes(admin: pg.Client): Promise<readonly { definition: string }[]> {
  const { rows } = await admin.query<{ name: string; definition: string; is_key: boolean }>(
    `select i.indexrelid::regclass::text as name, i.indisprimary as is_key,
       case when i.indisprimary
         then 'alter table storage_audit add ' || pg_get_constraintdef(c.oid)
         else replace(pg_get_indexdef(i.indexrelid), ' ON ONLY ', ' ON ')
       end as definition
     from pg_index i
     left join pg_constraint c on c.conindid = i.indexrelid and c.contype = 'p'
     where i.indrelid = 'storage_audit'::regclass`,
  );
  for (const { name, is_key: isKey } of rows) {
    await admin.query(
      isKey ? `alter table storage_audit drop constraint ${name}` : `drop index ${name}`,
    );
  }
  return rows;
}

/** The nth of `count` events: their times are even over the months, their order on disk too. */
async function load(admin: pg.Client, from: number, to: number, count: number): Promise<void> {
  await admin.query(
    `insert into storage_audit (project_id, timestamp, id, user_id, username, action, object_key,
       version_id, ip_address, user_agent, success, error_message, correlation_id, metadata)
     select $1, begins + (now() - begins) * (n::float8 / $4), gen_random_uuid(),
       case when n % 9 = 0 then $5 else 'user-' || n % 1009 end, 'Person ' || n % 1009,
       case when n % 8 = 0 then $6 else 'ACTION_' || n % 11 end,
       case when n % 9 = 1 then $7
            when n % 8 = 1 then $9 || n % 100003
            else format('documents/%s/invoice-%s.pdf', n % 1000, n) end,
       null, '10.0.0.1'::inet + n % 65536, 'bench', n % 20 <> 0,
       case when n % 20 = 0 then 'denied' end,
       case when n % 9 = 2 then $8 else gen_random_uuid()::text end,
       jsonb_build_object('bytes', n % 100000, 'region', 'eu-' || n % 5)
     from generate_series($2::integer, $3::integer) as n,
       (select date_trunc('month', now(), 'UTC') - $10 * interval '1 month' as begins) as first`,
    [
      ...[PROJECT, from, to, count],
      ...[HOT.userId, HOT.action, HOT.objectKey, HOT.correlationId, HOT.keyPrefix],
      MONTHS - 1,
    ],
  );
}
