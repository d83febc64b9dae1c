/**
 * The digests of a file's content, and its size and time of that very content: a file that
 * changes while it is read is read again. Never blocks on what has become a pipe meanwhile.
 */

import { createHash, type Hash, hash } from 'node:crypto';
import { type BigIntStats, constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { fileErrorCode, type Skip } from './skips.js';
import type { WalkedFile } from './walk.js';

/** What a file's content is. */
export interface Digest {
  /** In lower-case hexadecimal. */
  readonly md5: string;
  /** In lower-case hexadecimal. */
  readonly sha256: string;
  /** Bytes. */
  readonly size: bigint;
  /** Nanoseconds since 1970. */
  readonly mtimeNs: bigint;
}

/** The digest, or why there is none. */
export type Digested =
  | { readonly kind: 'digest'; readonly digest: Digest }
  | { readonly kind: 'skip'; readonly skip: Skip };

/** How often a file that changes meanwhile is read. */
const attemptsMax = 3;
const bufferBytes = 256 * 1024;

// Absent on Windows, where neither links nor pipes are met this way.
const openFlags = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);

type Facts = Pick<BigIntStats, 'size' | 'mtimeNs'>;

/** Reads files one at a time through one buffer; as many digesters as files at once. */
export class Digester {
  readonly #buffer = Buffer.allocUnsafeSlow(bufferBytes);
  readonly #onBytes: (count: number) => void;

  /** `onBytes` is told how much was read, as it is read. */
  constructor(onBytes: (count: number) => void) {
    this.#onBytes = onBytes;
  }

  /**
   * Digests a file as the walk found it.
   *
   * @throws {Error} the signal's reason, once it is aborted
   */
  async digest(file: WalkedFile, signal: AbortSignal): Promise<Digested> {
    try {
      const handle = await open(file.path, openFlags);
      try {
        return await this.#digestStable(handle, file, signal);
      } finally {
        await handle.close();
      }
    } catch (error) {
      signal.throwIfAborted();
      return skipOf(file, fileErrorCode(error));
    }
  }

  async #digestStable(handle: FileHandle, file: WalkedFile, signal: AbortSignal) {
    let before: Facts = file;
    for (let attempt = 1; attempt <= attemptsMax; attempt += 1) {
      const digests = await this.#digestOnce(handle, before.size, signal);
      const after = await handle.stat({ bigint: true });
      if (!after.isFile()) return skipped(file, 'not-a-file');
      if (digests !== undefined && before.size === after.size && before.mtimeNs === after.mtimeNs) {
        const digest: Digest = { ...digests, size: after.size, mtimeNs: after.mtimeNs };
        return { kind: 'digest', digest } as const;
      }
      before = after;
    }
    return skipped(file, 'keeps-changing');
  }

  /** Undefined where the file ended before `size` bytes. */
  async #digestOnce(handle: FileHandle, size: bigint, signal: AbortSignal) {
    if (size <= BigInt(bufferBytes)) {
      const read = await this.#fill(handle, Number(size), 0);
      // One call for the whole content costs a third of two hash objects on small files.
      const content = this.#buffer.subarray(0, read);
      if (read < Number(size)) return undefined;
      return { md5: hash('md5', content), sha256: hash('sha256', content) };
    }
    const hashes: Hash[] = [createHash('md5'), createHash('sha256')];
    for (let position = 0n; position < size; ) {
      signal.throwIfAborted();
      const wanted = size - position < bufferBytes ? Number(size - position) : bufferBytes;
      const read = await this.#fill(handle, wanted, Number(position));
      if (read < wanted) return undefined;
      for (const one of hashes) one.update(this.#buffer.subarray(0, read));
      position += BigInt(read);
    }
    const [md5 = '', sha256 = ''] = hashes.map((one) => one.digest('hex'));
    return { md5, sha256 };
  }

  /** Reads until `length` bytes are there or the file ends; says how many there are. */
  async #fill(handle: FileHandle, length: number, position: number): Promise<number> {
    let filled = 0;
    while (filled < length) {
      const { bytesRead } = await handle.read(
        this.#buffer,
        filled,
        length - filled,
        position + filled,
      );
      if (bytesRead === 0) break;
      filled += bytesRead;
      this.#onBytes(bytesRead);
    }
    return filled;
  }
}

function skipped(file: WalkedFile, reason: Skip['reason'], detail?: string): Digested {
  const skip: Skip = { path: file.path, reason, ...(detail === undefined ? {} : { detail }) };
  return { kind: 'skip', skip };
}

function skipOf(file: WalkedFile, code: string): Digested {
  // Between the walk and the open the file went away, or became a link.
  if (code === 'ENOENT') return skipped(file, 'vanished');
  if (code === 'ELOOP' || code === 'EMLINK') return skipped(file, 'symbolic-link');
  // A socket refuses to be opened; a pipe opens, and has nothing to read.
  if (code === 'ENXIO') return skipped(file, 'not-a-file');
  return skipped(file, 'unreadable', code);
}
