/**
 * `stowage doctor` where the service gets in: what is wrong with role, schema, settings, standbys
 * is made so on a real cluster, and what is printed is compared.
 */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../../src/lib/wait.js';
import { migrateDown, migrateUp } from '../../src/postgres/migrate.js';
import {
  asLogin,
  atDatabase,
  createTestDatabase,
  openConnection,
  type TestConnection,
  type TestDatabase,
} from '../support/database.js';
import { type Patient, patientPassword, printedOf, startPatient } from '../support/doctor.js';

let patient: Patient;
let primary: string;
let standby: string;
let user: string;
let database: TestDatabase;
let administrator: TestConnection;
let doctor: Patient['doctor'];

beforeAll(async () => {
  patient = await startPatient();
  ({ primary, standby, user, database, administrator, doctor } = patient);
});

afterAll(async () => {
  await patient?.[Symbol.asyncDispose]();
});

const adminUrl = () => ({ STOWAGE_ADMIN_URL: database.url });
const onlyPrimary = () => ({ POSTGRES_HOST: primary });

describe('stowage doctor in the database', () => {
  it('tells a role that is no member, or may not log in', async () => {
    await administrator.query(`create role loner login password '${patientPassword}'`);
    const loner = await doctor({ ...onlyPrimary(), POSTGRES_USER: 'loner' });
    expect(printedOf(loner, 'role')).toBe(
      [
        '  FAIL  role         loner is no member of stowage_service',
        '        Make it one, as an administrator:',
        '            grant stowage_service to loner;',
      ].join('\n'),
    );
    expect(printedOf(loner, 'schema')).toBe(
      [
        '  FAIL  schema       loner may not read the list of migrations',
        '        Make it a member of stowage_service, as an administrator:',
        '            grant stowage_service to loner;',
      ].join('\n'),
    );
    await administrator.query('alter role loner nologin');
    const group = await doctor({ ...onlyPrimary(), ...adminUrl(), POSTGRES_USER: 'loner' });
    expect(printedOf(group, 'login')).toBe(
      [
        '  FAIL  login        the role loner may not log in',
        '        Let it, as an administrator:',
        '            alter role loner login;',
      ].join('\n'),
    );
  });

  it('warns of more connections than the server has', async () => {
    const ran = await doctor({ ...onlyPrimary(), POSTGRES_MAX_CONN: '18' });
    expect(printedOf(ran, 'connections')).toBe(
      [
        '  warn  connections  POSTGRES_MAX_CONN is 18, but the server has 17 connections to give',
        '        Calls would fail under load. Lower POSTGRES_MAX_CONN (it counts for each server ' +
          'process) or raise max_connections, which takes a restart:',
        '            POSTGRES_MAX_CONN=8',
        '            alter system set max_connections = 54;',
      ].join('\n'),
    );
    expect(ran.exitCode).toBe(0);
  });

  it('tells an old schema, none, and one of a newer program', async () => {
    await using old = await createTestDatabase(patient.cluster.superuserUrl());
    const schemaOf = async (name: string, url: string) => {
      await old
        .connect(url)
        .then((one) => one.query(`grant connect on database ${name} to ${user}`));
      return printedOf(await doctor({ ...onlyPrimary(), POSTGRES_DB: name }), 'schema');
    };
    const migrate = (name: string) =>
      `            STOWAGE_ADMIN_URL='postgres://<owner>:...@${primary}/${name}' ` +
      'stowage migrate up';
    const [last] = await migrateDown({ database: old.url });
    expect(await schemaOf(old.name, old.url)).toBe(
      [
        `  FAIL  schema       the schema is older than this program and lacks ${last}`,
        '        Bring it up, as its owner:',
        migrate(old.name),
      ].join('\n'),
    );
    expect(await schemaOf('postgres', atDatabase(old.url, 'postgres'))).toBe(
      [
        '  FAIL  schema       the database postgres has no tables of Stowage',
        '        Make them, as the owner of the database:',
        migrate('postgres'),
      ].join('\n'),
    );
    const connection = await old.connect();
    await connection.query(
      `update stowage_migrations set name = '0001_other-program.breaking' where id = 1`,
    );
    expect(await schemaOf(old.name, old.url)).toMatch(
      /not know 0001_other-program\.breaking, 0002_.* and \d+ more of .*\n.*\n +stowage --version$/,
    );
  });

  it('tells a read-only primary, and turns it off where it was turned on', async () => {
    await using bare = await createTestDatabase(patient.cluster.superuserUrl(), { migrate: false });
    await administrator.query('alter system set default_transaction_read_only = on');
    await administrator.query('select pg_reload_conf()');
    const seen = await until(
      async () => {
        const text = printedOf(await doctor(onlyPrimary()), 'writes');
        return text.includes('FAIL') ? text : undefined;
      },
      { timeoutMs: 10_000, what: 'the setting is read' },
    );
    expect(seen).toBe(
      [
        '  FAIL  writes       the primary is read-only: default_transaction_read_only is on ' +
          '(configuration file)',
        '        Migrations fail. Providers turn it on when the disk is nearly full: make room ' +
          'first. Then turn it off, in a session that may write:',
        '            set default_transaction_read_only = off;',
        '            alter system set default_transaction_read_only = off;',
        '            select pg_reload_conf();',
      ].join('\n'),
    );
    await expect(migrateUp({ database: bare.url })).rejects.toThrow(/read-only/);
    // The remedy, as it is printed.
    const fresh = await openConnection(database.url);
    for (const line of seen.split('\n').slice(2)) await fresh.query(line);
    await fresh.end();
    const isWell = async () => printedOf(await doctor(onlyPrimary()), 'writes').includes('  ok ');
    await until(isWell, { timeoutMs: 10_000, what: 'the remedy has helped' });
    expect(await migrateUp({ database: bare.url })).not.toEqual([]);
    await administrator.query(`alter role ${user} set default_transaction_read_only = on`);
    const ofRole = printedOf(await doctor(onlyPrimary()), 'writes');
    expect(ofRole).toContain(`alter role ${user} reset default_transaction_read_only;`);
    await administrator.query(`alter role ${user} reset default_transaction_read_only`);
  });

  it('tells a database that is not made for every text', async () => {
    await administrator.query(
      "create database ascii encoding 'SQL_ASCII' template template0 locale_provider libc " +
        "locale 'C'",
    );
    const ran = await doctor({ ...onlyPrimary(), POSTGRES_DB: 'ascii' });
    const remedy = [
      '        Make a new database and move the data with pg_dump and pg_restore. PostgreSQL 15 ' +
        'and 16 have no locale_provider builtin: leave it and builtin_locale out there.',
      "            create database ascii_utf8 encoding 'UTF8' template template0 locale_provider " +
        "builtin builtin_locale 'C.UTF-8' lc_collate 'C' lc_ctype 'C.UTF-8';",
    ];
    expect(printedOf(ran, 'encoding').split('\n')).toEqual([
      "  FAIL  encoding     the database's encoding is SQL_ASCII, which cannot hold every name",
      ...remedy,
    ]);
    expect(printedOf(ran, 'ctype').split('\n')).toEqual([
      '  warn  ctype        the ctype is C: search finds words beyond ASCII badly or not at all',
      ...remedy,
    ]);
    await administrator.query('drop database ascii with (force)');
  });

  it('tells settings that lose data, where they are made', async () => {
    const durability = async () => printedOf(await doctor(onlyPrimary()), 'durability').split('\n');
    await administrator.query(`alter database ${database.name} set synchronous_commit = off`);
    const [seen, , ...run] = await durability();
    expect(seen).toBe('  warn  durability   synchronous_commit is off');
    expect(run).toEqual([`            alter database ${database.name} reset synchronous_commit;`]);
    await administrator.query(`alter database ${database.name} reset synchronous_commit`);
    await administrator.query('alter system set fsync = off');
    await administrator.query('select pg_reload_conf()');
    const isOff = async () => (await durability())[0]?.includes('FAIL');
    await until(isOff, { timeoutMs: 10_000, what: 'the setting is read' });
    expect(await durability()).toEqual([
      '  FAIL  durability   fsync is off',
      '        When the machine crashes the database may be destroyed. Turn it on:',
      '            alter system set fsync = on;',
      '            select pg_reload_conf();',
    ]);
    await administrator.query('alter system reset fsync');
    await administrator.query('select pg_reload_conf()');
  });

  it('tells a migrator that does not own the schema', async () => {
    const { text } = await doctor({
      STOWAGE_ADMIN_URL: asLogin(database.url, { user, password: patientPassword }),
    });
    expect(text).toContain(
      [
        `  FAIL  migrator     ${user} does not own the schema, postgres does`,
        '        Write postgres and its password into STOWAGE_ADMIN_URL, or make ' +
          `${user} its member:`,
        `            grant postgres to ${user};`,
      ].join('\n'),
    );
  });
});

