/** Pieces that the statements on tables and on indexes share. */

/** Bytes of a page. */
export const PAGE = "current_setting('block_size')::int8";

/**
 * Common table `locked`: relations that somebody has for himself alone, or waits to have. Asking
 * for the size of one would wait in line, behind the very session that is looked for; what VACUUM
 * last wrote down of it is told instead. What is locked a moment later ends with lock_timeout.
 */
export const LOCKED = `locked as materialized (
      select distinct l.relation
      from pg_locks l
      join pg_database d on d.oid = l.database and d.datname = current_database()
      where l.locktype = 'relation' and l.mode = 'AccessExclusiveLock'
    )`;

/** What belongs to PostgreSQL itself, or to a session alone, is no table of anybody's. */
export const isOwn = (schema: string, relation: string): string =>
  `${schema}.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
        and ${relation}.relpersistence <> 't'`;

/** The name of a relation, with its schema where that is not public. */
export const nameOf = (schema: string, relation: string): string =>
  `case when ${schema}.nspname = 'public' then '' else ${schema}.nspname || '.' end
        || ${relation}.relname`;

/** A number out of a relation's options. */
export const fillfactorOf = (relation: string, standard: number): string => `coalesce((
          select o.option_value::float8
          from pg_options_to_table(${relation}.reloptions) o
          where o.option_name = 'fillfactor'
        ), ${standard}) / 100`;

/**
 * Bytes of a column in an average row, by the sampled width and the share of nulls. A fixed column
 * stands at a multiple of its alignment: behind another of fixed length that fits there is nothing
 * between them, behind anything else half of the most that there may be. Short texts have no
 * alignment. Needs `s` of pg_stats, `a` of pg_attribute, and the length of the column `before`.
 */
export const columnBytes = (before: string): string => `(1 - s.null_frac) * (s.avg_width + case
            when a.attlen = -1 and s.avg_width < 127 then 0
            when ${before} is null then 0
            when a.attlen > 0 and ${before} > 0 and ${before} % ${ALIGNMENT} = 0 then 0
            else (${ALIGNMENT} - 1) / 2.0
          end)`;

const ALIGNMENT = "case a.attalign when 'd' then 8 when 'i' then 4 when 's' then 2 else 1 end";

/** A row's data is padded to eight bytes: exactly where all is fixed, else by half on average. */
export const padded = (bytes: string, isFixed: string): string =>
  `case when ${isFixed} then ceil((${bytes}) / 8.0) * 8 else ${bytes} + 3.5 end`;
