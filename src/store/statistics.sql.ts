/**
 * Statements of a project's figures. Each figure has one that counts a bounded number of rows, and
 * one that estimates where there are more, from a bounded number of pages. Only what happened
 * within a day is estimated from a seventh of it, however much that is.
 */

import { type Statement, statement } from '../postgres/statement.js';

/** `sum(size)` is a numeric, and what it comes to may be more than a message's field holds. */
const bytes = (sum: string): string => `least(round(${sum}), 9223372036854775807)::int8`;

/** Blocks of a table: asked of the file system, not of statistics. */
const pages = (table: string): string =>
  `pg_relation_size('${table}') / current_setting('block_size')::int8`;

/** A share of the pages, in percent; always the same ones, so that figures do not flicker. */
const sampleOf = (table: string, percent: string): string =>
  `${table} tablesample system (coalesce(${percent}::float4, 100)) repeatable (0)`;

/** The page of a sampled row, in four bytes: to read it as text costs more than all the rest. */
const BLOCK = 'substr(tidsend(ctid), 1, 4) as block';

const BLOCK_NUMBER = `get_byte(block, 0) * 16777216.0 + get_byte(block, 1) * 65536
          + get_byte(block, 2) * 256 + get_byte(block, 3)`;

/**
 * What a sampled row stands for, by the common table `blocks`. The sample has more pages here and
 * fewer there by chance, and what was recorded together lies together: so each 64th of the table
 * counts as much as any other, however many of its pages were met. In all there are the rows that
 * ANALYZE found on a page, times the pages of now, which is how the planner reckons; where it has
 * not run, those of the pages that were met.
 */
const scaleOf = (table: string, pageCount: string): string => `placed as (
      select *, width_bucket((${BLOCK_NUMBER})::float8,
          0, greatest(1, ${pageCount}::float8), 64) as region
      from blocks
    ), regions as (
      select region, 1 / count(distinct block)::float8 as weight from placed group by region
    ), scale as (
      select coalesce(
          (
            select reltuples::float8 / relpages * ${pageCount}::float8
            from pg_class
            where oid = '${table}'::regclass and relpages > 0 and reltuples >= 0
          ) / nullif(sum(seen * weight), 0),
          ${pageCount}::float8 / 64
        ) as factor
      from placed
      join regions using (region)
    )`;

/** Rows that were counted, and the pages of their table. */
interface Counted {
  readonly looked: bigint;
  readonly pages: bigint;
}

/** Counts no further than one more than $2; in the order of an index, lest it read the table. */
function countOf(name: string, table: string, filter: string, order: string): Statement<Counted> {
  return statement({
    name: `counted-${name}`,
    intent: 'read',
    text: `
    select count(*) as looked, ${pages(table)} as pages
    from (
      select
      from ${table}
      where ${filter}
      order by ${order}
      limit $2::int8 + 1
    ) as counted`,
  });
}

/** Live objects, counted. */
export const countedObjects = countOf(
  'objects',
  'storage_objects',
  'project_id = $1 and deleted_at is null',
  'size',
);

/** Versions, counted. */
export const countedVersions = countOf(
  'versions',
  'storage_versions',
  'project_id = $1',
  'object_key',
);

/** Live objects of one backend, with those of all. */
export interface ContentRow {
  /** Null in a row that has no objects to tell of. */
  readonly storage_backend: string | null;
  readonly objects: bigint;
  readonly bytes: bigint;
  readonly all_objects: bigint;
  readonly all_bytes: bigint;
}

/** Figures by backend out of the common table `content`. */
const figuresOf = (columns: string): string => `
    select ${columns}storage_backend, round(objects)::int8 as objects, ${bytes('bytes')} as bytes,
      round(all_objects)::int8 as all_objects, ${bytes('all_bytes')} as all_bytes
    from (
      select *, sum(objects) over () as all_objects, sum(bytes) over () as all_bytes from content
    ) as figures
    order by storage_backend
    limit 1000`;

/** All live objects, where they are no more than $2; read as they were counted. */
export const backendObjects = statement<ContentRow>({
  name: 'backend-objects',
  intent: 'read',
  text: `
    with content as (
      select storage_backend, count(*) as objects, sum(size) as bytes
      from (
        select storage_backend, size
        from storage_objects
        where project_id = $1 and deleted_at is null
        order by size
        limit $2::int8 + 1
      ) as live
      group by storage_backend
    )${figuresOf('')}`,
});

