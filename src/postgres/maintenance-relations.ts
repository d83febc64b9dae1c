/**
 * Which table or index a maintenance job works on, found in the catalogue by parameters, and the
 * commands on it, quoted by the server: no caller's name becomes a part of a text here. Refuses
 * whatever is not of the service's own schema.
 */

import type { Client } from 'pg';
import { StowageError } from '../errors.js';

/** A table or index by its oid, which outlives that it is renamed. */
export interface Relation {
  readonly oid: string;
  /** The oid of its table; of a partition, that of the table of all. */
  readonly lockedBy: string;
  /** The oids of its partitions, in order; undefined: it has no such parts. */
  readonly parts: readonly string[] | undefined;
}

/** What a command does; `%I.%I` becomes the schema and the name. */
const templates = {
  // Without giving the end of the file back: the lock for that keeps readers out, on standbys until
  // they are cancelled.
  vacuum: 'vacuum (truncate false) %I.%I',
  analyze: 'analyze %I.%I',
  reindex: 'reindex index concurrently %I.%I',
  drop: 'drop index concurrently if exists %I.%I',
  lock: 'lock table only %I.%I in share update exclusive mode',
} as const;

/** Where names are listed. */
const lists = { table: 'tables --partitions', index: 'indexes' } as const;

/** A name of {@link templates}. */
export type Command = keyof typeof templates;

/**
 * Finds a table or an index of the service's schema.
 * @throws StowageError RELATION_NOT_FOUND; MAINTENANCE_UNAVAILABLE where the session's role does
 *   not own it: VACUUM would leave it out with a warning.
 */
export async function findRelation(
  client: Client,
  what: 'table' | 'index',
  name: string,
): Promise<Relation> {
  const { rows } = await client.query<{
    oid: string;
    locked_by: string;
    is_parted: boolean;
    is_owned: boolean;
    parts: readonly string[];
  }>(
    `select found.oid::text as oid, coalesce(pg_partition_root(tabled), tabled)::text as locked_by,
       found.relkind in ('p', 'I') as is_parted, leaves.parts,
       (select bool_and(pg_has_role(relowner, 'usage')) from pg_class as each
        where each.oid = found.oid or each.oid::text = any (leaves.parts)) as is_owned
     from pg_class as found
     left join pg_index on indexrelid = found.oid,
     lateral (select coalesce(indrelid, found.oid)::regclass as tabled) as on_table,
     lateral (select array(select relid::oid::text from pg_partition_tree(found.oid)
                           where isleaf order by relid::oid) as parts) as leaves
     where relname = $1 and relnamespace = to_regnamespace('public')
       and relkind::text = any ($2)
       and not exists (select from pg_depend
                       where classid = 'pg_class'::regclass and objid = found.oid
                         and deptype = 'e')`,
    [name, what === 'table' ? ['r', 'p'] : ['i', 'I']],
  );
  const [row] = rows;
  if (row === undefined) {
    throw new StowageError('RELATION_NOT_FOUND', {
      message: `The schema has no such ${what}; \`stowage admin ${lists[what]}\` tells the names.`,
      metadata: { [what]: name },
    });
  }
  if (!row.is_owned) {
    throw new StowageError('MAINTENANCE_UNAVAILABLE', {
      message: `The login of STOWAGE_ADMIN_URL does not own this ${what}; name its owner there.`,
    });
  }
  const { oid, locked_by: lockedBy, is_parted: isParted, parts } = row;
  return { oid, lockedBy, parts: isParted ? parts : undefined };
}

/** The text of a command on a relation; undefined where that is not there any more. */
export async function commandOn(
  client: Client,
  command: Command,
  oid: string,
): Promise<string | undefined> {
  const { rows } = await client.query<{ text: string }>(
    `select format($1, nspname, relname) as text
     from pg_class join pg_namespace on pg_namespace.oid = relnamespace
     where pg_class.oid = $2`,
    [templates[command], oid],
  );
  return rows[0]?.text;
}

/** An index as REINDEX CONCURRENTLY keeps it: it gives it another oid. */
export interface IndexPlace {
  /** The oid of its table. */
  readonly table: string;
  readonly name: string;
}

/** Where an index is; undefined where it is not there any more. */
export async function placeOf(client: Client, index: string): Promise<IndexPlace | undefined> {
  const { rows } = await client.query<IndexPlace>(
    `select indrelid::text as "table", relname::text as name
     from pg_index join pg_class on pg_class.oid = indexrelid
     where indexrelid = $1`,
    [index],
  );
  return rows[0];
}

/**
 * The oids of what a REINDEX CONCURRENTLY that did not end has left beside the index: invalid
 * indexes of its table with its name, cut to what a name may have, and PostgreSQL's ending.
 */
export async function leftoversOf(
  client: Client,
  { table, name }: IndexPlace,
): Promise<readonly string[]> {
  const { rows } = await client.query<{ oid: string }>(
    `select pg_class.oid::text as oid
     from pg_index join pg_class on pg_class.oid = indexrelid,
     lateral (select regexp_replace(relname, '_cc(new|old)[0-9]*$', '') as stem) as cut
     where indrelid = $1 and not indisvalid and stem <> relname
       and (stem = $2 or (starts_with($2, stem) and octet_length(relname::text) > 59))
     order by pg_class.oid`,
    [table, name],
  );
  return rows.map(({ oid }) => oid);
}

/**
 * Takes the table for the session, against jobs of every server.
 * @param sentence what is said where another has it.
 * @throws StowageError MAINTENANCE_RUNNING, with the id of the job that has it.
 */
export async function takeTable(
  client: Client,
  { lockedBy }: Pick<Relation, 'lockedBy'>,
  sentence = 'A maintenance job works on this table already',
): Promise<void> {
  const turn = await client.query<{ taken: boolean }>(
    "select pg_try_advisory_lock(hashtextextended('stowage_maintenance_' || $1, 0)) as taken",
    [lockedBy],
  );
  if (turn.rows[0]?.taken === true) return;
  const { rows } = await client.query<{ job: string }>(
    `select substring(application_name from '^stowage maintenance (.+)$') as job
     from pg_locks join pg_stat_activity using (pid)
     where locktype = 'advisory' and granted and objsubid = 1 and datname = current_database()
       and database = datid
       and (classid::bigint << 32) | objid::bigint
         = hashtextextended('stowage_maintenance_' || $1, 0)`,
    [lockedBy],
  );
  throw runningAlready(rows[0]?.job ?? undefined, sentence);
}

/** The error for a job that is in the way; without an id where nobody tells it. */
export function runningAlready(jobId: string | undefined, sentence: string): StowageError {
  const which = jobId === undefined ? '' : ` (${jobId})`;
  return new StowageError('MAINTENANCE_RUNNING', {
    message: `${sentence}${which}; wait for its end or cancel it.`,
    metadata: jobId === undefined ? {} : { job_id: jobId },
  });
}

/** Gives a name to the session that tells whose it is, and ends all that would end it by itself. */
export async function prepareSession(client: Client, jobId: string): Promise<void> {
  await client.query("select set_config('application_name', 'stowage maintenance ' || $1, false)", [
    jobId,
  ]);
  // Those that the version has: transaction_timeout came with 17.
  await client.query(
    `select set_config(name, '0', false) from pg_settings
     where name in ('statement_timeout', 'transaction_timeout', 'idle_session_timeout')`,
  );
  // So that what a crashed server began ends soon. Not every system can: there it ends by itself.
  const check = "select set_config('client_connection_check_interval', '2s', false)";
  await client.query(check).catch(() => undefined);
}
