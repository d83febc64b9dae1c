/**
 * `stowage doctor` and what is wrong with settings, login and database, on the cluster that all
 * tests share: each failure is made to happen, and what is printed is compared.
 */

import { once } from 'node:events';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Finding } from '../../src/postgres/diagnosis/finding.js';
import { asLogin, type TestConnection, type TestDatabase } from '../support/database.js';
import { type Patient, patientPassword, printedOf, sharedPatient } from '../support/doctor.js';
import { freePort } from '../support/free-port.js';

let patient: Patient;
let primary: string;
let user: string;
let database: TestDatabase;
let administrator: TestConnection;
let doctor: Patient['doctor'];

beforeAll(async () => {
  patient = await sharedPatient();
  ({ primary, user, database, administrator, doctor } = patient);
});

afterAll(async () => {
  await patient?.[Symbol.asyncDispose]();
});

const adminUrl = () => ({ STOWAGE_ADMIN_URL: database.url });
const onlyPrimary = () => ({ POSTGRES_HOST: primary });

describe('stowage doctor before the login', () => {
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
});

describe('stowage doctor at the login', () => {
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

describe('stowage doctor in a database', () => {
  it('tells a role that is no member, or may not log in', async () => {
    const name = `${user}_loner`;
    await administrator.query(`create role ${name} login password '${patientPassword}'`);
    const loner = await doctor({ ...onlyPrimary(), POSTGRES_USER: name });
    expect(printedOf(loner, 'role')).toBe(
      [
        `  FAIL  role         ${name} is no member of stowage_service`,
        '        Make it one, as an administrator:',
        `            grant stowage_service to ${name};`,
      ].join('\n'),
    );
    expect(printedOf(loner, 'schema')).toBe(
      [
        `  FAIL  schema       ${name} may not read the list of migrations`,
        '        Make it a member of stowage_service, as an administrator:',
        `            grant stowage_service to ${name};`,
      ].join('\n'),
    );
    await administrator.query(`alter role ${name} nologin`);
    const group = await doctor({ ...onlyPrimary(), ...adminUrl(), POSTGRES_USER: name });
    expect(printedOf(group, 'login')).toBe(
      [
        `  FAIL  login        the role ${name} may not log in`,
        '        Let it, as an administrator:',
        `            alter role ${name} login;`,
      ].join('\n'),
    );
    await administrator.query(`drop role ${name}`);
  });

  it('tells a server that is too old, and asks it nothing else', async () => {
    const [host, port] = primary.split(':');
    const old = createServer((caller) => {
      const line = connect(Number(port), host);
      caller.pipe(line).on('error', () => caller.destroy());
      line.on('data', (data: Buffer) => {
        const text = data.toString('latin1').replace(/1[5-8]00\d\d/g, '140010');
        caller.write(Buffer.from(text, 'latin1'));
      });
      line.on('close', () => caller.destroy());
    });
    await once(old.listen(0, '127.0.0.1'), 'listening');
    const address = `127.0.0.1:${(old.address() as AddressInfo).port}`;
    const ran = await doctor({ POSTGRES_HOST: address });
    old.close();
    expect(printedOf(ran, 'version')).toMatch(
      /^ {2}FAIL {2}version {6}PostgreSQL .* is too old\n {8}Upgrade the server to PostgreSQL 15 /,
    );
    expect(ran.text).toContain('  skip  10 checks    the check version failed: role, schema,');
  });

  it('tells a database that is not made for every text', async () => {
    const name = `${database.name}_ascii`;
    await administrator.query(
      `create database ${name} encoding 'SQL_ASCII' template template0 locale_provider libc ` +
        "locale 'C'",
    );
    const ran = await doctor({ ...onlyPrimary(), POSTGRES_DB: name });
    const remedy = [
      '        Make a new database and move the data with pg_dump and pg_restore. PostgreSQL 15 ' +
        'and 16 have no locale_provider builtin: leave it and builtin_locale out there.',
      `            create database ${name}_utf8 encoding 'UTF8' template template0 ` +
        "locale_provider builtin builtin_locale 'C.UTF-8' lc_collate 'C' lc_ctype 'C.UTF-8';",
    ];
    expect(printedOf(ran, 'encoding').split('\n')).toEqual([
      "  FAIL  encoding     the database's encoding is SQL_ASCII, which cannot hold every name",
      ...remedy,
    ]);
    expect(printedOf(ran, 'ctype').split('\n')).toEqual([
      '  warn  ctype        the ctype is C: search finds words beyond ASCII badly or not at all',
      ...remedy,
    ]);
    await administrator.query(`drop database ${name} with (force)`);
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
