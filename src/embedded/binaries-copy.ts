/**
 * Copies PostgreSQL's programs once into a folder that everybody may read and only its owner may
 * write. The folder's name carries the version and a hash of the file list, so that another
 * version never meets it; a copy that is complete is used again, one that lost files (cleaners of
 * temporary folders take them one by one) is made again.
 */
import { createHash, randomBytes } from 'node:crypto';
import { lstat, readdir, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { makeMissingLinks, missingLinks } from './binaries-links.js';
import { isSystemError } from './embedded-error.js';
import { copyTree, exists, refuseUnsafeFolder, removeTree } from './files.js';

/**
 * Copies `nativeFolder` into a folder below `parent`, or finds the copy that is there.
 *
 * @returns the folder of the copy
 * @throws {EmbeddedError} FOLDER_UNSAFE when something of that name is not ours alone to write
 */
export async function copyBinaries(nativeFolder: string, parent: string): Promise<string> {
  const list = await listFiles(nativeFolder);
  const hash = createHash('sha256').update(list).digest('hex').slice(0, 12);
  const version = await readPackageVersion(nativeFolder);
  const uid = process.geteuid?.() ?? 0;
  const copy = join(parent, `stowage-postgres-${version}-${hash}-${uid}`);
  if (await exists(copy)) {
    await refuseUnsafeFolder(copy);
    if ((await listFiles(copy)) === list && (await missingLinks(copy)).length === 0) {
      return copy;
    }
    await discard(copy);
  }
  const fresh = `${copy}.${randomBytes(6).toString('hex')}`;
  try {
    await copyTree(nativeFolder, fresh, { isWorldReadable: true });
    await makeMissingLinks(fresh);
    await rename(fresh, copy);
  } catch (error) {
    await removeTree(fresh);
    // Another process may have finished the same copy first: then its copy serves us as well.
    if (!isSystemError(error, 'ENOTEMPTY') && !isSystemError(error, 'EEXIST')) {
      throw error;
    }
    await refuseUnsafeFolder(copy);
  }
  return copy;
}

async function discard(folder: string): Promise<void> {
  const aside = `${folder}.${randomBytes(6).toString('hex')}`;
  await rename(folder, aside);
  await removeTree(aside);
}

async function listFiles(folder: string): Promise<string> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const lines = await Promise.all(
    entries
      .filter((entry) => entry.isFile())
      .map(async (entry) => {
        const path = join(entry.parentPath, entry.name);
        return `${path.slice(folder.length)} ${(await lstat(path)).size}`;
      }),
  );
  return lines.sort().join('\n');
}

async function readPackageVersion(nativeFolder: string): Promise<string> {
  try {
    const text = await readFile(join(nativeFolder, '..', 'package.json'), 'utf8');
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed === 'object' && parsed !== null && 'version' in parsed) {
      return String(parsed.version).replace(/[^\w.-]/g, '');
    }
  } catch {
    // A folder of binaries that is no package has no version; the hash tells it apart.
  }
  return 'unversioned';
}
