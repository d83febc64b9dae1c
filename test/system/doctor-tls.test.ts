// `stowage doctor` and certificates: what is wrong with one, and a server that insists on TLS.
// Needs openssl.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { until } from '../../src/lib/wait.js';
import { startTestCluster, type TestCluster } from '../support/cluster.js';
import { createTestDatabase, openConnection } from '../support/database.js';
import { type DoctorRun, printedOf, runDoctor } from '../support/doctor.js';
import { turnTlsOn } from '../support/tls.js';

let test: TestCluster;
let folder: string;
let url: URL;
let port: number;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'stowage-tls-'));
  test = await startTestCluster({ standbys: 0 });
  const database = await createTestDatabase(test.cluster.superuserUrl());
  url = new URL(database.serviceUrl ?? '');
  port = test.cluster.primary.port;
  await turnTlsOn(test.cluster, folder);
  const isOn = async () => !printedOf(await doctor('?sslmode=require'), 'tls').includes('FAIL');
  await until(isOn, { timeoutMs: 10_000, what: 'the server speaks TLS' });
});

afterAll(async () => {
  await test?.stop();
  await rm(folder, { recursive: true, force: true });
});

async function doctor(query: string, host = '127.0.0.1'): Promise<DoctorRun> {
  const DATABASE_URL = `postgres://${url.username}:${url.password}@${host}:${port}${url.pathname}`;
  const ran = await runDoctor({ DATABASE_URL: DATABASE_URL + query });
  expect(ran.text).not.toContain(url.password);
  return ran;
}

const rootCert = () => `?sslmode=verify-full&sslrootcert=${folder}/certificate.pem`;

it('finds a server that is known, and one that is only encrypted', async () => {
  expect(printedOf(await doctor(rootCert()), 'tls')).toBe(
    '  ok    tls          encrypted, and the server is known',
  );
  expect(printedOf(await doctor('?sslmode=require'), 'tls')).toBe('  ok    tls          encrypted');
});

it('tells a certificate that nobody trusted has signed', async () => {
  expect(printedOf(await doctor('?sslmode=verify-full'), 'tls')).toBe(
    [
      "  FAIL  tls          nobody who is trusted here has signed the server's certificate " +
        '(DEPTH_ZERO_SELF_SIGNED_CERT)',
      '        Name the certificate of who signed it, as sslrootcert=<PEM file> in the URL. This ' +
        'shows what the server sends:',
      `            openssl s_client -starttls postgres -connect 127.0.0.1:${port} -showcerts ` +
        '</dev/null',
    ].join('\n'),
  );
});

it('tells a certificate that is made out to another name', async () => {
  expect(printedOf(await doctor(rootCert(), 'localhost'), 'tls')).toBe(
    [
      "  FAIL  tls          the server's certificate is made out to other names than localhost",
      '        Write a name of the certificate as the host, or have one made out to this host. ' +
        'This shows the names:',
      `            openssl s_client -starttls postgres -connect localhost:${port} </dev/null | ` +
        'openssl x509 -noout -ext subjectAltName',
    ].join('\n'),
  );
});

it('tells a server that insists on TLS', async () => {
  const file = join(test.cluster.primary.folder, 'pg_hba.conf');
  const before = await readFile(file, 'utf8');
  await writeFile(file, before.replace(/^host {4}all/m, 'hostssl all'));
  const admin = await openConnection(test.cluster.superuserUrl());
  await admin.query('select pg_reload_conf()');
  await admin.end();
  const refused = async () => printedOf(await doctor(''), 'login').includes('FAIL');
  await until(refused, { timeoutMs: 10_000, what: 'the line is read' });
  const [database, user] = [url.pathname.slice(1), url.username];
  expect(printedOf(await doctor(''), 'login')).toBe(
    [
      `  FAIL  login        pg_hba.conf of 127.0.0.1:${port} does not let ${user} into ` +
        `${database} without TLS`,
      '        The server offers TLS and may insist on it: try ?sslmode=verify-full in the URL. ' +
        "Else let it in: this line in pg_hba.conf, with this machine's address as the server " +
        'sees it, then reload:',
      `            host  ${database}  ${user}  127.0.0.1/32  scram-sha-256`,
      '            select pg_reload_conf();',
    ].join('\n'),
  );
  expect(printedOf(await doctor(rootCert()), 'login')).toContain('  ok ');
});
