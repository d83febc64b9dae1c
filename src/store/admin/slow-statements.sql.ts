/**
 * The statements on pg_stat_statements, which a database may lack: what names it is sent only where
 * the first one has found it.
 */

import { statement } from '../../postgres/statement.js';

/** Whether, and where, the extension is. */
export interface ExtensionRow {
  /** Its schema; null where the database does not have it. */
  readonly schema: string | null;
  /** The columns that are read are of its versions from 1.8 on. */
  readonly is_old: boolean;
  /** The server counts: it was started with the library. */
  readonly is_loaded: boolean;
  readonly may_read: boolean;
}

/** Whether pg_stat_statements can be read. */
export const readExtension = statement<ExtensionRow>({
  name: 'admin-statements-extension',
  intent: 'read',
  text: `
    select n.nspname::text as schema,
      coalesce(string_to_array(e.extversion, '.')::int4[] < array[1, 8], false) as is_old,
      exists (select from pg_settings where name = 'pg_stat_statements.max') as is_loaded,
      coalesce(has_table_privilege(to_regclass('public.pg_stat_statements'), 'select')
        and has_function_privilege(
          to_regprocedure('public.pg_stat_statements(boolean)'), 'execute'), false) as may_read
    from (select) as here
    left join pg_extension e on e.extname = 'pg_stat_statements'
    left join pg_namespace n on n.oid = e.extnamespace`,
});

/** One statement, whoever has run it. */
export interface StatementRow {
  readonly text: string;
  readonly calls: bigint;
  readonly total_ms: number;
  readonly mean_ms: number;
  readonly max_ms: number;
  readonly rows: bigint;
  readonly hit_ratio: number | null;
}

/** Far longer than the longest of the service's own, which is known by its whole text. */
export const TEXT_MAX = 8_192;

/**
 * The statements that cost most; those whose text the login may not see are left out. Parameters:
 * how many at most; `total`, `mean` or `calls`.
 */
export const readStatements = statement<StatementRow>({
  name: 'admin-statements',
  intent: 'read',
  text: `
    select left(min(s.query), ${TEXT_MAX}) as text, sum(s.calls)::int8 as calls,
      sum(s.total_exec_time) as total_ms,
      sum(s.total_exec_time) / greatest(1, sum(s.calls))::float8 as mean_ms,
      max(s.max_exec_time) as max_ms, sum(s.rows)::int8 as rows,
      (sum(s.shared_blks_hit) / nullif(sum(s.shared_blks_hit + s.shared_blks_read), 0))::float8
        as hit_ratio
    from public.pg_stat_statements s
    where s.dbid = (select oid from pg_database where datname = current_database())
      and s.queryid is not null and s.query <> '<insufficient privilege>'
    group by s.queryid
    order by case $2::text
        when 'calls' then sum(s.calls)
        when 'mean' then sum(s.total_exec_time) / greatest(1, sum(s.calls))::float8
        else sum(s.total_exec_time)
      end desc, s.queryid
    limit $1`,
});
