/**
 * Where a cluster's data lies. For an ordinary user: `postgres` in the data directory. For root: a
 * folder below the system folder, because PostgreSQL then runs as an unprivileged account that a
 * checkout of mode 700 shuts out; a file in the data directory holds its path, so removing the
 * data directory starts afresh and moving it keeps the data.
 */
import { createHash } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readFile, realpath } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Account } from './account.js';
import { EmbeddedError, isSystemError } from './embedded-error.js';
import { exists, refuseUnsafeFolder, replaceFile } from './files.js';
import { ensureSystemFolder, SYSTEM_FOLDER } from './system-folder.js';

const POINTER_NAME = 'postgres-location';
const IN_PLACE_NAME = 'postgres';

/**
 * Finds the folder of the cluster's data, or makes an empty one.
 *
 * @returns its absolute path
 * @throws {EmbeddedError} FOLDER_UNSAFE when it belongs to another user, DATA_BROKEN when root made
 * it and an ordinary user starts it, or the other way round
 */
export async function openDataFolder(
  dataDirectory: string,
  account: Account | undefined,
): Promise<string> {
  await mkdir(dataDirectory, { recursive: true, mode: 0o700 });
  // One spelling for one folder: servers are recognised by the path on their command line.
  const real = await realpath(dataDirectory);
  await refuseOtherStarter(real, account);
  const found = await findDataFolder(real, account);
  if (found !== undefined) {
    await refuseUnsafeFolder(found);
    return found;
  }
  if (account === undefined) {
    const folder = join(real, IN_PLACE_NAME);
    await mkdir(folder, { mode: 0o700 });
    return folder;
  }
  // The hash lets an administrator see which folders came from one checkout; the random ending
  // keeps a data directory that was removed and made again from meeting its former data.
  const hash = createHash('sha256').update(real).digest('hex').slice(0, 12);
  const folder = await mkdtemp(join(await ensureSystemFolder(), `data-${hash}-`));
  await chmod(folder, 0o711);
  await replaceFile(join(real, POINTER_NAME), `${folder}\n`, undefined);
  return folder;
}

/** Refuses to start empty beside the data that the same data directory has for the other kind. */
async function refuseOtherStarter(real: string, account: Account | undefined): Promise<void> {
  const other = join(real, account === undefined ? POINTER_NAME : IN_PLACE_NAME);
  if (await exists(other)) {
    const [maker, starter] =
      account === undefined ? ['root', 'an ordinary user'] : ['an ordinary user', 'root'];
    throw new EmbeddedError(
      'DATA_BROKEN',
      `the database of ${real} was made by ${maker} and ${starter} is starting it: start it as ` +
        `before, choose another data directory, or remove ${other} to start with an empty one`,
    );
  }
}

async function findDataFolder(
  realDirectory: string,
  account: Account | undefined,
): Promise<string | undefined> {
  if (account === undefined) {
    const folder = join(realDirectory, IN_PLACE_NAME);
    return (await exists(folder)) ? folder : undefined;
  }
  const folder = await readPointer(realDirectory);
  return folder !== undefined && (await exists(folder)) ? folder : undefined;
}

async function readPointer(realDirectory: string): Promise<string | undefined> {
  const pointer = join(realDirectory, POINTER_NAME);
  let folder: string;
  try {
    folder = (await readFile(pointer, 'utf8')).trim();
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) {
      return undefined;
    }
    throw error;
  }
  if (dirname(folder) !== SYSTEM_FOLDER || !folder.startsWith(join(SYSTEM_FOLDER, 'data-'))) {
    throw new EmbeddedError(
      'FOLDER_UNSAFE',
      `${pointer} names ${folder}, which is not a data folder below ${SYSTEM_FOLDER}; remove the ` +
        'file to start with an empty database',
    );
  }
  return folder;
}

/**
 * Finds the folder of a cluster's data without making one.
 *
 * @returns undefined where there is none
 */
export async function locateDataFolder(
  dataDirectory: string,
  account: Account | undefined,
): Promise<string | undefined> {
  return (await exists(dataDirectory))
    ? findDataFolder(await realpath(dataDirectory), account)
    : undefined;
}
