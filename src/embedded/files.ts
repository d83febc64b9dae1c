/**
 * Files and folders that belong to the account PostgreSQL runs as. Every write makes a sibling and
 * renames it over the target: readers never see half a file, and a link planted in a folder of
 * that account is replaced, never followed, when root writes.
 */
import { randomBytes } from 'node:crypto';
import {
  chmod,
  constants,
  copyFile,
  lchown,
  lstat,
  mkdir,
  open,
  readdir,
  readlink,
  rename,
  rm,
  stat,
  symlink,
} from 'node:fs/promises';
import { join } from 'node:path';
import type { Account } from './account.js';
import { EmbeddedError, isSystemError } from './embedded-error.js';

/** Writes `text` to `file`, replacing it whole; mode 0600, owned by `account` if given. */
export async function replaceFile(
  file: string,
  text: string,
  account: Account | undefined,
): Promise<void> {
  const sibling = `${file}.${randomBytes(6).toString('hex')}`;
  const handle = await open(sibling, 'wx', 0o600);
  try {
    await handle.writeFile(text);
    if (account !== undefined) {
      await handle.chown(account.uid, account.gid);
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(sibling, file);
}

/** Makes a folder of mode 0700 owned by `account`; its parent must exist, it must not. */
export async function makeOwnedFolder(folder: string, account: Account | undefined): Promise<void> {
  await mkdir(folder, { mode: 0o700 });
  if (account !== undefined) {
    await lchown(folder, account.uid, account.gid);
  }
}

/** Says whether something is there under this path. */
export async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) {
      return false;
    }
    throw error;
  }
}

/**
 * Refuses a folder that another user owns or may write: in a shared temporary folder anybody could
 * have put programs there for us to run.
 *
 * @throws {EmbeddedError} FOLDER_UNSAFE
 */
export async function refuseUnsafeFolder(folder: string): Promise<void> {
  const uid = process.geteuid?.();
  const found = await lstat(folder);
  // Windows has no uids and gives each user a temporary folder of their own.
  const isOurs = uid === undefined || (found.uid === uid && (found.mode & 0o022) === 0);
  if (!found.isDirectory() || !isOurs) {
    throw new EmbeddedError(
      'FOLDER_UNSAFE',
      `${folder} is not a folder that only this user can write, so nothing is run from it; ` +
        'find out who made it and remove it',
    );
  }
}

/** Removes a folder and all below it; one that is not there is no error. */
export async function removeTree(folder: string): Promise<void> {
  // Retries: a process that is just ending may still create a last file in it.
  await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
}

/** What `copyTree` does besides copying. */
export interface CopyOptions {
  /** Owner of everything copied; default: whoever runs this. */
  readonly account?: Account | undefined;
  /** Names entries to leave out, by their path below the root with `/`; default: none. */
  readonly skip?: (relativePath: string) => boolean;
  /** Lets everybody read (0755 and 0644) instead of keeping modes and making folders 0700. */
  readonly isWorldReadable?: boolean;
  /** Passes over files that vanish while copying, as they do in a running server's folder. */
  readonly toleratesVanished?: boolean;
}

/**
 * Copies a folder tree; links are copied as links. The target must not exist.
 *
 * *Why not `fs.cp`*: it cannot set owners, needs several more system calls a file, and fails on a
 * file that vanishes. One file at a time: the file system is the limit, more at once took as long.
 */
export async function copyTree(from: string, to: string, options: CopyOptions): Promise<void> {
  await copyFolder(from, to, '', options);
}

async function copyFolder(
  from: string,
  to: string,
  relative: string,
  options: CopyOptions,
): Promise<void> {
  const { account } = options;
  await mkdir(to, { mode: 0o700 });
  if (options.isWorldReadable === true) {
    await chmod(to, 0o755);
  }
  if (account !== undefined) {
    await lchown(to, account.uid, account.gid);
  }
  const entries = await readdir(from, { withFileTypes: true });
  for (const entry of entries) {
    const path = relative === '' ? entry.name : `${relative}/${entry.name}`;
    const source = join(from, entry.name);
    const target = join(to, entry.name);
    if (options.skip?.(path) === true) {
      continue;
    }
    if (entry.isDirectory()) {
      await copyFolder(source, target, path, options);
    } else if (entry.isSymbolicLink()) {
      await symlink(await readlink(source), target);
    } else if (entry.isFile()) {
      await copyOneFile(source, target, options);
    }
  }
}

async function copyOneFile(source: string, target: string, options: CopyOptions): Promise<void> {
  try {
    await copyFile(source, target, constants.COPYFILE_FICLONE);
  } catch (error) {
    if (options.toleratesVanished === true && isSystemError(error, 'ENOENT')) {
      return;
    }
    throw error;
  }
  if (options.isWorldReadable === true) {
    const { mode } = await stat(target);
    await chmod(target, (mode & 0o100) === 0 ? 0o644 : 0o755);
  }
  if (options.account !== undefined) {
    await lchown(target, options.account.uid, options.account.gid);
  }
}
