/** `stowage migrate`: brings the schema up and down, and tells where it stands. */

import { Command, InvalidArgumentError } from 'commander';
import type { AdminDatabase } from '../postgres/admin-connection.js';
import {
  type MigrationStatus,
  migrateDown,
  migrateUp,
  migrationStatus,
} from '../postgres/migrate.js';
import { createMigration } from '../postgres/migration-files.js';

/** Exit code of `status` when the schema and the program differ. */
const EXIT_DIFFERENT = 3;

/** What the command needs of its surroundings. */
export interface MigrateDependencies {
  /** The database as its owner reaches it; asked only by what needs one. @throws ConfigError */
  database(): AdminDatabase;
  /** Takes one line of output. */
  print(line: string): void;
  /** Sets the exit code of the process; 0 unless it is called. */
  setExitCode(code: number): void;
}

/** Makes the sub-command. Its actions throw StowageError; the program prints them. */
export function migrateCommand(dependencies: MigrateDependencies): Command {
  const { print } = dependencies;
  const command = new Command('migrate').description('bring the database schema up or down');

  command
    .command('create')
    .description('write an empty migration with the next number')
    .argument('<name>', 'verb-noun, or verb-noun.breaking where older programs must not go on')
    .action(async (name: string) => print(await createMigration(name)));

  command
    .command('up')
    .description('apply what is pending')
    .option('--to <name>', 'the last migration to apply, by name or number')
    .option('--dry-run', 'print the SQL and change nothing')
    .action(async (options: { to?: string; dryRun?: boolean }) => {
      const applied = await migrateUp({
        database: dependencies.database(),
        log: print,
        ...options,
      });
      print(summaryOf('applied', applied, options.dryRun));
    });

  command
    .command('down')
    .description('take back the newest migrations, with the rows of what they made')
    .argument('[count]', 'how many', parseCount, 1)
    .option('--dry-run', 'print the SQL and change nothing')
    .action(async (count: number, options: { dryRun?: boolean }) => {
      const database = dependencies.database();
      const undone = await migrateDown({ database, count, log: print, ...options });
      print(summaryOf('taken back', undone, options.dryRun));
    });

  command
    .command('status')
    .description(`list the migrations; exit code ${EXIT_DIFFERENT} unless all are applied`)
    .action(async () => {
      const migrations = await migrationStatus({ database: dependencies.database() });
      for (const line of tableOf(migrations)) print(line);
      const current = migrations.every((migration) => migration.state === 'applied');
      if (!current) dependencies.setExitCode(EXIT_DIFFERENT);
    });

  return command;
}

function parseCount(text: string): number {
  if (!/^[1-9]\d{0,3}$/.test(text)) throw new InvalidArgumentError('must be 1 to 9999');
  return Number(text);
}

function summaryOf(done: string, names: readonly string[], dryRun = false): string {
  if (names.length === 0) return 'nothing to do';
  const migrations = names.length === 1 ? '1 migration' : `${names.length} migrations`;
  return dryRun ? `-- ${migrations} would be ${done}` : `${migrations} ${done}`;
}

function tableOf(migrations: readonly MigrationStatus[]): readonly string[] {
  const width = Math.max('migration'.length, ...migrations.map(({ name }) => name.length));
  const line = (name: string, state: string, appliedAt: string): string =>
    `${name.padEnd(width)}  ${state.padEnd('applied'.length)}  ${appliedAt}`.trimEnd();
  return [
    line('migration', 'state', 'applied at'),
    ...migrations.map(({ name, state, appliedAt }) =>
      line(name, state, appliedAt?.toISOString() ?? ''),
    ),
  ];
}
