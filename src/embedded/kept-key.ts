/**
 * A key that is made once and kept in a file, for what a cluster's owner encrypts. The file belongs
 * to whoever starts the cluster and not to the account that PostgreSQL runs as: what has the
 * database has not the key.
 */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { EmbeddedError } from './embedded-error.js';
import { exists, replaceFile } from './files.js';

const KEY_BYTES = 32;

/**
 * Reads the key in `file`, in Base64, or makes one; the cluster's folder must be ours, as it is
 * while the cluster runs.
 *
 * @throws {EmbeddedError} DATA_BROKEN when the file has no key
 */
export async function keptKey(file: string): Promise<Uint8Array> {
  if (!(await exists(file))) {
    await replaceFile(file, `${randomBytes(KEY_BYTES).toString('base64')}\n`, undefined);
  }
  const text = (await readFile(file, 'utf8')).trim();
  const key = Buffer.from(text, 'base64');
  if (key.length !== KEY_BYTES || key.toString('base64') !== text) {
    throw new EmbeddedError(
      'DATA_BROKEN',
      `${file} does not hold ${KEY_BYTES} bytes in Base64: restore it, or remove it for a new ` +
        'key, which reads nothing that the old one has encrypted',
    );
  }
  return key;
}
