/**
 * A copy of the checkout that every user may read, for root to run tests as another user: the
 * checkout itself may be of mode 700. Files are linked where that shows the same to everybody.
 */
import { chmod, copyFile, link, mkdir, readdir, readlink, stat, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { isSystemError } from '../../src/embedded/embedded-error.js';

/** Copies a file or folder, readable for everybody; `skip` names entries to leave out. */
export async function copyForEverybody(
  from: string,
  to: string,
  skip: (name: string) => boolean,
): Promise<void> {
  if ((await stat(from)).isFile()) {
    await shareFile(from, to);
    return;
  }
  await mkdir(to);
  await chmod(to, 0o755);
  for (const entry of await readdir(from, { withFileTypes: true })) {
    if (entry.isSymbolicLink()) {
      await symlink(await readlink(join(from, entry.name)), join(to, entry.name));
    } else if (!skip(entry.name)) {
      await copyForEverybody(join(from, entry.name), join(to, entry.name), skip);
    }
  }
}

async function shareFile(from: string, to: string): Promise<void> {
  const { mode } = await stat(from);
  if ((mode & 0o004) !== 0) {
    try {
      await link(from, to);
      return;
    } catch (error) {
      // Another file system, or one without links: copied below.
      if (!isSystemError(error, 'EXDEV') && !isSystemError(error, 'EPERM')) {
        throw error;
      }
    }
  }
  await copyFile(from, to);
  await chmod(to, (mode & 0o100) === 0 ? 0o644 : 0o755);
}
