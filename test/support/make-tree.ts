/**
 * Makes a directory tree of files with every kind of name and thing that a scan may meet, the same
 * for the same seed but for the times of its files.
 */

import { execFileSync } from 'node:child_process';
import { chmod, mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { createRandom, type Random } from './random.js';

/** What to make. */
export interface MakeTreeOptions {
  /** Regular files with keys that can be recorded; the odd ones are among them. */
  readonly files: number;
  readonly seed: number;
  /** Also what cannot be recorded: links, pipes, bad names, unreadable things; default true. */
  readonly unrecordable?: boolean;
}

/** What was made. */
export interface MadeTree {
  readonly root: string;
  /** Keys of the files that anyone may read, with their bytes. */
  readonly files: ReadonlyMap<string, Buffer>;
  /** Keys of files of mode 000; root reads them all the same. */
  readonly unreadableFiles: readonly string[];
  /** Keys of files in a directory of mode 000. */
  readonly filesInUnreadable: readonly string[];
  /** Links to a file, to a directory, to nothing and in a loop. */
  readonly links: number;
  /** Pipes. */
  readonly special: number;
  /** Names that are not UTF-8. */
  readonly notUtf8: number;
  /** Directories whose keys would be too long. */
  readonly tooLong: number;
}

/** Names that have been trouble somewhere. */
const oddNames = [
  '-rf',
  '--delete',
  ' leading and trailing ',
  'new\nline',
  'tab\tand\rreturn',
  'back\\slash\\n',
  '%2e%2e',
  '100%',
  'per%cent%s%d',
  'quote\'s "and" `ticks`',
  '$HOME;*?[a-z]{x}|&<>#!',
  '...',
  '.hidden',
  'bell\u0007escape\u001b[31mred',
  'right-to-left\u202egpj.exe',
  'zero\u200bwidth',
  'Grüße',
  'Gru\u0308ße',
  '日本語のファイル名.txt',
  'emoji 🎉.png',
  'private \ue000 use',
  'last \uffee of the plane',
  'a',
  'a-b',
  'a.b',
  'a0',
  'b',
  'CON',
  'x'.repeat(255),
] as const;

const extensions = ['.txt', '.json', '.js', '.png', '.html', '.unknown', ''] as const;
const filesPerDirectoryMax = 40;

function content(random: Random): Buffer {
  const kind = random.below(20);
  if (kind === 0) return Buffer.alloc(0);
  const bytes = kind === 1 ? 20_000 + random.below(60_000) : 1 + random.below(2_000);
  return Buffer.alloc(bytes, random.word(12));
}

class TreeMaker {
  readonly files = new Map<string, Buffer>();
  readonly #root: string;
  readonly #random: Random;

  constructor(root: string, random: Random) {
    this.#root = root;
    this.#random = random;
  }

  async write(key: string, bytes: Buffer): Promise<void> {
    await mkdir(path.dirname(path.join(this.#root, key)), { recursive: true });
    await writeFile(path.join(this.#root, key), bytes);
    this.files.set(key, bytes);
  }

  /** The odd names as files, and each as a directory with a file in it. */
  async odd(): Promise<void> {
    for (const name of oddNames) {
      await this.write(`odd/${name}`, content(this.#random));
      await this.write(`odd directories/${name}/file`, content(this.#random));
    }
    await this.write('a/b', content(this.#random));
    await this.write('a-b', content(this.#random));
    await this.write('a.b', content(this.#random));
    await this.write('empty', Buffer.alloc(0));
    await this.write('large.bin', Buffer.alloc(1_500_000, this.#random.word(1_000)));
    const longest = `${`${'d'.repeat(250)}/`.repeat(4)}`;
    await this.write(longest + 'k'.repeat(1024 - longest.length), content(this.#random));
  }

  async fill(count: number): Promise<void> {
    let directory = '';
    let left = 0;
    while (this.files.size < count) {
      if (left === 0) {
        left = 1 + this.#random.below(filesPerDirectoryMax);
        const depth = 1 + this.#random.below(4);
        directory = Array.from({ length: depth }, () => this.#random.word(1 + depth)).join('/');
      }
      left -= 1;
      const name = `${this.#random.word(10)}${this.#random.pick(extensions)}`;
      const key = `tree/${directory}.d/${name}`;
      if (!this.files.has(key)) await this.write(key, content(this.#random));
    }
  }
}

async function makeUnrecordable(root: string): Promise<Omit<MadeTree, 'root' | 'files'>> {
  const below = (name: string): string => path.join(root, name);
  await mkdir(below('links'));
  await symlink('../large.bin', below('links/to file'));
  await symlink('../odd', below('links/to directory'));
  await symlink('nowhere', below('links/to nothing'));
  await symlink('loop', below('links/loop'));
  await symlink('..', below('links/up'));
  execFileSync('mkfifo', [below('pipe')]);
  const latin1 = Buffer.concat([Buffer.from(`${root}/caf`), Buffer.from([0xe9])]);
  await writeFile(Buffer.concat([latin1, Buffer.from('.txt')]), 'x');
  await mkdir(Buffer.concat([latin1, Buffer.from(' directory')]));
  await writeFile(Buffer.concat([latin1, Buffer.from(' directory/inside')]), 'x');
  await mkdir(below(`long/${`${'l'.repeat(200)}/`.repeat(6)}`), { recursive: true });
  await writeFile(below(`long/${`${'l'.repeat(200)}/`.repeat(6)}file`), 'x');
  await writeFile(below('unreadable file'), 'x');
  await chmod(below('unreadable file'), 0o000);
  await mkdir(below('unreadable directory'));
  await writeFile(below('unreadable directory/a'), 'x');
  await writeFile(below('unreadable directory/b'), 'x');
  await chmod(below('unreadable directory'), 0o000);
  return {
    unreadableFiles: ['unreadable file'],
    filesInUnreadable: ['unreadable directory/a', 'unreadable directory/b'],
    links: 5,
    special: 1,
    notUtf8: 2,
    tooLong: 1,
  };
}

const nothingUnrecordable: Omit<MadeTree, 'root' | 'files'> = {
  unreadableFiles: [],
  filesInUnreadable: [],
  links: 0,
  special: 0,
  notUtf8: 0,
  tooLong: 0,
};

/** Makes the tree in `root`, which must not exist yet; only on systems with POSIX names. */
export async function makeTree(root: string, options: MakeTreeOptions): Promise<MadeTree> {
  // Readable for the unprivileged account that tests scan with.
  await mkdir(root, { mode: 0o755 });
  const maker = new TreeMaker(root, createRandom(options.seed));
  await maker.odd();
  await maker.fill(options.files);
  const rest = options.unrecordable === false ? nothingUnrecordable : await makeUnrecordable(root);
  return { root, files: maker.files, ...rest };
}

/** Removes a tree, unreadable directories too. */
export async function removeTree(root: string): Promise<void> {
  await chmod(path.join(root, 'unreadable directory'), 0o700).catch(() => undefined);
  await rm(root, { recursive: true, force: true });
}
