/**
 * Where an export goes: standard output, or a file that is there under its name only once it is
 * whole. An unfinished one is `FILE.part`, and `FILE.resume` beside it says how it goes on.
 */

import {
  type FileHandle,
  open,
  readFile,
  realpath,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import type { JsonValue } from '@bufbuild/protobuf';
import { type Output, print } from '../output.js';

/** How far an export is, at the end of a message. */
export interface Tally {
  /** Goes on behind it; empty before the first message. */
  readonly resumeToken: string;
  readonly items: number;
  /** Bytes of the items as they came, and their CRC-32. */
  readonly itemBytes: number;
  readonly crc32: number;
  /** Bytes of the lines. */
  readonly bytes: number;
}

/** The beginning. */
export const emptyTally: Tally = { resumeToken: '', items: 0, itemBytes: 0, crc32: 0, bytes: 0 };

/** Where the lines go. */
export interface Target {
  /** Writes lines and waits for a reader that is slower. */
  write(text: string): Promise<void>;
  /** Told of how far it is behind what was written; `isLast`: this run writes no more. */
  reached(tally: Tally, isLast: boolean): Promise<void>;
  /** It is whole. */
  finish(): Promise<void>;
  /** Gives up what it holds, and keeps what goes on. */
  close(): Promise<void>;
}

/** Lines for a reader, who keeps nothing. */
export function outputTarget(output: Output): Target {
  const nothing = async (): Promise<void> => undefined;
  return {
    write: (text) => print(output, text),
    reached: nothing,
    finish: nothing,
    close: nothing,
  };
}

/** What was asked for, by which the same command is known. */
export interface Asked {
  /** As it was given. */
  readonly given: string;
  /** What came of it then: so long ago is another time at each run. */
  readonly filter: JsonValue;
}

/** The file `FILE.resume`. */
interface Saved extends Asked, Tally {
  readonly format: 1;
}

/** A file, and how far it was filled before. */
export interface OpenedFile {
  readonly target: Target;
  readonly tally: Tally;
  readonly filter: JsonValue;
  /** Whether what is unfinished is kept. */
  readonly canGoOn: boolean;
}

/** How much time may be lost where the machine goes down. */
const saveIntervalMs = 1_000;

const isAbsent = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === 'ENOENT';

/** What is at a path, links followed; undefined: nothing. */
function found(path: string) {
  return stat(path).catch((error: unknown) => {
    if (isAbsent(error)) return undefined;
    throw error;
  });
}

async function savedOf(path: string): Promise<Saved | undefined> {
  try {
    const saved = JSON.parse(await readFile(path, 'utf8')) as Partial<Saved>;
    if (saved.format === 1) return saved as Saved;
  } catch (error) {
    if (isAbsent(error)) return undefined;
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new Error(`${path} is none of this command's: remove it, or add --restart`);
}

/**
 * Opens the file, to go on where the same command stopped before. A device or a pipe is written to
 * as it stands, for a file of its name would take its place; a link is followed.
 * @throws {Error} for a folder, where another command stopped there, or the system refuses
 */
export async function openExportFile(
  file: string,
  asked: Asked,
  isAnew: boolean,
): Promise<OpenedFile> {
  const there = await found(file);
  if (there?.isDirectory()) throw new Error(`${file} is a folder: name a file`);
  if (there === undefined) return openFile(file, asked, isAnew);
  if (there.isFile()) return openFile(await realpath(file), asked, isAnew);
  const target = deviceTarget(await open(file, 'w'));
  return { target, tally: emptyTally, filter: asked.filter, canGoOn: false };
}

async function openFile(file: string, asked: Asked, isAnew: boolean): Promise<OpenedFile> {
  const part = `${file}.part`;
  const resume = `${file}.resume`;
  const isPartThere = (await found(part)) !== undefined;
  const noted = isAnew ? undefined : await savedOf(resume);
  const saved = isPartThere ? noted : undefined;
  if (saved !== undefined && saved.given !== asked.given) {
    throw new Error(`${part} is an unfinished export of other events: add --restart to begin anew`);
  }
  const handle = await open(part, saved === undefined ? 'w' : 'r+');
  const from = saved ?? { ...emptyTally, ...asked };
  // What was written behind the last save comes again.
  await handle.truncate(from.bytes);
  const { given } = asked;
  const { filter } = from;
  const target = new FileTarget({ handle, file, part, resume, given, filter }, from.bytes);
  return { target, tally: from, filter, canGoOn: true };
}

/** Lines for a device or a pipe, which keeps nothing that could be gone on with. */
function deviceTarget(handle: FileHandle): Target {
  const nothing = async (): Promise<void> => undefined;
  return {
    write: (text) => handle.writeFile(text),
    reached: nothing,
    finish: nothing,
    close: () => handle.close(),
  };
}

interface Place extends Asked {
  readonly handle: FileHandle;
  readonly file: string;
  readonly part: string;
  readonly resume: string;
}

class FileTarget implements Target {
  readonly #place: Place;
  #at: number;
  #savedMs = performance.now();

  constructor(place: Place, at: number) {
    this.#place = place;
    this.#at = at;
  }

  async write(text: string): Promise<void> {
    const bytes = Buffer.from(text);
    await this.#place.handle.write(bytes, 0, bytes.length, this.#at);
    this.#at += bytes.length;
  }

  async reached(tally: Tally, isLast: boolean): Promise<void> {
    if (tally.resumeToken === '') {
      // Nothing is there to go on with.
      if (isLast) await rm(this.#place.part, { force: true });
      return;
    }
    if (!isLast && performance.now() - this.#savedMs < saveIntervalMs) return;
    this.#savedMs = performance.now();
    const { handle, resume, given, filter } = this.#place;
    // What is said to be there is there: its bytes come to the disk before the word.
    await handle.datasync();
    const { resumeToken, items, itemBytes, crc32, bytes } = tally;
    const counted = { resumeToken, items, itemBytes, crc32, bytes };
    const saved: Saved = { format: 1, given, filter, ...counted };
    await writeFile(`${resume}.new`, JSON.stringify(saved), { mode: 0o600, flush: true });
    await rename(`${resume}.new`, resume);
  }

  async finish(): Promise<void> {
    const { handle, part, file, resume } = this.#place;
    await handle.sync();
    await rename(part, file);
    await rm(resume, { force: true });
  }

  close(): Promise<void> {
    return this.#place.handle.close();
  }
}
