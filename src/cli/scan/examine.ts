/**
 * What a scan does about one finding: nothing, digest it, or delete its record. Work on several
 * findings runs at once, a few digests and a few deletions at a time.
 */

import { randomUUID } from 'node:crypto';
import mime from 'mime';
import { type Client, type StorageService, toStowageError } from '../../client/index.js';
import { assertNever } from '../../lib/assert.js';
import type { Patience } from './backoff.js';
import { type Digest, Digester } from './digest.js';
import type { ObjectInit } from './ingest.js';
import type { Finding, RecordedFile } from './merge.js';
import { Workers } from './ordered.js';
import type { Skip } from './skips.js';
import { timestampOfNs, wholeMicros } from './times.js';
import { findFile, type WalkedFile } from './walk.js';

/** What became of a finding. */
export type Examined =
  | { readonly kind: 'unchanged'; readonly size: bigint }
  | {
      readonly kind: 'record';
      readonly size: bigint;
      readonly object: ObjectInit & { readonly objectKey: string };
    }
  | { readonly kind: 'skip'; readonly skip: Skip }
  | { readonly kind: 'missing'; readonly key: string; readonly isDeleted: boolean }
  | { readonly kind: 'hidden' };

/** How findings are treated. */
export interface ExamineOptions {
  /** Where the walk began, as the operating system has it. */
  readonly root: Buffer;
  /** What its keys begin with: empty, or with a slash at its end. */
  readonly prefix: string;
  readonly project: string;
  readonly backend: string;
  /** Digest even what has the recorded size and time. */
  readonly checksum: boolean;
  /** Delete the records of missing files. */
  readonly delete: boolean;
  /** Files that are digested at once. */
  readonly concurrency: number;
  /** Ends every piece of work. */
  readonly signal: AbortSignal;
  readonly patience: Patience;
  /** Told how much was read, as it is read. */
  readonly onBytes: (count: number) => void;
}

const deletionsAtOnce = 8;

function isAsRecorded(file: WalkedFile, recorded: RecordedFile): boolean {
  return recorded.size === file.size && recorded.lastModifiedUs === wholeMicros(file.mtimeNs);
}

/** Treats findings one by one; its methods may run at once. */
export class Examiner {
  readonly #client: Pick<Client<typeof StorageService>, 'deleteObject'>;
  readonly #options: ExamineOptions;
  readonly #digesters: Workers<Digester>;
  readonly #deleters: Workers<number>;

  constructor(
    client: Pick<Client<typeof StorageService>, 'deleteObject'>,
    options: ExamineOptions,
  ) {
    this.#client = client;
    this.#options = options;
    const digesters = Array.from(
      { length: options.concurrency },
      () => new Digester(options.onBytes),
    );
    this.#digesters = new Workers(digesters);
    this.#deleters = new Workers(Array.from({ length: deletionsAtOnce }, (_, number) => number));
  }

  /**
   * Does what the finding asks for.
   *
   * @throws {CallError} where a record cannot be deleted; the signal's reason, once aborted
   */
  async examine(finding: Finding): Promise<Examined> {
    switch (finding.kind) {
      case 'file':
        return this.#examineFile(finding.file, finding.recorded);
      case 'missing':
        return this.#examineMissing(finding.recorded);
      case 'skip':
        return finding;
      case 'hidden':
        return { kind: 'hidden' };
      default:
        return assertNever(finding);
    }
  }

  async #examineFile(file: WalkedFile, recorded: RecordedFile | undefined): Promise<Examined> {
    if (!this.#options.checksum && recorded !== undefined && isAsRecorded(file, recorded)) {
      return { kind: 'unchanged', size: file.size };
    }
    const digested = await this.#digesters.run((digester) =>
      digester.digest(file, this.#options.signal),
    );
    if (digested.kind === 'skip') return digested;
    const { digest } = digested;
    return { kind: 'record', size: digest.size, object: this.#toObject(file.key, digest) };
  }

  #toObject(key: string, digest: Digest): ObjectInit & { readonly objectKey: string } {
    return {
      objectKey: key,
      size: digest.size,
      contentType: mime.getType(key) ?? 'application/octet-stream',
      etag: digest.md5,
      lastModified: timestampOfNs(digest.mtimeNs),
      storageBackend: this.#options.backend,
      metadata: { sha256: digest.sha256 },
    };
  }

  /**
   * Looks again before a record counts as missing: a file that was made, and recorded, after the
   * walk had read its directory is met by the reading of the records alone.
   */
  async #examineMissing(recorded: RecordedFile): Promise<Examined> {
    const { root, prefix } = this.#options;
    const found = await findFile(root, prefix, recorded.key);
    if (found === 'unreadable') return { kind: 'hidden' };
    if (found !== 'nothing') return this.#examineFile(found, recorded);
    const isDeleted =
      this.#options.delete && (await this.#deleters.run(() => this.#delete(recorded)));
    return { kind: 'missing', key: recorded.key, isDeleted };
  }

  /** Whether the record is gone. One that changed since it was read stays: it was not meant. */
  async #delete(recorded: RecordedFile): Promise<boolean> {
    const { project, signal, patience } = this.#options;
    const requestId = randomUUID();
    const request = {
      project,
      requestId,
      objectKey: recorded.key,
      ifRevision: recorded.revision,
    };
    for (;;) {
      try {
        await this.#client.deleteObject(request, { signal });
        patience.progress();
        return true;
      } catch (thrown) {
        const { reason } = toStowageError(thrown);
        if (reason === 'OBJECT_NOT_FOUND') return true;
        if (reason === 'REVISION_MISMATCH') return false;
        await patience.waitOut(thrown);
      }
    }
  }
}
