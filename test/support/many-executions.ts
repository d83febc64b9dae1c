/** Hundreds of thousands of executions over some months, by SQL: for tests of plans. */

import type { TestConnection } from './database.js';
import { fillTables } from './filled-tables.js';

/** Months that executions are in, the present one among them. */
const MONTHS_FILLED = 4;

/**
 * Fills `storage_hooks` in the project `default`, evenly over the last `MONTHS_FILLED` months to
 * now. Of the nth execution, from 0: hook `hook-0` to `hook-9`, and `rare` for one of 10,000; kind
 * `e0` to `e4`; a correlation id for each ten; every seventh failed.
 */
export async function fillManyExecutions(admin: TestConnection, executions: number): Promise<void> {
  await admin.query(
    `select stowage_ensure_months('storage_hooks', array_agg(now() - make_interval(months => n)))
     from generate_series(0, ${MONTHS_FILLED - 1}) as n`,
  );
  await fillTables(admin, {
    tables: ['storage_hooks'],
    async fill() {
      await admin.query(filled, [executions]);
    },
  });
}

const filled = `
  insert into storage_hooks (project_id, timestamp, id, hook_name, event_type, object_key,
    execution_time, success, error_message, response, payload, correlation_id)
  select 'default', since + n * (now() - since) / $1::int, gen_random_uuid(),
    case when n % 10000 = 5000 then 'rare' else 'hook-' || n % 10 end, 'e' || n % 5,
    'documents/' || n % 1000, n % 1000 / 1000.0, n % 7 <> 0,
    case when n % 7 = 0 then 'no answer' end, jsonb_build_object('status', 'synced'),
    jsonb_build_object('n', n), 'order-' || n / 10
  from generate_series(0, $1::int - 1) as n,
    (
      select (
        date_trunc('month', now() at time zone 'UTC') - interval '${MONTHS_FILLED - 1} months'
      ) at time zone 'UTC' as since
    ) as month`;
