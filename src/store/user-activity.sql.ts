/** The statement that adds up what a user did. */

import type { TimestampValue } from '../lib/timestamp.js';
import { statement } from '../postgres/statement.js';
import { NO_ID } from './audit-pages.sql.js';
import { IN_PROJECT } from './object-reads.sql.js';

/** What came to of one action, or of all. */
export interface ActivityRow {
  /** Null in the row of all of them, which comes first and is always there. */
  readonly action: string | null;
  readonly events: bigint;
  readonly failures: bigint;
  readonly first_seen: TimestampValue | null;
  readonly last_seen: TimestampValue | null;
  readonly bytes: number;
  /** There were more events than were looked at. */
  readonly limited: boolean;
}

/** No number of a message is larger; a numeric beyond it would fail to become one. */
const DOUBLE_MAX = '1.7976931348623157e308::numeric';

/**
 * Of user $2 from $3 to before $4, the newest $5 events, by action; the $6 most frequent of them.
 * Whatever stands at `bytes` and is no number counts for nothing. Sums are exact, so that they do
 * not hang on the order of the rows. The plan is generic as that of a page of events.
 */
export const userActivity = statement<ActivityRow>({
  name: 'user-activity',
  intent: 'read',
  text: `
    with looked as (
      select action, success, timestamp, bytes, place <= $5 as is_counted
      from (
        select action, success, timestamp, metadata -> 'bytes' as bytes,
          row_number() over (order by user_id desc, timestamp desc, id desc) as place
        from storage_audit
        where project_id = $1
          and (user_id, timestamp, id) >= ($2, $3, ${NO_ID})
          and (user_id, timestamp, id) < ($2, $4, ${NO_ID})
          and timestamp >= $3 and timestamp < $4${IN_PROJECT}
        order by user_id desc, timestamp desc, id desc
        limit $5::int8 + 1
      ) as newest
    ), counted as (
      select action,
        count(*) filter (where is_counted) as events,
        count(*) filter (where is_counted and not success) as failures,
        min(timestamp) filter (where is_counted) as first_seen,
        max(timestamp) filter (where is_counted) as last_seen,
        coalesce(sum(
          case when jsonb_typeof(bytes) = 'number' then bytes::numeric end
        ) filter (where is_counted), 0) as bytes,
        bool_or(not is_counted) as limited
      from looked
      group by grouping sets ((), (action))
    )
    select action, events, failures, first_seen, last_seen,
      least(greatest(bytes, -${DOUBLE_MAX}), ${DOUBLE_MAX})::float8 as bytes,
      coalesce(limited, false) as limited
    from (
      select *
      from counted
      where action is null or events > 0
      order by action is not null, events desc, action
      limit $6::int8 + 1
    ) as frequent
    order by action nulls first`,
});
