/**
 * The folder below which root keeps what the unprivileged account must reach: the programs and the
 * data. A checkout of mode 700 hides both from that account, and the system's temporary folder is
 * swept by cleaners and writable by everybody.
 */
import { chmod, mkdir } from 'node:fs/promises';
import { refuseUnsafeFolder } from './files.js';

/** Absolute path of root's folder. */
export const SYSTEM_FOLDER = '/var/lib/stowage';

/**
 * Makes root's folder if it is not there: owned by root, passable but not listable for others.
 *
 * @returns its path
 * @throws {EmbeddedError} FOLDER_UNSAFE when it belongs to another user
 */
export async function ensureSystemFolder(): Promise<string> {
  await mkdir(SYSTEM_FOLDER, { recursive: true, mode: 0o711 });
  await refuseUnsafeFolder(SYSTEM_FOLDER);
  await chmod(SYSTEM_FOLDER, 0o711);
  return SYSTEM_FOLDER;
}
