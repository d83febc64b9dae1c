/**
 * The page of a list whose metadata filter lets little through: the index of the metadata finds all
 * that match, in no order, where a scan in the list's order would pass thousands of rows for each.
 */

import { statement } from '../postgres/statement.js';
import { type ListRow, SCAN_ROWS } from './list-pages.sql.js';
import { IN_PROJECT, OBJECT, OBJECT_TEXTS } from './object-reads.sql.js';
import { cutPage } from './page-cut.sql.js';

const COLUMNS = `${OBJECT}, position_value, scan_place, true as matches`;

/** The value that a list is ordered by before its keys, $10, as a number; infinity among them. */
const ORDINAL = `case $10
            when 'size' then size::numeric
            when 'last_modified' then extract(epoch from last_modified)
            else 0
          end as ordinal`;

const POSITION_ORDINAL = `case $10
            when 'size' then $9::text::numeric
            when 'last_modified' then extract(epoch from $9::text::timestamptz)
            else 0
          end`;

/**
 * $1 project, $2 to $3 the keys of the prefix, $4 how many rows at most, $5 backend, $6 class, $7
 * metadata, behind key $8 at value $9 in the order of $10, descending or not ($11), with deleted
 * objects or without ($12). What matches is read up to a bound, in all projects and deleted or not,
 * because that is what the work is; beyond it the page is one row, with the `scan_place` 0. Only
 * the index's own list of what matches is read whole, thousands of rows a buffer. The bound stands
 * outside: with it in sight the planner, which takes a hundredth of all rows to match, would read
 * a table of hundreds of millions from its beginning rather than the index.
 */
export const listMatching = statement<ListRow>({
  name: 'list-matching-objects',
  intent: 'read',
  text: `
    with matching as materialized (
      select project_id, object_key, deleted_at, storage_backend, storage_class, ${ORDINAL}
      from storage_objects
      where metadata @> $7
    ), found as materialized (
      select * from matching limit ${SCAN_ROWS + 1}
    ), too_many as materialized (
      select count(*) > ${SCAN_ROWS} as is_so
      from found
    ), wanted as materialized (
      select object_key, row_number() over (
        order by case when $11 then -ordinal else ordinal end,
          case when $11 then null else object_key end, object_key desc
      ) as scan_place
      from found
      where project_id = $1 and object_key >= $2 and object_key < $3
        and ($5 = '' or storage_backend = $5) and ($6 = '' or storage_class = $6)
        and ($12 or deleted_at is null)
        and case
          when $11 then (ordinal, object_key) < (${POSITION_ORDINAL}, $8)
          else (ordinal, object_key) > (${POSITION_ORDINAL}, $8)
        end
        and not (select is_so from too_many)${IN_PROJECT}
      order by scan_place
      limit $4
    ), page as materialized (
      select object.*, scan_place
      from (
        select object_key, scan_place from wanted
        union all
        select '', 0 from too_many where is_so
      ) as place left join lateral (
        select ${OBJECT},
          case $10
            when 'size' then size::text
            when 'last_modified' then last_modified::text
            else ''
          end as position_value
        from storage_objects
        where project_id = $1 and object_key = place.object_key
      ) as object on true
    )${cutPage(COLUMNS, 'scan_place', OBJECT_TEXTS)}`,
});
