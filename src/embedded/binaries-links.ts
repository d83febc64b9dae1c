/**
 * The symbolic links between PostgreSQL's libraries. An npm package cannot carry links, so the
 * platform packages list theirs in `pg-symlinks.json` and make them in an install script, which
 * npm may be told not to run; without them no program finds its libraries.
 */
import { lstat, readFile, symlink } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { isSystemError } from './embedded-error.js';

interface Link {
  /** Path of the link below the native folder. */
  readonly path: string;
  /** What it points to, relative to the link's folder. */
  readonly target: string;
}

async function readLinks(nativeFolder: string): Promise<Link[]> {
  let text: string;
  try {
    text = await readFile(join(nativeFolder, 'pg-symlinks.json'), 'utf8');
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) {
      return [];
    }
    throw error;
  }
  const listed: unknown = JSON.parse(text);
  return Array.isArray(listed) ? listed.map(parseLink) : [];
}

function parseLink(listed: unknown): Link {
  const { source, target } = listed as { source: unknown; target: unknown };
  if (typeof source !== 'string' || typeof target !== 'string') {
    throw new Error(`pg-symlinks.json lists something that is no link: ${JSON.stringify(listed)}`);
  }
  const relative = posix.relative(posix.dirname(target), source);
  return { path: target.replace(/^native\//, ''), target: relative };
}

/** Lists the links that `nativeFolder` should have and has not, by their paths below it. */
export async function missingLinks(nativeFolder: string): Promise<string[]> {
  const links = await readLinks(nativeFolder);
  const found = await Promise.all(links.map((link) => isThere(join(nativeFolder, link.path))));
  return links.filter((_, index) => found[index] === false).map((link) => link.path);
}

/** Makes the links that are missing; those that are there stay as they are. */
export async function makeMissingLinks(nativeFolder: string): Promise<void> {
  for (const link of await readLinks(nativeFolder)) {
    const path = join(nativeFolder, link.path);
    if (!(await isThere(path))) {
      await symlink(link.target, path);
    }
  }
}

async function isThere(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) {
      return false;
    }
    throw error;
  }
}
