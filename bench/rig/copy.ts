/**
 * COPY on a plain connection, the physical limit of rows out of and into PostgreSQL: bytes are
 * counted or sent as they are, nothing is made of them. Leans on internals of pg, as any COPY on it
 * must (pg-copy-streams does).
 */

import type { Socket } from 'node:net';
import type pg from 'pg';

/** What is used of a pg connection. */
interface Connection {
  readonly stream: Socket;
  query(text: string): void;
  endCopyFrom(): void;
}

/** What a COPY TO STDOUT gave. */
export interface Copied {
  readonly rows: number;
  readonly bytes: number;
}

/** ReadyForQuery, outside a transaction: the last message of a COPY, and no text data has a NUL. */
const READY = Buffer.from('5a0000000549', 'hex');
/** Holds CommandComplete and ReadyForQuery. */
const TAIL_BYTES = 64;
const COPY_DATA = 0x64;
const FRAME_BYTES = 64 * 1024;

/** Runs `COPY (query) TO STDOUT` and counts its bytes. @throws {Error} where it fails */
export function copyOut(client: pg.Client, query: string): Promise<Copied> {
  return new Promise((resolve, reject) => {
    client.query(new CopyOut(`copy (${query}) to stdout`, resolve, reject) as pg.Submittable);
  });
}

class CopyOut {
  readonly #text: string;
  readonly #resolve: (copied: Copied) => void;
  readonly #reject: (error: Error) => void;
  #bytes = 0;
  #tail = Buffer.alloc(0);

  constructor(text: string, resolve: (copied: Copied) => void, reject: (error: Error) => void) {
    this.#text = text;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  /** Takes the socket from pg's parser, which would make an object of every row. */
  submit(connection: unknown): void {
    const { stream } = connection as Connection;
    const parsers = stream.listeners('data') as ((chunk: Buffer) => void)[];
    stream.removeAllListeners('data');
    stream.on('data', (chunk: Buffer) => {
      this.#bytes += chunk.length;
      this.#tail = Buffer.concat([this.#tail, chunk.subarray(-TAIL_BYTES)]).subarray(-TAIL_BYTES);
      if (!this.#tail.subarray(-READY.length).equals(READY)) return;
      stream.removeAllListeners('data');
      for (const parser of parsers) {
        stream.on('data', parser);
        parser(READY);
      }
    });
    (connection as Connection).query(this.#text);
  }

  handleReadyForQuery(): void {
    const rows = /COPY (\d+)\0Z/.exec(this.#tail.toString('latin1'))?.[1];
    if (rows === undefined) this.#reject(new Error(`failed: ${this.#text}`));
    else this.#resolve({ rows: Number(rows), bytes: this.#bytes });
  }

  handleError(error: Error): void {
    this.#reject(error);
  }
}

/** Frames text of COPY for {@link copyIn}, so that this is not measured with it. */
export function frameCopyData(lines: readonly string[]): Buffer {
  const data = Buffer.from(lines.join(''));
  const frames: Buffer[] = [];
  for (let start = 0; start < data.length; start += FRAME_BYTES) {
    const part = data.subarray(start, start + FRAME_BYTES);
    const header = Buffer.alloc(5);
    header[0] = COPY_DATA;
    header.writeInt32BE(part.length + 4, 1);
    frames.push(header, part);
  }
  return Buffer.concat(frames);
}

/** Runs `COPY into FROM STDIN` with framed data. @throws {Error} where it fails */
export function copyIn(client: pg.Client, into: string, frames: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    client.query(new CopyIn(`copy ${into} from stdin`, frames, resolve, reject) as pg.Submittable);
  });
}

class CopyIn {
  readonly #text: string;
  readonly #frames: Buffer;
  readonly #resolve: () => void;
  readonly #reject: (error: Error) => void;
  #isComplete = false;

  constructor(text: string, frames: Buffer, resolve: () => void, reject: (error: Error) => void) {
    this.#text = text;
    this.#frames = frames;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  submit(connection: unknown): void {
    (connection as Connection).query(this.#text);
  }

  handleCopyInResponse(connection: unknown): void {
    const { stream } = connection as Connection;
    stream.write(this.#frames);
    (connection as Connection).endCopyFrom();
  }

  handleCommandComplete(): void {
    this.#isComplete = true;
  }

  /** Only then the connection may be used again. */
  handleReadyForQuery(): void {
    if (this.#isComplete) this.#resolve();
  }

  handleError(error: Error): void {
    this.#reject(error);
  }
}
