/** The statement that finds duplicates, slice by slice. */

import { statement } from '../postgres/statement.js';

/**
 * Groups of live objects with the same etag and size, from the largest down, among the next $8
 * entries of the index of contents; last a row that says how many it `looked` at and where the last
 * of them was, so that a slice without duplicates moves the stream on as well.
 *
 * It looks at entries rather than at members of the filter ($5 to $6: keys, $7: backend), which
 * would take it to the heap for every object; only what has a duplicate at all is looked up there.
 * The group in which a slice ends is counted whole. `offset 0` keeps the planner from reading keys
 * in their order until it meets 100 of the group: that may be every key there is.
 *
 * Parameters: project, the size and etag to begin below, the least size, the key to begin at, the
 * key to end before, backend or empty, how many entries.
 */
export const duplicatesSlice = statement<Record<string, unknown>>({
  name: 'duplicates-slice',
  intent: 'read',
  text: `
    with looked as materialized (
      select size, etag
      from storage_objects
      where project_id = $1 and deleted_at is null and (size, etag) < ($2::int8, $3)
        and size >= $4
      order by size desc, etag desc
      limit $8
    ), last as (
      select size, etag, (select count(*) from looked) as looked
      from looked
      order by size, etag
      limit 1
    ), candidates as materialized (
      select size, etag from looked where etag <> '' group by size, etag having count(*) > 1
      union
      select size, etag from last where etag <> '' and looked = $8
    )
    select size, etag, objects, object_keys, null::int8 as looked
    from candidates
    cross join lateral (
      select max(counted) as objects, array_agg(object_key order by object_key) as object_keys
      from (
        select object_key, count(*) over () as counted
        from (
          select object_key
          from storage_objects o
          where o.project_id = $1 and o.deleted_at is null
            and o.size = candidates.size and o.etag = candidates.etag
            and o.object_key >= $5 and o.object_key < $6
            and ($7 = '' or o.storage_backend = $7)
          offset 0
        ) as members
        order by object_key
        limit 100
      ) as first
    ) as named
    where objects > 1
    union all
    select size, etag, 0, '{}'::text[], looked from last
    order by looked nulls first, size desc, etag desc`,
});
