/**
 * `stowage doctor` and what is wrong with a server, its settings and its standbys: made so on a
 * cluster of its own, and what is printed is compared.
 */

import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
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
import {
  type DoctorRun,
  type LonePatient,
  patientPassword,
  printedOf,
  startPatient,
} from '../support/doctor.js';
import { mainFile } from '../support/program.js';

let patient: LonePatient;
let primary: string;
let standby: string;
let user: string;
let database: TestDatabase;
let administrator: TestConnection;
let doctor: LonePatient['doctor'];

beforeAll(async () => {
  patient = await startPatient();
  ({ primary, standby, user, database, administrator, doctor } = patient);
});

afterAll(async () => {
  await patient?.[Symbol.asyncDispose]();
});

const adminUrl = () => ({ STOWAGE_ADMIN_URL: database.url });
const onlyPrimary = () => ({ POSTGRES_HOST: primary });

describe('stowage doctor', () => {
  it('finds all well, as a user runs it', async () => {
    await administrator.query(`grant pg_read_all_settings to ${user}`);
    await patient.cluster.waitUntilCaughtUp();
    const ran = await new Promise<DoctorRun>((resolve) => {
      const env = { ...process.env, ...patient.environment(), ...adminUrl() };
      const args = [mainFile, 'doctor'];
      const child = execFile(process.execPath, args, { env }, (_, text) => {
        resolve({ exitCode: child.exitCode ?? -1, text });
      });
    });
    expect(ran.text).not.toContain(patientPassword);
    const outline = ran.text.replace(/^( {2}\S+ +\S+).*/gm, '$1');
    const ofAll =
      'address tls login version role schema encoding ctype collation extension connections ' +
      'durability clock disk';
    const group = (title: string, checks: string) =>
      `${title}\n${checks.replace(/(\S+) ?/g, '  ok    $1\n')}`;
    expect(outline).toBe(
      [
        group('configuration', 'settings'),
        group(`${primary}, primary`, `${ofAll} slots writes`),
        group(`${standby}, standby`, `${ofAll} replay`),
        group('all nodes together', 'cluster primary standbys'),
        group('migrations', 'migrator'),
        'all is well\n',
      ].join('\n'),
    );
    expect(ran.exitCode).toBe(0);
    await administrator.query(`revoke pg_read_all_settings from ${user}`);
  });

  it('tells pg_hba.conf that lets nobody in', async () => {
    const file = path.join(patient.cluster.primary.folder, 'pg_hba.conf');
    const before = await readFile(file, 'utf8');
    try {
      await writeFile(file, `host all ${user} all reject\nhost all ghost all trust\n${before}`);
      await patient.cluster.primary.reload();
      const refused = () => openConnection(database.serviceUrl ?? '').then(() => false, isRejected);
      await until(refused, { timeoutMs: 10_000, what: 'the line is read' });
      const ran = await doctor(onlyPrimary());
      expect(printedOf(ran, 'login')).toBe(
        [
          `  FAIL  login        pg_hba.conf of ${primary} does not let ${user} into ` +
            `${database.name} without TLS`,
          "        Let it in: this line in pg_hba.conf, with this machine's address as the " +
            'server sees it, then reload:',
          `            host  ${database.name}  ${user}  127.0.0.1/32  scram-sha-256`,
          '            select pg_reload_conf();',
        ].join('\n'),
      );
      const ghost = await doctor({ ...onlyPrimary(), POSTGRES_USER: 'ghost' });
      expect(printedOf(ghost, 'login')).toBe(
        [
          '  FAIL  login        there is no role ghost that may log in',
          '        Make it, or let it log in if it is there, as an administrator:',
          "            create role ghost login password '...' in role stowage_service;",
          '            alter role ghost login;',
        ].join('\n'),
      );
    } finally {
      await writeFile(file, before);
      await patient.cluster.primary.reload();
    }
  });

  it('tells that there are too many connections', async () => {
    const taken: TestConnection[] = [];
    const url = asLogin(database.url, { user, password: patientPassword });
    const takeOne = () =>
      openConnection(url).then(
        (one) => taken.push(one),
        () => 0,
      );
    try {
      await until(async () => (await takeOne()) === 0, { timeoutMs: 20_000, what: 'it is full' });
      const ran = await doctor(onlyPrimary());
      expect(printedOf(ran, 'login')).toBe(
        [
          '  FAIL  login        the server has no free connection',
          '        Lower POSTGRES_MAX_CONN of each server or raise max_connections, which takes ' +
            'a restart. The first line shows who holds them.',
          '            select usename, application_name, count(*) from pg_stat_activity group by ' +
            '1, 2 order by 3 desc;',
          '            alter system set max_connections = 200;',
        ].join('\n'),
      );
    } finally {
      await Promise.all(taken.map((one) => one.end()));
    }
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

const isRejected = (error: Error & { code?: string }): boolean => error.code === '28000';