/**
 * Of the $2 largest live objects those that are larger than the least of them; the others are those
 * of at most that size. A few huge objects, which no sample would catch in proportion, are so never
 * estimated.
 */
export const largestObjects = statement<ContentRow & { readonly least: bigint | null }>({
  name: 'largest-objects',
  intent: 'read',
  text: `
    with largest as materialized (
      select storage_backend, size
      from storage_objects
      where project_id = $1 and deleted_at is null
      order by size desc
      limit $2
    ), content as (
      select least, storage_backend, count(storage_backend) as objects,
        coalesce(sum(size), 0) as bytes
      from (select min(size) as least from largest) as bound
      left join largest on size > least
      group by least, storage_backend
    )${figuresOf('least, ')}`,
});

/**
 * The live objects of at most $2 bytes, estimated from $3 percent of the table's $4 pages.
 */
export const sampledObjects = statement<ContentRow>({
  name: 'sampled-objects',
  intent: 'read',
  text: `
    with blocks as materialized (
      select ${BLOCK}, storage_backend, count(*) as seen,
        count(*) filter (where project_id = $1 and deleted_at is null and size <= $2) as objects,
        sum(size) filter (where project_id = $1 and deleted_at is null and size <= $2) as bytes
      from ${sampleOf('storage_objects', '$3')}
      group by block, storage_backend
    ), ${scaleOf('storage_objects', '$4')}, content as (
      select storage_backend, sum(objects * weight * factor) as objects,
        sum((bytes * weight * factor)::numeric) as bytes
      from placed
      join regions using (region)
      cross join scale
      where objects > 0
      group by storage_backend
    )${figuresOf('')}`,
});

/** Versions, estimated from $2 percent of the table's $3 pages. */
export const sampledVersions = statement<{ versions: bigint }>({
  name: 'sampled-versions',
  intent: 'read',
  text: `
    with blocks as materialized (
      select ${BLOCK}, count(*) as seen, count(*) filter (where project_id = $1) as versions
      from ${sampleOf('storage_versions', '$2')}
      group by block
    ), ${scaleOf('storage_versions', '$3')}
    select coalesce(round(sum(versions * weight * factor)), 0)::int8 as versions
    from placed
    join regions using (region)
    cross join scale`,
});

/** The figure of what happened within 24 hours. */
interface DayFigure {
  /** The newest $2 rows; where there are more, only those behind the time of the oldest of them. */
  readonly newest: Statement<{ looked: bigint; newest: bigint; oldest: string | null }>;
  /** Estimates the rows up to the time $2 from one second in seven. */
  readonly older: Statement<{ rows: bigint }>;
}

/**
 * Time is sampled rather than pages: what happened of late stands together in few of them. Seven
 * has no factor in common with a minute, so that what happens on the minute is not seen each time
 * or never.
 */
function dayFigure(name: string, table: string): DayFigure {
  return {
    newest: statement({
      name: `newest-${name}`,
      intent: 'read',
      text: `
    with newest as materialized (
      select timestamp
      from ${table}
      where project_id = $1 and timestamp > now() - interval '24 hours' and timestamp <= now()
      order by timestamp desc
      limit $2::int8 + 1
    ), bounds as (
      select count(*) as looked, min(timestamp) as oldest from newest
    )
    select looked, oldest::text as oldest,
      (select count(*) from newest where looked <= $2::int8 or timestamp > oldest) as newest
    from bounds`,
    }),
    older: statement({
      name: `older-${name}`,
      intent: 'read',
      text: `
    with seconds as (
      select second
      from generate_series(now() - interval '24 hours', $2::timestamptz, interval '7 seconds')
        as second
    )
    select count(*) * 7 as rows
    from seconds
    cross join lateral (
      select
      from ${table}
      where project_id = $1 and timestamp > second and timestamp <= $2::timestamptz
        and timestamp <= second + interval '1 second'
    ) as happened`,
    }),
  };
}

/** Events of the audit trail. */
export const auditEvents = dayFigure('audit-events', 'storage_audit');

/** Executions of hooks. */
export const hookExecutions = dayFigure('hook-executions', 'storage_hooks');
