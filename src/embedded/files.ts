/**
 * Files and folders that belong to the account PostgreSQL runs as. Every write makes a sibling and
 * renames it over the target: readers never see half a file, and a link planted in a folder of
 * that account is replaced, never followed, when root writes.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import {
  chmod,
  constants,
  copyFile,
  lchown,
  lstat,
  mkdir,
  open,
  readdir,
  readFile,
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
  /** Takes only files that this account owns; default: all. */
  readonly ownedBy?: Account | undefined;
  /** Names entries to leave out, by their path below the root with `/`; default: none. */
  readonly skip?: (relativePath: string) => boolean;
  /** Lets everybody read (0755 and 0644) instead of keeping modes and making folders 0700. */
  readonly isWorldReadable?: boolean;
  /** Passes over files that vanish while copying, as they do in a running server's folder. */
  readonly toleratesVanished?: boolean;
  /** Throws where there is a link; default: links are copied as links. */
  readonly refusesLinks?: boolean;
}

/**
 * Copies a folder tree. The target must not exist; it belongs to whoever runs this.
 *
 * *Why not `fs.cp`*: it needs several more system calls a file, and fails on a file that vanishes.
 * One file at a time: the file system is the limit, more at once took as long.
 *
 * @throws {EmbeddedError} FOLDER_UNSAFE for a file of another owner or a link, where asked
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
  await mkdir(to, { mode: 0o700 });
  if (options.isWorldReadable === true) {
    await chmod(to, 0o755);
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
      await copyLink(source, target, options);
    } else if (entry.isFile()) {
      await copyOneFile(source, target, options);
    }
  }
}

async function copyLink(source: string, target: string, options: CopyOptions): Promise<void> {
  if (options.refusesLinks === true) {
    throw new EmbeddedError('FOLDER_UNSAFE', `${source} is a link, and its copy would share it`);
  }
  await symlink(await readlink(source), target);
}

async function copyOneFile(source: string, target: string, options: CopyOptions): Promise<void> {
  try {
    if (options.ownedBy === undefined) {
      await copyContent(source, target);
    } else {
      await copyOwned(source, target, options.ownedBy);
    }
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
}

function copyContent(source: string, target: string): Promise<void> {
  return copyFile(source, target, constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL);
}

async function copyOwned(source: string, target: string, account: Account): Promise<void> {
  const descriptor = openOwned(source, account);
  try {
    // By the open file where the system has a name for it: the path may lead elsewhere by now.
    const opened = process.platform === 'linux' ? `/proc/self/fd/${descriptor}` : source;
    await copyContent(opened, target);
  } finally {
    closeSync(descriptor);
  }
}

/** Reads a file that `account`, if given, owns. */
export async function readOwned(file: string, account: Account | undefined): Promise<string> {
  if (account === undefined) {
    return readFile(file, 'utf8');
  }
  const descriptor = openOwned(file, account);
  try {
    return readFileSync(descriptor, 'utf8');
  } finally {
    closeSync(descriptor);
  }
}

/**
 * Opens a file for root to read in a folder of the account. The account may put a link there at any
 * moment, and what root then reads would end in a file of the account. Synchronous, because a new
 * cluster copies thousands of small files and each hop to another thread costs more than the call.
 */
function openOwned(file: string, account: Account): number {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
  const descriptor = openSync(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  const found = fstatSync(descriptor);
  if (!found.isFile() || found.uid !== account.uid) {
    closeSync(descriptor);
    throw new EmbeddedError('FOLDER_UNSAFE', `${file} is not a file of ${account.name}`);
  }
  return descriptor;
}

/**
 * Gives a folder and all below it to `account`, if given; the folder itself last, because until
 * then nobody else can enter it and put a link where an owner is being changed.
 */
export async function giveTree(folder: string, account: Account | undefined): Promise<void> {
  if (account === undefined) {
    return;
  }
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      await giveTree(path, account);
    } else {
      await lchown(path, account.uid, account.gid);
    }
  }
  await lchown(folder, account.uid, account.gid);
}
