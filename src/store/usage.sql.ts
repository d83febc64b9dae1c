/** Statements that count objects and their bytes under a prefix. */

import { statement } from '../postgres/statement.js';
import { IN_PROJECT } from './object-reads.sql.js';

/** Sums of live objects: of all, or of one folder. */
export interface UsageRow {
  /** Empty in the row for all. */
  readonly folder: string;
  readonly objects: bigint;
  readonly bytes: bigint;
}

/**
 * One pass over an index that has the sizes in it, so that no row is visited that a vacuum has
 * seen: $1 project, keys at or above $2 and below $3. The first row is for all, then come at most
 * $5 folders behind the delimiter $4, none where that is empty. Bytes end at what an int64 holds.
 */
function usage(name: string, filter: string) {
  const delimiterAt = 'strpos(substr(object_key, length($2) + 1), $4)';
  return statement<UsageRow>({
    name,
    intent: 'read',
    text: `
    with entries as materialized (
      select case
          when $4 <> '' and ${delimiterAt} > 0
            then left(object_key, length($2) + ${delimiterAt} + length($4) - 1)
          else ''
        end as folder, count(*) as objects, sum(size) as bytes
      from storage_objects
      where project_id = $1 and object_key >= $2 and object_key < $3
        and deleted_at is null${filter}${IN_PROJECT}
      group by 1
    )
    select '' as folder, coalesce(sum(objects), 0)::bigint as objects,
      least(coalesce(sum(bytes), 0), 9223372036854775807)::bigint as bytes
    from entries
    union all
    (select folder, objects, least(bytes, 9223372036854775807)::bigint
    from entries
    where folder <> ''
    order by folder
    limit $5)
    order by folder`,
  });
}

/** By whether a backend ($6) is asked for. */
export const usages = {
  all: usage('get-usage', ''),
  ofBackend: usage('get-backend-usage', ' and storage_backend = $6'),
} as const;
