/**
 * A directory tree as a stream of entries in byte order of their keys, in memory for the
 * directories on the way to the present one. Links are not followed; nothing is opened but
 * directories. What cannot be looked at is told, never left out.
 */

import type { BigIntStats, Dirent } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';
import { joinPath, keyBytesMax, nameText, sortName } from './names.js';
import { fileErrorCode, type Hides, type Skip } from './skips.js';

/** A regular file as it was found. */
export interface WalkedFile {
  readonly kind: 'file';
  readonly key: string;
  readonly path: Buffer;
  /** Bytes. */
  readonly size: bigint;
  /** Time of the last change of content, in nanoseconds since 1970. */
  readonly mtimeNs: bigint;
}

/** Something that is not recorded. */
export type WalkedSkip = { readonly kind: 'skip'; readonly skip: Skip } & Hides;

/** What a walk yields. */
export type WalkEntry = WalkedFile | WalkedSkip;

interface Child {
  readonly name: Buffer;
  readonly sortName: Buffer;
  readonly type: 'file' | 'directory' | 'link' | 'other';
  /** Asked for ahead, so that the disk is never waited for one file at a time. */
  stats?: Promise<BigIntStats | string>;
}

/** A directory on the way; paths are put together late, for a directory may hold millions. */
interface Level {
  readonly directory: Buffer;
  /** What the keys in it begin with. */
  readonly prefix: string;
  readonly children: readonly Child[];
  next: number;
  statsAsked: number;
}

/** A child that is being looked at. */
interface Visit {
  readonly child: Child;
  readonly path: Buffer;
  /** Undefined where the name is not UTF-8. */
  readonly key: string | undefined;
}

/** Files whose facts are asked for ahead within a directory. */
const statsAheadMax = 64;

function childType(entry: Dirent<Buffer>): Child['type'] {
  if (entry.isFile()) return 'file';
  if (entry.isDirectory()) return 'directory';
  return entry.isSymbolicLink() ? 'link' : 'other';
}

function toChild(entry: Dirent<Buffer>): Child {
  const type = childType(entry);
  return { name: entry.name, sortName: sortName(entry.name, type === 'directory'), type };
}

async function readLevel(directory: Buffer, prefix: string): Promise<Level> {
  const entries = await readdir(directory, { withFileTypes: true, encoding: 'buffer' });
  const children = entries.map(toChild);
  children.sort((a, b) => Buffer.compare(a.sortName, b.sortName));
  return { directory, prefix, children, next: 0, statsAsked: 0 };
}

function askStats(level: Level): void {
  const end = Math.min(level.children.length, level.next + statsAheadMax);
  for (let index = Math.max(level.statsAsked, level.next); index < end; index += 1) {
    const child = level.children[index];
    if (child?.type === 'file') {
      const path = joinPath(level.directory, child.name);
      child.stats = lstat(path, { bigint: true }).catch(fileErrorCode);
    }
  }
  level.statsAsked = end;
}

function visit(level: Level, child: Child): Visit {
  const text = nameText(child.name);
  const key = text === undefined ? undefined : level.prefix + text;
  return { child, path: joinPath(level.directory, child.name), key };
}

function skipOf(visited: Visit, reason: Skip['reason'], hides: Hides, detail?: string): WalkedSkip {
  const skip: Skip = { path: visited.path, reason, ...(detail === undefined ? {} : { detail }) };
  return { kind: 'skip', skip, ...hides };
}

const nothing: Hides = { hides: 'nothing' };

/** The skip that name and type decide; undefined where there is none. */
function skipByName(visited: Visit): WalkedSkip | undefined {
  const { child, key } = visited;
  if (child.type === 'link') return skipOf(visited, 'symbolic-link', nothing);
  if (child.type === 'other') return skipOf(visited, 'not-a-file', nothing);
  if (key === undefined) return skipOf(visited, 'not-utf8', nothing);
  // What is in a directory has at least its key, a slash and a byte.
  const bytes = Buffer.byteLength(key) + (child.type === 'directory' ? 2 : 0);
  return bytes > keyBytesMax ? skipOf(visited, 'key-too-long', nothing) : undefined;
}

