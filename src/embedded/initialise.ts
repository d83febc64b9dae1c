/**
 * Makes the first node's data with initdb, and the first standbys as copies of it. Each folder is
 * made under another name and renamed when it is complete, so what has a node's name is whole.
 */
import { execFile } from 'node:child_process';
import { rename } from 'node:fs/promises';
import { join, parse } from 'node:path';
import { promisify } from 'node:util';
import { HBA_TEXT, SETTINGS_NAME, SUPERUSER } from './configuration.js';
import type { ClusterContext } from './context.js';
import { EmbeddedError } from './embedded-error.js';
import {
  copyTree,
  giveTree,
  makeOwnedFolder,
  readOwned,
  removeTree,
  replaceFile,
} from './files.js';
import { toolEnvironment } from './postmaster.js';

const INITDB_TIMEOUT_MS = 60_000;

/** Name of the folder in which a node's data is made. */
export function partialFolder(folder: string): string {
  return `${folder}.partial`;
}

/**
 * Makes the data of the first node.
 *
 * @throws {EmbeddedError} TOOL_FAILED with what initdb said
 */
export async function initialise(context: ClusterContext, folder: string): Promise<void> {
  const { account } = context;
  const partial = partialFolder(folder);
  const secret = `${partial}.password`;
  await removeTree(partial);
  await makeOwnedFolder(partial, account);
  await replaceFile(secret, `${context.password}\n`, account);
  try {
    await runInitdb(context, partial, secret);
  } finally {
    await removeTree(secret);
  }
  // Appended to the file rather than given as `initdb -c`, which version 15 does not know.
  const main = join(partial, 'postgresql.conf');
  const text = await readOwned(main, account);
  await replaceFile(main, `${text}\ninclude '${SETTINGS_NAME}'\n`, account);
  await replaceFile(join(partial, 'pg_hba.conf'), HBA_TEXT, account);
  await rename(partial, folder);
}

async function runInitdb(context: ClusterContext, folder: string, secret: string): Promise<void> {
  const { account, binaries } = context;
  const args = [
    `--pgdata=${folder}`,
    `--username=${SUPERUSER}`,
    `--pwfile=${secret}`,
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    '--no-instructions',
    ...localeOptions(binaries.majorVersion, process.platform),
    ...(context.fsync ? [] : ['--no-sync']),
  ];
  try {
    await promisify(execFile)(binaries.initdb, args, {
      cwd: parse(folder).root,
      timeout: INITDB_TIMEOUT_MS,
      ...toolEnvironment(),
      ...(account !== undefined && { uid: account.uid, gid: account.gid }),
    });
  } catch (cause) {
    const said = cause instanceof Error ? cause.message : String(cause);
    throw new EmbeddedError('TOOL_FAILED', `initdb failed: ${said}`, { cause });
  }
}

/**
 * Chooses initdb's locale options: byte order for comparisons and Unicode for letters. With locale
 * C for letters, text search and trigrams know no letter outside ASCII. Version 17 brought the
 * builtin provider, which is the same on every system; before it the C library's C.UTF-8 serves.
 */
export function localeOptions(majorVersion: number, platform: string): string[] {
  // Only Linux is sure to have C.UTF-8; the builtin provider does not lean on it elsewhere.
  const ctype = platform === 'linux' || majorVersion < 17 ? 'C.UTF-8' : 'C';
  const common = ['--locale=C', `--lc-ctype=${ctype}`];
  return majorVersion >= 17
    ? ['--locale-provider=builtin', '--builtin-locale=C.UTF-8', ...common]
    : common;
}

/** Copies the folder of a stopped primary that no standby has followed yet, as a standby. */
export async function copyAsStandby(
  context: ClusterContext,
  from: string,
  to: string,
): Promise<void> {
  const { account } = context;
  const partial = partialFolder(to);
  await removeTree(partial);
  await copyTree(from, partial, { ownedBy: account, refusesLinks: true });
  await replaceFile(join(partial, 'standby.signal'), '', undefined);
  await giveTree(partial, account);
  await rename(partial, to);
}
