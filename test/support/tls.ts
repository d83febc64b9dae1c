/** TLS for a test's cluster. Needs openssl. */

import { execFile } from 'node:child_process';
import { chmod, chown, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { EmbeddedCluster } from '../../src/embedded/index.js';
import { openConnection } from './database.js';

/**
 * Gives the primary a certificate of its own, made out to 127.0.0.1. Returns it as PEM; `folder`
 * keeps it as certificate.pem.
 */
export async function turnTlsOn(cluster: EmbeddedCluster, folder: string): Promise<string> {
  const [key, certificate] = [join(folder, 'key.pem'), join(folder, 'certificate.pem')];
  const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const files = ['-keyout', key, '-out', certificate];
  const run = promisify(execFile);
  await run('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', ...files, ...subject]);
  const admin = await openConnection(cluster.superuserUrl());
  const [backend] = await admin.query<{ pid: number }>('select pg_backend_pid() as pid');
  const { uid, gid } = await stat(`/proc/${backend?.pid}`);
  await chmod(folder, 0o755);
  await chown(key, uid, gid);
  await admin.query(`alter system set ssl_cert_file = '${certificate}'`);
  await admin.query(`alter system set ssl_key_file = '${key}'`);
  await admin.query('alter system set ssl = on');
  await admin.query('select pg_reload_conf()');
  await admin.end();
  return readFile(certificate, 'utf8');
}