async function fileEntry(visited: Visit, key: string): Promise<WalkEntry> {
  const stats = await visited.child.stats;
  if (stats === undefined || typeof stats === 'string') {
    return stats === 'ENOENT'
      ? skipOf(visited, 'vanished', nothing)
      : skipOf(visited, 'unreadable', { hides: 'key', key }, stats);
  }
  if (stats.isSymbolicLink()) return skipOf(visited, 'symbolic-link', nothing);
  if (!stats.isFile()) return skipOf(visited, 'not-a-file', nothing);
  return { kind: 'file', key, path: visited.path, size: stats.size, mtimeNs: stats.mtimeNs };
}

/**
 * Walks the tree below `root`. Each key is `prefix` and the path below the root with slashes.
 * A directory that cannot be read is one skip that hides all keys below it: even where it has
 * vanished, because some file systems report a vanished file as a vanished directory.
 *
 * @throws {Error} the operating system's, where the root itself cannot be read
 */
export async function* walk(root: Buffer, prefix: string): AsyncGenerator<WalkEntry, void, void> {
  const levels = [await readLevel(root, prefix)];
  for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
    if (level.next >= level.statsAsked) askStats(level);
    const child = level.children[level.next];
    level.next += 1;
    if (child === undefined) {
      levels.pop();
      continue;
    }
    const visited = visit(level, child);
    const skip = skipByName(visited);
    if (skip !== undefined || visited.key === undefined) {
      if (skip !== undefined) yield skip;
    } else if (child.type === 'directory') {
      const key = `${visited.key}/`;
      const below = await readLevel(visited.path, key).catch(fileErrorCode);
      if (typeof below === 'string') {
        yield skipOf(visited, 'unreadable', { hides: 'prefix', key }, below);
      } else {
        levels.push(below);
      }
    } else {
      yield await fileEntry(visited, visited.key);
      delete child.stats;
    }
  }
}

/** What the operating system says where no file can be: the name may also be too long for it. */
const codesOfNothing = new Set(['ENOENT', 'ENOTDIR', 'ENAMETOOLONG']);

/**
 * Looks for the file of one key, as a walk of the tree at this moment would meet it: over real
 * directories only.
 */
export async function findFile(
  root: Buffer,
  prefix: string,
  key: string,
): Promise<WalkedFile | 'nothing' | 'unreadable'> {
  const names = key.slice(prefix.length).split('/');
  // Keys may come from elsewhere: no walk makes such a key, and it would lead out of the tree.
  if (names.some((name) => name === '' || name === '.' || name === '..')) return 'nothing';
  let path = root;
  for (const [depth, name] of names.entries()) {
    path = joinPath(path, Buffer.from(name));
    const stats = await lstat(path, { bigint: true }).catch(fileErrorCode);
    if (typeof stats === 'string') return codesOfNothing.has(stats) ? 'nothing' : 'unreadable';
    const isLast = depth === names.length - 1;
    if (isLast && stats.isFile()) {
      return { kind: 'file', key, path, size: stats.size, mtimeNs: stats.mtimeNs };
    }
    if (isLast || !stats.isDirectory()) return 'nothing';
  }
  return 'nothing';
}

/**
 * Counts what a walk will find, for the progress: names only, no facts of files, so that it runs
 * far ahead. What cannot be read counts as nothing. Stops early once the signal is aborted.
 */
export async function countFiles(root: Buffer, signal: AbortSignal): Promise<number> {
  let count = 0;
  const pending = [root];
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    if (signal.aborted) break;
    const directory = path;
    const entries = await readdir(directory, { withFileTypes: true, encoding: 'buffer' }).catch(
      (error: unknown) => {
        fileErrorCode(error);
        return [];
      },
    );
    for (const entry of entries) {
      if (entry.isFile()) count += 1;
      else if (entry.isDirectory()) pending.push(joinPath(directory, entry.name));
    }
  }
  return count;
}