/** The verbs that the cluster does not survive come last, in this order. */
describe('stowage doctor on standbys', () => {
  it('tells a standby that is not named, and a primary that is not', async () => {
    const unnamed = await doctor(onlyPrimary());
    expect(printedOf(unnamed, 'standbys')).toBe(
      [
        '  warn  standbys     the primary has a standby, but it is not named',
        '        It serves no reads, and is not found when it becomes the primary. Name it ' +
          'beside the primary in DATABASE_URL or POSTGRES_HOST:',
        `            DATABASE_URL='postgres://${user}:...@${primary},<standby>:5432/` +
          `${database.name}'`,
      ].join('\n'),
    );
    expect(unnamed.exitCode).toBe(0);
    const headless = await doctor({ POSTGRES_HOST: standby });
    expect(headless.exitCode).toBe(1);
    expect(headless.text).toContain(
      [
        '  FAIL  primary      there is no primary: of 1 nodes 1 answered, and the node that ' +
          'answered is a standby',
        '        Name the primary too. If it is lost, wait for the HA manager, or promote the ' +
          'standby that is furthest ahead, on it:',
        '            select pg_promote();',
      ].join('\n'),
    );
  });

  it('tells a standby that does not answer', async () => {
    const name = patient.cluster.standbys[0]?.name ?? '';
    await patient.cluster.freeze(name);
    const { text } = await doctor({ STOWAGE_CONNECT_TIMEOUT_MS: '1000' });
    await patient.cluster.thaw(name);
    expect(text).toContain(
      [
        `  FAIL  address      ${standby} accepts the connection and is silent for 1000 ms`,
        '        The server hangs or is far too busy: look at its log and at what its machine ' +
          'does.',
      ].join('\n'),
    );
    expect(text).toContain('  warn  standbys     no standby answered\n');
  });

  it('tells paused replay', async () => {
    const name = patient.cluster.standbys[0]?.name ?? '';
    await patient.cluster.pauseReplay(name);
    const ran = await doctor();
    await patient.cluster.resumeReplay(name);
    expect(printedOf(ran, 'replay')).toBe(
      [
        '  FAIL  replay       replay is paused: the standby falls behind more and more',
        '        Let it go on, on this standby:',
        '            select pg_wal_replay_resume();',
      ].join('\n'),
    );
  });

  it('tells that there is no standby, and one that follows nobody', async () => {
    await patient.cluster.cutReplication(patient.cluster.standbys[0]?.name ?? '');
    const isAlone = async () => {
      const [row] = await administrator.query<{ senders: number }>(
        'select count(*)::int4 as senders from pg_stat_replication',
      );
      return row?.senders === 0;
    };
    await until(isAlone, { timeoutMs: 20_000, what: 'the primary feeds nobody' });
    await administrator.query("select pg_logical_emit_message(false, 'doctor', 'moves on')");
    const alone = await doctor(onlyPrimary());
    const [host, port] = primary.split(':');
    expect(printedOf(alone, 'standbys')).toBe(
      [
        '  warn  standbys     there is no standby',
        '        When this server stops, reads and writes stop; when its disk is lost, so is the ' +
          'data. Make a standby on another machine, and name it beside the primary in ' +
          'DATABASE_URL or POSTGRES_HOST:',
        `            pg_basebackup -h ${host} -p ${port} -U <replication role> -D <data folder> ` +
          '-R -X stream',
        `            DATABASE_URL='postgres://${user}:...@${primary},<standby>:5432/` +
          `${database.name}'`,
      ].join('\n'),
    );
    expect(printedOf(await doctor(), 'replay')).toMatch(
      /^ {2}FAIL {2}replay {7}the standby is .+ behind and receives nothing from a primary\n/,
    );
  });

  it('tells two primaries', async () => {
    await patient.cluster.promote(patient.cluster.standbys[0]?.name ?? '');
    const { text, exitCode } = await doctor();
    const [host, port] = standby.split(':');
    expect(text).toContain(
      [
        `  FAIL  primary      2 nodes are primaries at once: ${standby} on timeline 2, ` +
          `${primary} on timeline 1`,
        '        What is written to one is missing on the other. Stop all but one now, as a rule ' +
          'that of the highest timeline, save what only the others have, and make those standbys ' +
          'of it:',
        `            pg_rewind --target-pgdata=<data folder> --source-server='host=${host} ` +
          `port=${port} user=<superuser> dbname=postgres' --write-recovery-conf`,
      ].join('\n'),
    );
    expect(exitCode).toBe(1);
  });
});
