/**
 * Brings the schema up and down, with node-pg-migrate: one transaction a migration, one migrator at
 * a time. Refuses a database that a newer program has migrated.
 */

import { runner } from 'node-pg-migrate';
import type { Client } from 'pg';
import { StowageError } from '../errors.js';
import { type AdminDatabase, withAdminConnection } from './admin-connection.js';
import { isBreaking, migrationsFolder, readMigrationNames } from './migration-files.js';
import { compareSchema, refuseUnknown } from './schema-version.js';

const MIGRATIONS_TABLE = 'stowage_migrations';
/** How long another migrator is waited for. */
const MIGRATOR_WAIT_MS = 60_000;
/**
 * How long a migration waits for a table: while it waits, everybody behind it waits too, so it
 * gives up and can be run again.
 */
const TABLE_WAIT_MS = 10_000;

/** Which database is migrated, and how. */
export interface MigrateOptions {
  /** As a role that may make tables and roles. */
  readonly database: AdminDatabase;
  /** True: says which SQL would run, in `log`, and changes nothing. Default false. */
  readonly dryRun?: boolean;
  /** Told what happens, line by line; default: nobody. */
  readonly log?: (line: string) => void;
  /** Where the migrations are; default: the program's own. */
  readonly folder?: string;
}

/** One migration, as the program and the database know it. */
export interface MigrationStatus {
  readonly name: string;
  /** `unknown`: a newer program applied it. */
  readonly state: 'applied' | 'pending' | 'unknown';
  readonly breaking: boolean;
  /** Undefined while it is pending. */
  readonly appliedAt: Date | undefined;
}

/**
 * Applies what is pending, up to and with `to` (a name or its number), and gives the names. A
 * migrator that runs already is waited for, at most 60 s.
 * @throws StowageError SCHEMA_MISMATCH on a newer database; INVALID_REQUEST where there is no `to`;
 *   DEADLINE_EXCEEDED where another migrator does not end; NO_PRIMARY; INTERNAL where a migration
 *   fails: it is rolled back, those before it stay.
 */
export async function migrateUp(
  options: MigrateOptions & { readonly to?: string },
): Promise<readonly string[]> {
  const { to } = options;
  return migrate(options, 'up', (program, applied) => {
    if (to === undefined) return program.length - applied.length;
    const index = program.findIndex((name) => name === to || name.slice(0, 4) === to);
    if (index < 0) {
      throw new StowageError('INVALID_REQUEST', { message: `There is no migration ${to}.` });
    }
    return Math.max(0, index + 1 - applied.length);
  });
}

/**
 * Takes back the newest `count` migrations, default 1, and gives their names. What they made is
 * lost with its rows.
 * @throws StowageError as {@link migrateUp}.
 */
export async function migrateDown(
  options: MigrateOptions & { readonly count?: number },
): Promise<readonly string[]> {
  const { count = 1 } = options;
  return migrate(options, 'down', (_, applied) => Math.min(count, applied.length));
}

/**
 * Tells which migrations are applied, pending or unknown; changes nothing.
 * @throws StowageError NO_PRIMARY.
 */
export async function migrationStatus(
  options: Pick<MigrateOptions, 'database' | 'folder'>,
): Promise<readonly MigrationStatus[]> {
  const program = await readMigrationNames(options.folder);
  const applied = await withAdminConnection(options.database, readApplied);
  const status = (name: string): MigrationStatus => {
    const appliedAt = applied.get(name);
    const breaking = isBreaking(name);
    if (appliedAt === undefined) return { name, state: 'pending', breaking, appliedAt };
    const state = program.includes(name) ? 'applied' : 'unknown';
    return { name, state, breaking, appliedAt };
  };
  return [...new Set([...program, ...applied.keys()])].sort().map(status);
}

