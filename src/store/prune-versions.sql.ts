/**
 * Statements that find old versions and ask for them again. They are found by walking the index of
 * versions, key by key, so that each key's are met newest first and counted as they come: whatever
 * is kept, a slice reads so many rows and no more.
 */

import { statement } from '../postgres/statement.js';

/** Where a walk stands: behind a version, before the older ones of its key and all further keys. */
export interface VersionPlace {
  readonly object_key: string;
  readonly seq: bigint;
  /** How many versions of the key were met, this one included. */
  readonly place: bigint;
}

/**
 * A slice of the walk with what the criteria let go: the rest of the key that it begins in, then
 * further keys. They are asked for apart, because the index is of keys upwards and their versions
 * downwards, which no comparison of rows is. Parameters: project, lowest key, key above all, the
 * place behind which it begins (key, seq, place), rows, keep_newest, created_before or null.
 */
const SLICE = `
    with rest as materialized (
      select object_key, version_id, seq, created_at, size
      from storage_versions
      where project_id = $1 and object_key = $4 and seq < $5
      order by seq desc
      limit $7
    ), further as materialized (
      select object_key, version_id, seq, created_at, size
      from storage_versions
      where project_id = $1 and object_key > $4 and object_key >= $2 and object_key < $3
      order by object_key, seq desc
      limit $7::int8 - (select count(*) from rest)
    ), slice as (
      select * from rest union all select * from further
    ), counted as materialized (
      select object_key, version_id, seq, created_at, size,
        row_number() over (partition by object_key order by seq desc)
          + case when object_key = $4 then $6::int8 else 0 end as place
      from slice
    ), released as materialized (
      select object_key, version_id, seq, place, size
      from counted
      where place > $8 and ($9::timestamptz is null or created_at < $9::timestamptz)
        and version_id <> coalesce((
          select o.version_id
          from storage_objects o
          where o.project_id = $1 and o.object_key = counted.object_key
        ), '')
    )`;

/** A version to prune, or the last row of the slice. */
export interface ReleasedVersion extends VersionPlace {
  readonly version_id: string;
  readonly is_released: boolean;
}

/**
 * What a slice lets go, at most $10 in the order of the walk, and last the row at which the slice
 * ends, where it has as many rows as it may.
 */
export const findOldVersions = statement<ReleasedVersion>({
  name: 'find-old-versions',
  intent: 'readPrimary',
  text: `${SLICE}
    (select object_key, version_id, seq, place, true as is_released
    from released
    order by object_key, seq desc
    limit $10)
    union all
    (select object_key, version_id, seq, place, false
    from counted
    order by object_key, seq desc
    offset $7::int8 - 1 limit 1)`,
});

/** Sums of what a slice lets go, and where it ends. */
export interface CountedSlice {
  readonly versions: bigint;
  readonly objects: bigint;
  readonly bytes: string;
  /** Whether some are of the key that the slice began in. */
  readonly is_first_counted: boolean;
  /** Whether some are of the key that it ends in. */
  readonly is_last_counted: boolean;
  /** Null where the slice has fewer rows than it may. */
  readonly object_key: string | null;
  readonly seq: bigint | null;
  readonly place: bigint | null;
}

/** Counts instead of choosing. */
export const countOldVersions = statement<CountedSlice>({
  name: 'count-old-versions',
  intent: 'readPrimary',
  text: `${SLICE}, last as (
      select object_key, seq, place
      from counted
      order by object_key, seq desc
      offset $7::int8 - 1 limit 1
    )
    select count(*) as versions, count(distinct r.object_key) as objects,
      coalesce(sum(r.size), 0)::text as bytes,
      coalesce(bool_or(r.object_key = $4), false) as is_first_counted,
      coalesce(bool_or(r.object_key = (select object_key from last)), false) as is_last_counted,
      (select object_key from last) as object_key, (select seq from last) as seq,
      (select place from last) as place
    from released r`,
});

/** A version to delete, with what its change says of its object. */
export interface DoomedVersion {
  readonly object_key: string;
  readonly version_id: string;
  readonly size: bigint;
  readonly revision: bigint;
  readonly owner: string;
}

/**
 * Asks again of versions ($2 keys, $3 ids) whose objects are locked now: another transaction may
 * have changed which are the newest and which is the latest, or have made the key anew. $4
 * keep_newest, $5 created_before or null. Each is looked up by itself; a key's newest are passed
 * once.
 */
export const confirmOldVersions = statement<DoomedVersion>({
  name: 'confirm-old-versions',
  intent: 'readPrimary',
  text: `
    with thresholds as materialized (
      select chosen.object_key, (
          select seq
          from storage_versions
          where project_id = $1 and object_key = chosen.object_key
          order by seq desc
          offset greatest($4::int8 - 1, 0) limit 1
        ) as seq
      from (select distinct unnest($2::text[]) as object_key) as chosen
    )
    select v.object_key, v.version_id, v.size, o.revision, o.owner
    from unnest($2::text[], $3::text[]) as doomed (object_key, version_id)
    join thresholds t on t.object_key = doomed.object_key
    cross join lateral (
      select version_id, revision, owner
      from storage_objects
      where project_id = $1 and object_key = doomed.object_key
      offset 0
    ) as o
    cross join lateral (
      select object_key, version_id, size, seq, created_at
      from storage_versions
      where project_id = $1 and object_key = doomed.object_key
        and version_id = doomed.version_id
      offset 0
    ) as v
    where v.version_id <> o.version_id and ($4::int8 = 0 or v.seq < t.seq)
      and ($5::timestamptz is null or v.created_at < $5::timestamptz)
    order by v.object_key collate "C", v.seq`,
});
