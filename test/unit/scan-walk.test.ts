import { execFileSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { countFiles, type WalkEntry, walk } from '../../src/cli/scan/walk.js';
import { makeTree, removeTree } from '../support/make-tree.js';
import { createRandom } from '../support/random.js';
import { asUnprivileged } from '../support/unprivileged.js';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'stowage-scan-'));
  await chmod(folder, 0o755);
});

afterEach(async () => {
  await removeTree(path.join(folder, 'tree'));
  await rm(folder, { recursive: true, force: true });
});

async function collect(root: string, prefix = ''): Promise<WalkEntry[]> {
  const entries: WalkEntry[] = [];
  for await (const entry of walk(Buffer.from(root), prefix)) entries.push(entry);
  return entries;
}

function keysOf(entries: readonly WalkEntry[]): string[] {
  return entries.flatMap((entry) => (entry.kind === 'file' ? [entry.key] : []));
}

function reasonsOf(entries: readonly WalkEntry[]): string[] {
  return entries.flatMap((entry) => (entry.kind === 'skip' ? [entry.skip.reason] : [])).sort();
}

const inByteOrder = (keys: Iterable<string>): string[] =>
  [...keys].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));

/** A tree whose names share beginnings and differ around the slash. */
async function growRandomTree(root: string, seed: number): Promise<string[]> {
  const random = createRandom(seed);
  const parts = ['a', 'b', '-', '.', '0', ' ', '!', 'é', '\uffee', '🎉', '~'];
  const keys = new Set<string>();
  for (let count = 0; count < 60; count += 1) {
    const name = (): string =>
      `n${Array.from({ length: random.below(3) }, () => random.pick(parts)).join('')}`;
    const key = Array.from({ length: 1 + random.below(4) }, name).join('/');
    const file = path.join(root, key);
    try {
      await mkdir(path.dirname(file), { recursive: true });
      await writeFile(file, key);
      keys.add(key);
    } catch {
      // The name is a file above, or a directory here: one key less.
    }
  }
  return [...keys];
}

describe('walk', () => {
  it('yields the keys of random trees in byte order', async () => {
    const firstSeed = Math.floor(Math.random() * 2 ** 31);
    for (let seed = firstSeed; seed < firstSeed + 12; seed += 1) {
      const root = path.join(folder, `${seed}`);
      await mkdir(root);
      const keys = await growRandomTree(root, seed);
      const walked = keysOf(await collect(root, 'p/'));
      expect(walked, `seed ${seed}`).toEqual(inByteOrder(keys.map((key) => `p/${key}`)));
    }
  });

  it('yields every file of a tree of odd names, and each other thing with its reason', async () => {
    const tree = await makeTree(path.join(folder, 'tree'), { files: 300, seed: 7 });
    const entries = await asUnprivileged(() => collect(tree.root));
    const keys = [...tree.files.keys(), ...tree.unreadableFiles];
    expect(keysOf(entries)).toEqual(inByteOrder(keys));
    expect(reasonsOf(entries)).toEqual([
      'key-too-long',
      'not-a-file',
      'not-utf8',
      'not-utf8',
      ...Array.from({ length: tree.links }, () => 'symbolic-link'),
      'unreadable',
    ]);
  });

  it('hides what is in a directory that cannot be read', async () => {
    const tree = await makeTree(path.join(folder, 'tree'), { files: 100, seed: 7 });
    const entries = await asUnprivileged(() => collect(tree.root, 'p/'));
    const hiding = entries.filter((entry) => entry.kind === 'skip' && entry.hides === 'prefix');
    expect(hiding).toMatchObject([{ key: 'p/unreadable directory/', skip: { detail: 'EACCES' } }]);
  });

  it('tells size and time in whole nanoseconds', async () => {
    const root = path.join(folder, 'one');
    await mkdir(root);
    execFileSync('touch', ['-d', '2001-02-03T04:05:06.123456789Z', path.join(root, 'file')]);
    await expect(collect(root)).resolves.toMatchObject([
      { key: 'file', size: 0n, mtimeNs: 981_173_106_123_456_789n },
    ]);
  });

  it('fails where the root cannot be read', async () => {
    await expect(collect(path.join(folder, 'nowhere'))).rejects.toMatchObject({ code: 'ENOENT' });
  });
});

describe('countFiles', () => {
  it('counts regular files and follows no link', async () => {
    const root = path.join(folder, 'counted');
    await mkdir(path.join(root, 'a/b'), { recursive: true });
    for (const name of ['one', 'a/two', 'a/b/three']) await writeFile(path.join(root, name), '');
    await symlink('..', path.join(root, 'a/up'));
    await symlink('one', path.join(root, 'link'));
    const { signal } = new AbortController();
    await expect(countFiles(Buffer.from(root), signal)).resolves.toBe(3);
  });
});
