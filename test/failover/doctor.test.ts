/**
 * `stowage doctor` where the service does not get in: each common failure is made to happen on a
 * real cluster, and what is printed is compared.
 */

import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../../src/lib/wait.js';
import type { Finding } from '../../src/postgres/diagnosis/finding.js';
import {
  asLogin,
  openConnection,
  type TestConnection,
  type TestDatabase,
} from '../support/database.js';
import {
  type DoctorRun,
  type Patient,
  patientPassword,
  printedOf,
  startPatient,
} from '../support/doctor.js';
import { freePort } from '../support/free-port.js';
import { fromSources } from '../support/program.js';

const checkout = path.join(import.meta.dirname, '..', '..');

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

describe('stowage doctor', () => {
  it('finds all well, as a user runs it', async () => {
    await administrator.query(`grant pg_read_all_settings to ${user}`);
    await patient.cluster.waitUntilCaughtUp();
    const ran = await new Promise<DoctorRun>((resolve) => {
      const env = { ...process.env, ...patient.environment(), ...adminUrl() };
      const args = [...fromSources, 'doctor'];
      const child = execFile(process.execPath, args, { cwd: checkout, env }, (_, text) => {
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

  it('tells a wrong password', async () => {
    const ran = await doctor({ ...onlyPrimary(), POSTGRES_PASSWORD: 'not it' });
    expect(printedOf(ran, 'login')).toBe(
      [
        `  FAIL  login        the server refuses the password of the role ${user}`,
        '        The password of POSTGRES_PASSWORD is wrong, or there is no such role: ' +
          'PostgreSQL does not tell which. Mend POSTGRES_PASSWORD, or as an administrator set ' +
          'the password or make the role:',
        `            alter role ${user} password '...';`,
        `            create role ${user} login password '...' in role stowage_service;`,
      ].join('\n'),
    );
    expect(ran.text).toContain('  skip  11 checks    the check login failed: version, role,');
    expect(ran.text).toMatch(/\n1 failure, 0 warnings: mend the first failure, then run/);
    expect(ran.exitCode).toBe(1);
    const known = await doctor({ ...adminUrl(), POSTGRES_PASSWORD: 'not it' });
    expect(printedOf(known, 'login')).toBe(
      [
        `  FAIL  login        the server refuses the password of the role ${user}`,
        '        Mend POSTGRES_PASSWORD, or set the password as an administrator:',
        `            alter role ${user} password '...';`,
      ].join('\n'),
    );
  });

  it('tells a missing password', async () => {
    const ran = await doctor({ ...onlyPrimary(), POSTGRES_PASSWORD: '' });
    expect(printedOf(ran, 'login')).toBe(
      [
        `  FAIL  login        the server asks ${user} for a password, and none is set`,
        '        Put it into DATABASE_URL, POSTGRES_PASSWORD or the file that ' +
          'POSTGRES_PASSWORD_FILE names, or this line into the file that PGPASSFILE names:',
        `            ${primary}:${database.name}:${user}:...`,
      ].join('\n'),
    );
  });

  it('tells a missing database', async () => {
    const ran = await doctor({ ...onlyPrimary(), POSTGRES_DB: 'no such' });
    expect(printedOf(ran, 'login')).toBe(
      [
        '  FAIL  login        there is no database no such',
        '        Make it as an administrator, then make its tables. PostgreSQL 15 and 16 have no ' +
          'locale_provider builtin: leave it and builtin_locale out there.',
        `            create database "no such" encoding 'UTF8' template template0 ` +
          `locale_provider builtin builtin_locale 'C.UTF-8' lc_collate 'C' lc_ctype 'C.UTF-8';`,
        `            STOWAGE_ADMIN_URL='postgres://<owner>:...@${primary}/no%20such' ` +
          'stowage migrate up',
      ].join('\n'),
    );
  });

  it('tells a missing role, where an administrator may be asked', async () => {
    const ran = await doctor({ ...adminUrl(), POSTGRES_USER: 'nobody' });
    expect(printedOf(ran, 'login')).toBe(
      [
        '  FAIL  login        there is no role nobody',
        '        Make it, as an administrator:',
        "            create role nobody login password '...' in role stowage_service;",
      ].join('\n'),
    );
    const alone = await doctor({ ...onlyPrimary(), POSTGRES_USER: 'nobody' });
    expect(printedOf(alone, 'login')).toMatch(
      /there is no such role: PostgreSQL does not tell which\..*\n.*\n +create role nobody login /,
    );
  });

  it('tells a port where nothing listens', async () => {
    const port = await freePort();
    const ran = await doctor({ POSTGRES_HOST: `127.0.0.1:${port}` });
    expect(printedOf(ran, 'address')).toBe(
      [
        `  FAIL  address      nothing listens at 127.0.0.1:${port}: the connection is refused`,
        `        On that machine see that PostgreSQL runs, that its port is ${port} and that ` +
          'listen_addresses covers the address. In a container this address is the container ' +
          'itself: name the host of the database.',
        '            systemctl status postgresql',
        "            psql -c 'show port' -c 'show listen_addresses'",
      ].join('\n'),
    );
    expect(ran.text).toContain('the check address failed: tls, login, version,');
  });

  it('tells a server without TLS', async () => {
    const url = asLogin(`postgres://${primary}/d`, { user, password: patientPassword });
    const DATABASE_URL = `${url}?sslmode=require`;
    const ran = await doctor({ DATABASE_URL, POSTGRES_HOST: '' });
    expect(printedOf(ran, 'tls')).toBe(
      [
        '  FAIL  tls          the server offers no TLS, and sslmode asks for it',
        '        Turn TLS on in the server, with ssl_cert_file and ssl_key_file in place; or ' +
          'write sslmode=disable where nobody is between.',
        '            alter system set ssl = on;',
        '            select pg_reload_conf();',
      ].join('\n'),
    );
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

  it('tells a port where something else listens', async () => {
    const other = createServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    await once(other.listen(0, '127.0.0.1'), 'listening');
    const { port } = other.address() as AddressInfo;
    const ran = await doctor({ POSTGRES_HOST: `127.0.0.1:${port}` });
    other.close();
    expect(printedOf(ran, 'address')).toBe(
      [
        `  FAIL  address      what listens at 127.0.0.1:${port} does not speak ` +
          "PostgreSQL's protocol",
        '        Name the port of PostgreSQL itself, as the server shows it:',
        "            psql -c 'show port'",
      ].join('\n'),
    );
  });

  it('logs in by the password of a file, with a URL of SQLAlchemy', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'stowage-doctor-'));
    try {
      const [passFile, passwordFile] = [path.join(folder, 'pass'), path.join(folder, 'password')];
      await writeFile(passFile, `*:*:*:${user}:${patientPassword}\n`, { mode: 0o644 });
      await writeFile(passwordFile, `${patientPassword}\n`);
      const DATABASE_URL = ` "postgresql+asyncpg://${user}@${primary}/${database.name}"\n`;
      const without = { DATABASE_URL, POSTGRES_HOST: '', POSTGRES_PASSWORD: '' };
      const byFile = await doctor({ ...without, POSTGRES_PASSWORD_FILE: passwordFile });
      expect(printedOf(byFile, 'login')).toContain('  ok    login');
      expect(printedOf(byFile, 'settings')).toMatch(/password of POSTGRES_PASSWORD_FILE$/);
      const open = await doctor({ ...without, PGPASSFILE: passFile });
      expect(printedOf(open, 'settings')).toContain(`run chmod 600 ${passFile}\n`);
      await chmod(passFile, 0o600);
      const closed = await doctor({ ...without, PGPASSFILE: passFile });
      expect(printedOf(closed, 'login')).toContain('  ok    login');
      expect(printedOf(closed, 'settings')).toMatch(/password of PGPASSFILE$/);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('looks at the database though another setting is wrong, and not by wrong ones', async () => {
    const wrong = await doctor({ STOWAGE_STANDBYS: 'many' });
    expect(printedOf(wrong, 'settings')).toBe(
      [
        '  FAIL  settings     STOWAGE_STANDBYS: must be a whole number',
        '        Mend the setting; docs/config.md says what each one takes.',
      ].join('\n'),
    );
    expect(wrong.text).toContain(`${primary}, primary\n`);
    expect(wrong.exitCode).toBe(1);
    const DATABASE_URL = `jdbc:postgresql://${primary}/d?user=u&password=${patientPassword}`;
    const blind = await doctor({ DATABASE_URL, POSTGRES_HOST: '' });
    expect(printedOf(blind, 'settings')).toContain('leave jdbc: out');
    expect(blind.text).toContain('skip  database     the settings of the database are wrong');
  });

  it('prints one JSON document', async () => {
    const { text, exitCode } = await doctor({ POSTGRES_PASSWORD: 'not it' }, '--json');
    const document = JSON.parse(text);
    expect(document).toMatchObject({ exit_code: 1, summary: { failures: 2, warnings: 0 } });
    const [first] = document.nodes as { node: string; findings: Finding[] }[];
    expect(first?.node).toBe(primary);
    expect(first?.findings.slice(2, 4)).toEqual([
      {
        check: 'login',
        verdict: 'fail',
        seen: `the server refuses the password of the role ${user}`,
        remedy: { say: expect.any(String), run: [expect.any(String), expect.any(String)] },
      },
      { check: 'version', verdict: 'skipped', seen: 'the check login failed' },
    ]);
    expect(exitCode).toBe(1);
  });
});

const isRejected = (error: Error & { code?: string }): boolean => error.code === '28000';
