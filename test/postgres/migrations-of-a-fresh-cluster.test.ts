import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { migrateDown, migrateUp } from '../../src/postgres/migrate.js';
import { readMigrationNames } from '../../src/postgres/migration-files.js';
import { createServiceLogin } from '../../src/postgres/service-login.js';
import { startTestCluster, type TestCluster } from '../support/cluster.js';
import { asLogin, atDatabase, openConnection } from '../support/database.js';

const program = await readMigrationNames();
const names = ['first', 'second', 'third', 'fourth'];
const migrator = { user: 'migrator', password: 'secret' };
const guest = { user: 'guest', password: 'secret' };

let own: TestCluster;

beforeAll(async () => {
  own = await startTestCluster({ standbys: 0 });
  const { primary } = own.cluster;
  await primary.query(`create role migrator login password 'secret'`);
  for (const name of names) await primary.query(`create database ${name} owner migrator`);
});

afterAll(() => own.stop());

function urlOf(name: string, login = migrator): string {
  return asLogin(atDatabase(own.cluster.primary.url(), name), login);
}

describe('migrations of a cluster without the roles', () => {
  it('tell a migrator who may not make roles what an administrator has to run', async () => {
    const refused = migrateUp({ database: urlOf('first') });
    await expect(refused).rejects.toMatchObject({
      reason: 'INTERNAL',
      message: expect.stringContaining('create role stowage_service nologin;'),
    });
  });

  it('make the roles once for several databases at once, without a superuser', async () => {
    await own.cluster.primary.query('alter role migrator createrole');
    const applied = await Promise.all(names.map((name) => migrateUp({ database: urlOf(name) })));
    expect(applied).toEqual(names.map(() => program));
    const service = { user: 'service', password: 'secret' };
    await createServiceLogin(urlOf('second'), service);
    const connection = await openConnection(urlOf('second', service));
    const [row] = await connection.query(
      `select stowage_ensure_partitions() as made,
              (select switch_lsn from stowage_timeline_history(1)) as lsn,
              (select count(*)::integer from stowage_timeline_history(2)) as rows`,
    );
    await connection.end();
    expect(row).toEqual({ made: 0, lsn: '0/0', rows: 0 });
  });

  it('tell a migrator who may not make the extension what an administrator runs', async () => {
    const { primary } = own.cluster;
    await primary.query('create database fifth');
    const admin = await openConnection(atDatabase(primary.url(), 'fifth'));
    await admin.query('grant create, usage on schema public to migrator with grant option');
    const refused = migrateUp({ database: urlOf('fifth') });
    await expect(refused).rejects.toMatchObject({
      reason: 'INTERNAL',
      message: expect.stringContaining('create extension pg_trgm schema public;'),
    });
    await admin.query('create schema elsewhere');
    await admin.query('create extension pg_trgm schema elsewhere');
    await expect(migrateUp({ database: urlOf('fifth') })).rejects.toMatchObject({
      message: expect.stringContaining('alter extension pg_trgm set schema public;'),
    });
    await admin.query('alter extension pg_trgm set schema public');
    await admin.end();
    expect(await migrateUp({ database: urlOf('fifth') })).toContain('0010_create-search');
  });

  it('give the purging function to retention, which its maker cannot become', async () => {
    const owner = await openConnection(urlOf('third'));
    const ownerOf = async () => {
      const [row] = await owner.query(
        `select proowner::regrole::text as owner from pg_proc
         where proname = 'stowage_purge_objects'`,
      );
      return row?.['owner'];
    };
    expect(await ownerOf()).toBe('stowage_retention');
    await expect(owner.query('set role stowage_retention')).rejects.toMatchObject({
      code: '42501',
    });
    const [schema] = await owner.query(
      `select has_schema_privilege('stowage_retention', 'public', 'create') as creates`,
    );
    expect(schema).toEqual({ creates: false });
    const last = program.at(-1) ?? '';
    const purging = program.findIndex((name) => name.endsWith('_purge-objects'));
    const count = program.length - purging;
    expect(await migrateDown({ database: urlOf('third'), count })).toHaveLength(count);
    expect(await ownerOf()).toBeUndefined();
    expect(await migrateUp({ database: urlOf('third') })).toContain(last);
    expect(await ownerOf()).toBe('stowage_retention');
    await owner.end();
  });

  it('tell a migrator who did not make the roles what an administrator has to run', async () => {
    const { primary } = own.cluster;
    await primary.query(`create role guest login password 'secret'`);
    await primary.query('create database sixth owner guest');
    const told = 'Let an administrator run: grant stowage_retention to guest;';
    await expect(migrateUp({ database: urlOf('sixth', guest) })).rejects.toMatchObject({
      reason: 'INTERNAL',
      message: expect.stringContaining(told),
    });
    await primary.query('grant stowage_retention to guest');
    expect(await migrateUp({ database: urlOf('sixth', guest) })).toContain(program.at(-1));
    const connection = await openConnection(urlOf('sixth', guest));
    await connection.query('set role stowage_retention');
    await connection.end();
  });
});
