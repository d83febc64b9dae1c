import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { migrateDown, migrateUp, migrationStatus } from '../../src/postgres/migrate.js';
import { createMigration, readMigrationNames } from '../../src/postgres/migration-files.js';
import { sharedCluster } from '../support/cluster.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';

const program = await readMigrationNames();

async function emptyDatabase(): Promise<TestDatabase> {
  const [primary] = sharedCluster().nodes;
  const database = await createTestDatabase(primary?.url ?? '', { migrate: false });
  onTestFinished(() => database.drop());
  return database;
}

async function objectsOf(database: TestDatabase): Promise<string[]> {
  const connection = await database.connect();
  const rows = await connection.query<{ name: string }>(
    // What belongs to an extension comes and stays with it.
    `select relname as name from pg_class where relnamespace = 'public'::regnamespace
     union all
     select proname from pg_proc
     where pronamespace = 'public'::regnamespace
       and not exists (select from pg_depend
                       where classid = 'pg_proc'::regclass and objid = pg_proc.oid
                         and deptype = 'e')
     order by name`,
  );
  return rows.map((row) => row.name);
}

async function folderWith(files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'stowage-migrations-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  return folder;
}

describe('migrations', () => {
  it('bring an empty database up, down to nothing, and up again', async () => {
    const database = await emptyDatabase();
    expect(await migrateUp({ database: database.url })).toEqual(program);
    const first = await objectsOf(database);
    expect(first).toContain('storage_objects');
    expect(await migrateUp({ database: database.url })).toEqual([]);
    const undone = await migrateDown({ database: database.url, count: program.length });
    expect(undone).toEqual(program.toReversed());
    expect(await objectsOf(database)).toEqual([
      'stowage_migrations',
      'stowage_migrations_id_seq',
      'stowage_migrations_pkey',
    ]);
    expect(await migrateUp({ database: database.url })).toEqual(program);
    expect(await objectsOf(database)).toEqual(first);
  });

  it('print their SQL in a dry run and change nothing', async () => {
    const database = await emptyDatabase();
    const lines: string[] = [];
    const log = (line: string): number => lines.push(line);
    expect(await migrateUp({ database: database.url, dryRun: true, log })).toEqual(program);
    expect(lines.join('\n')).toContain('create table storage_objects');
    expect(await objectsOf(database)).toEqual([]);
  });

  it('stop at the one that is named, by name or by number', async () => {
    const database = await emptyDatabase();
    expect(await migrateUp({ database: database.url, to: '0002' })).toEqual(program.slice(0, 2));
    expect(await migrateUp({ database: database.url, to: program[2] ?? '' })).toEqual([program[2]]);
    expect(await migrateUp({ database: database.url, to: '0001' })).toEqual([]);
    const status = await migrationStatus({ database: database.url });
    expect(status.map((migration) => migration.state)).toEqual(
      program.map((_, index) => (index < 3 ? 'applied' : 'pending')),
    );
    expect(Math.abs(Date.now() - Number(status[0]?.appliedAt))).toBeLessThan(60_000);
    await expect(migrateUp({ database: database.url, to: '9999' })).rejects.toMatchObject({
      reason: 'INVALID_REQUEST',
    });
  });

  it('know the partitions that there were before, those made by hand too', async () => {
    const database = await emptyDatabase();
    await migrateUp({ database: database.url, to: '0013' });
    const owner = await database.connect();
    await owner.query(`create table by_hand partition of storage_audit
                       for values from ('2001-01-01Z') to ('2001-03-01Z')`);
    await migrateUp({ database: database.url, to: '0014' });
    const [known] = await owner.query(
      `select count(*) = (select count(*) from pg_inherits
                          where inhparent in ('storage_audit'::regclass, 'storage_hooks'::regclass,
                                              'storage_changes'::regclass)) as "all",
         bool_and(partition = 'by_hand' or partition in (
           source || to_char(range_start at time zone 'UTC', '_YYYY_MM'),
           source || to_char(range_start at time zone 'UTC', '_YYYY_MM_DD'))) as named,
         max(range_end) filter (where partition = 'by_hand') = '2001-03-01Z' as by_hand
       from storage_partitions`,
    );
    expect(known).toEqual({ all: true, named: true, by_hand: true });
  });

  it('refuse a database that a newer program has migrated', async () => {
    const database = await emptyDatabase();
    await migrateUp({ database: database.url });
    const connection = await database.connect();
    await connection.query(
      `insert into stowage_migrations (name, run_on) values ('9998_add-thing', now())`,
    );
    const refusal = { reason: 'SCHEMA_MISMATCH', metadata: { unknown: '9998_add-thing' } };
    await expect(migrateUp({ database: database.url })).rejects.toMatchObject(refusal);
    await expect(migrateDown({ database: database.url })).rejects.toMatchObject(refusal);
    const status = await migrationStatus({ database: database.url });
    expect(status.at(-1)).toMatchObject({ name: '9998_add-thing', state: 'unknown' });
  });

  it('are applied once by four migrators at once', async () => {
    const database = await emptyDatabase();
    const migrators = Array.from({ length: 4 }, () => migrateUp({ database: database.url }));
    const applied = await Promise.all(migrators);
    expect(applied.flat()).toEqual(program);
  });

  it('are rolled back alone where one fails, and its name is told', async () => {
    const database = await emptyDatabase();
    const folder = await folderWith({
      '0001_make-first.sql': '-- Up Migration\ncreate table first ();\n-- Down Migration\n',
      '0002_make-second.sql': '-- Up Migration\ncreate table second ();\nselect 1 / 0;\n',
    });
    await expect(migrateUp({ database: database.url, folder })).rejects.toMatchObject({
      reason: 'INTERNAL',
      message: '0002_make-second failed and was rolled back: division by zero',
    });
    const objects = await objectsOf(database);
    expect(objects).toContain('first');
    expect(objects).not.toContain('second');
  });

  it('tell which one lost the connection', async () => {
    const database = await emptyDatabase();
    const sql =
      '-- Up Migration\nselect pg_terminate_backend(pg_backend_pid());\n-- Down Migration\n';
    const folder = await folderWith({ '0001_end-session.sql': sql });
    await expect(migrateUp({ database: database.url, folder })).rejects.toMatchObject({
      reason: 'INTERNAL',
      message: expect.stringContaining('0001_end-session failed'),
    });
  });

  it('are looked for on the primary only', async () => {
    const standbys = sharedCluster().nodes.filter((node) => node.role === 'standby');
    const [standby] = standbys;
    await expect(migrateUp({ database: standby?.url ?? '' })).rejects.toMatchObject({
      reason: 'NO_PRIMARY',
      message: expect.stringContaining('is a standby'),
    });
  });

  it('are created with the next number', async () => {
    const folder = await folderWith({ '0041_make-first.sql': '' });
    const path = await createMigration('drop-first.breaking', folder);
    expect(path).toBe(join(folder, '0042_drop-first.breaking.sql'));
    expect(await readFile(path, 'utf8')).toContain('-- Down Migration');
    await expect(createMigration('Drop It', folder)).rejects.toMatchObject({
      reason: 'INVALID_REQUEST',
    });
  });
});
