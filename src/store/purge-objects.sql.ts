/**
 * Statements that choose, count, lock and remove what is purged. Those that choose do so in the
 * order of one index each, so that a generic plan reads what it gives and not what lives around it.
 */

import { type Statement, statement } from '../postgres/statement.js';

/**
 * What all of them ask for. Parameters: project, prefix, the key above all with that prefix,
 * backend or empty, time before which it was deleted or null, whether it must be due, whether it
 * may live.
 */
const CRITERIA = `project_id = $1 and object_key >= $2 and object_key < $3
        and ($4 = '' or storage_backend = $4)
        and ($5::timestamptz is null or deleted_at < $5::timestamptz)
        and (not $6::boolean or purge_at <= now())
        and ($7::boolean or deleted_at is not null)`;

/** For where every key is asked for: a range, however wide, would lead to the index of keys. */
const EVERY_KEY = CRITERIA.replace('object_key >= $2 and object_key < $3', `$2 = '' and $3 > ''`);

/** One way to what is to be purged. */
export interface Selection {
  /** Keys, at most $8, in the order of an index. */
  readonly choose: Statement<{ object_key: string }>;
  /** How many objects there are in all, with how many versions. */
  readonly count: Statement<{ objects: bigint; versions: bigint }>;
}

function selection(
  name: string,
  filter: string,
  order: string,
  criteria: string = CRITERIA,
): Selection {
  return {
    choose: statement({
      name: `choose-${name}`,
      intent: 'readPrimary',
      text: `
      select object_key
      from storage_objects
      where ${criteria}
        and ${filter}
      order by ${order}
      limit $8`,
    }),
    count: statement({
      name: `count-${name}`,
      intent: 'readPrimary',
      text: `
      select count(*) as objects, coalesce(sum((
          select count(*)
          from storage_versions v
          where v.project_id = o.project_id and v.object_key = o.object_key
        )), 0)::int8 as versions
      from storage_objects o
      where ${criteria}
        and ${filter}`,
    }),
  };
}

/** By the index that leads there: see `selectionsOf` in purge-criteria.ts. */
export const selections = {
  deleted: selection('deleted-objects', 'deleted_at is not null', 'object_key'),
  longDeleted: selection(
    'long-deleted-objects',
    'deleted_at < $5::timestamptz',
    'deleted_at',
    EVERY_KEY,
  ),
  live: selection('live-objects', 'deleted_at is null', 'object_key'),
  liveOfBackend: selection(
    'live-backend-objects',
    'deleted_at is null and storage_backend = $4',
    'object_key',
  ),
  due: selection('due-objects', 'purge_at <= now()', 'purge_at'),
} as const;

/** An object to purge, locked. */
export interface DoomedObject {
  readonly object_key: string;
  readonly revision: bigint;
  readonly owner: string;
}

/** Asks again, because another transaction may have changed what was chosen. */
const LOCK = `
    select object_key, revision, owner
    from storage_objects
    where ${CRITERIA}
      and object_key = any($8::text[])
    order by object_key`;

/** Locks chosen objects, in key order. */
export const lockDoomed = statement<DoomedObject>({
  name: 'lock-doomed-objects',
  intent: 'write',
  text: `${LOCK}
    for update`,
});

/** The same for who comes again and need not wait: leaves out what others have locked. */
export const lockDoomedOrSkip = statement<DoomedObject>({
  name: 'lock-doomed-objects-or-skip',
  intent: 'write',
  text: `${LOCK}
    for update skip locked`,
});

/** Removes locked objects and their versions; may stop early, see docs/schema.md. */
export const purgeDoomed = statement<{ object_key: string; versions: bigint }>({
  name: 'purge-objects',
  intent: 'write',
  text: `
    select purged_key as object_key, purged_versions as versions
    from stowage_purge_objects($1, $2::text[])`,
});

/**
 * Projects behind $1 with something that is due, in their order, at most $2: from each project that
 * expires anything to the next, by one look at what it has that expires first.
 */
export const dueProjects = statement<{ project_id: string }>({
  name: 'due-projects',
  intent: 'readPrimary',
  text: `
    with recursive expiring as (
      (
        select project_id, purge_at
        from storage_objects
        where project_id > $1 and purge_at is not null
        order by project_id, purge_at
        limit 1
      )
      union all
      select next.project_id, next.purge_at
      from expiring
      cross join lateral (
        select project_id, purge_at
        from storage_objects
        where project_id > expiring.project_id and purge_at is not null
        order by project_id, purge_at
        limit 1
      ) as next
    )
    select project_id
    from expiring
    where purge_at <= now()
    limit $2`,
});