async function migrate(
  options: MigrateOptions,
  direction: 'up' | 'down',
  countOf: (program: readonly string[], applied: readonly string[]) => number,
): Promise<readonly string[]> {
  const { database, dryRun = false, log = () => undefined, folder = migrationsFolder } = options;
  const program = await readMigrationNames(folder);
  return withAdminConnection(database, async (client) => {
    await takeTurn(client, log);
    const applied = [...(await readApplied(client)).keys()];
    const state = compareSchema(program, applied);
    if (state.kind === 'ahead' || state.kind === 'diverged') throw refuseUnknown(state.unknown);
    const count = countOf(program, applied);
    if (count === 0) return [];
    return runMigrations(client, { dryRun, log, folder, direction, count });
  });
}

/** One migrator at a time. The lock is the session's: it ends with the connection. */
async function takeTurn(client: Client, log: (line: string) => void): Promise<void> {
  // UTC, because node-pg-migrate keeps its times without a zone.
  await client.query("select set_config('timezone', 'UTC', false)");
  await setLockTimeout(client, MIGRATOR_WAIT_MS);
  const free = await client.query<{ taken: boolean }>(
    "select pg_try_advisory_lock(hashtextextended('stowage_migrate', 0)) as taken",
  );
  if (free.rows[0]?.taken !== true) {
    log(`another migration is running: waiting for it, at most ${MIGRATOR_WAIT_MS / 1000} s`);
    try {
      await client.query("select pg_advisory_lock(hashtextextended('stowage_migrate', 0))");
    } catch (error) {
      throw new StowageError('DEADLINE_EXCEEDED', {
        message: `Another migration has been running for over ${MIGRATOR_WAIT_MS / 1000} s.`,
        cause: error,
      });
    }
  }
  await setLockTimeout(client, TABLE_WAIT_MS);
}

async function setLockTimeout(client: Client, timeoutMs: number): Promise<void> {
  await client.query("select set_config('lock_timeout', $1, false)", [String(timeoutMs)]);
}

/** Applied migrations in order, with their times. */
async function readApplied(client: Client): Promise<ReadonlyMap<string, Date>> {
  const table = await client.query<{ there: boolean }>(
    'select to_regclass($1) is not null as there',
    [`public.${MIGRATIONS_TABLE}`],
  );
  if (table.rows[0]?.there !== true) return new Map();
  const applied = await client.query<{ name: string; applied_at: Date }>(
    `select name, run_on at time zone 'UTC' as applied_at
     from public.stowage_migrations order by id`,
  );
  return new Map(applied.rows.map((row) => [row.name, row.applied_at]));
}

interface Run {
  readonly dryRun: boolean;
  readonly log: (line: string) => void;
  readonly folder: string;
  readonly direction: 'up' | 'down';
  readonly count: number;
}

async function runMigrations(client: Client, run: Run): Promise<readonly string[]> {
  const { dryRun, log, folder, direction, count } = run;
  let current = 'the first migration';
  const announced = (line: string): void => {
    const name = /^### MIGRATION (\S+)/.exec(line)?.[1];
    if (name === undefined) return;
    current = name;
    log(dryRun ? `-- ${name} ${direction}` : `${name} ${direction}`);
  };
  try {
    // Even a dry run makes the table of migrations: rolled back, it changes nothing.
    if (dryRun) await client.query('begin');
    const done = await runner({
      dbClient: client,
      dir: folder,
      migrationsTable: MIGRATIONS_TABLE,
      schema: 'public',
      direction,
      count,
      dryRun,
      verbose: dryRun,
      singleTransaction: false,
      noLock: true,
      logger: { debug: log, info: announced, warn: log, error: log },
    });
    return done.map((migration) => migration.name);
  } catch (error) {
    throw new StowageError('INTERNAL', {
      message: `${current} failed and was rolled back: ${messageOf(error)}`,
      cause: error,
    });
  } finally {
    // After a failure or a dry run a transaction is open; else this is only a notice. A connection
    // that was lost has rolled back by itself, and must not hide why the migration failed.
    await client.query('rollback').catch(() => undefined);
  }
}

/** The error's message, with PostgreSQL's advice where it has one. */
function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const hint = 'hint' in error && typeof error.hint === 'string' ? `. ${error.hint}` : '';
  return `${error.message}${hint}`;
}
