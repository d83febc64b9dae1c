/** Objects gathered into batches, bounded by their number and their bytes. */

import type { ObjectInit } from './ingest.js';

/** A batch that is ready to be sent. */
export interface ReadyBatch {
  readonly objects: ObjectInit[];
  /** The last key in it: the ingest stands behind it. */
  readonly position: string;
}

/** Bytes of a batch: well below the 4 MiB of a message, and a commit of some milliseconds. */
const batchBytesMax = 512 * 1024;
/** Digests, times, tags and lengths of one object, rounded up. */
const bytesBesideNames = 256;

/** Gathers one batch after another. */
export class Batcher {
  readonly #objectsMax: number;
  #objects: ObjectInit[] = [];
  #bytes = 0;
  #position = '';

  constructor(objectsMax: number) {
    this.#objectsMax = objectsMax;
  }

  /** Adds an object; answers with the batch that is thereby full. */
  add(object: ObjectInit & { readonly objectKey: string }): ReadyBatch | undefined {
    const bytes = Buffer.byteLength(object.objectKey) + bytesBesideNames;
    const full = this.#bytes + bytes > batchBytesMax ? this.take() : undefined;
    this.#objects.push(object);
    this.#bytes += bytes;
    this.#position = object.objectKey;
    return full ?? (this.#objects.length >= this.#objectsMax ? this.take() : undefined);
  }

  /** Takes what is gathered; undefined where there is nothing. */
  take(): ReadyBatch | undefined {
    if (this.#objects.length === 0) return undefined;
    const ready: ReadyBatch = { objects: this.#objects, position: this.#position };
    this.#objects = [];
    this.#bytes = 0;
    return ready;
  }
}
