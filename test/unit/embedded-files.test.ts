/** Files, folders, links and locks of the embedded cluster, without a server. */
import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  realpath,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { copyBinaries } from '../../src/embedded/binaries-copy.js';
import { makeMissingLinks, missingLinks } from '../../src/embedded/binaries-links.js';
import { locateDataFolder, openDataFolder } from '../../src/embedded/data-folder.js';
import { copyTree, giveTree, readOwned, replaceFile } from '../../src/embedded/files.js';
import { keptKey } from '../../src/embedded/kept-key.js';
import { acquireLock } from '../../src/embedded/lock.js';
import { listNodeFolders, readState, writeState } from '../../src/embedded/state.js';

let folder: string;

beforeEach(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'stowage-test-')));
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function makePackage(): Promise<string> {
  const native = join(folder, 'package', 'native');
  await mkdir(join(native, 'lib'), { recursive: true });
  await mkdir(join(native, 'bin'));
  await writeFile(join(folder, 'package', 'package.json'), '{"version":"18.4.0"}');
  await writeFile(join(native, 'bin', 'postgres'), '#!/bin/sh\n', { mode: 0o700 });
  await writeFile(join(native, 'lib', 'libpq.so.5.18'), 'library', { mode: 0o600 });
  const links = [{ source: 'native/lib/libpq.so.5.18', target: 'native/lib/libpq.so.5' }];
  await writeFile(join(native, 'pg-symlinks.json'), JSON.stringify(links));
  return native;
}

describe('links of the platform package', () => {
  it('are listed while missing and made once', async () => {
    const native = await makePackage();
    expect(await missingLinks(native)).toEqual(['lib/libpq.so.5']);
    await makeMissingLinks(native);
    await makeMissingLinks(native);
    expect(await missingLinks(native)).toEqual([]);
    expect(await readlink(join(native, 'lib', 'libpq.so.5'))).toBe('libpq.so.5.18');
  });

  it('are none where the package lists none', async () => {
    expect(await missingLinks(folder)).toEqual([]);
  });
});

describe('copyBinaries', () => {
  it('makes a copy that everybody can run, with its links, and uses it again', async () => {
    const copy = await copyBinaries(await makePackage(), folder);
    expect((await lstat(join(copy, 'bin', 'postgres'))).mode & 0o777).toBe(0o755);
    expect((await lstat(join(copy, 'lib', 'libpq.so.5.18'))).mode & 0o777).toBe(0o644);
    expect(await missingLinks(copy)).toEqual([]);
    const { ino } = await lstat(copy);
    expect(await copyBinaries(join(folder, 'package', 'native'), folder)).toBe(copy);
    expect((await lstat(copy)).ino).toBe(ino);
  });

  it('makes a copy again that has lost a file', async () => {
    const native = await makePackage();
    const copy = await copyBinaries(native, folder);
    await rm(join(copy, 'lib', 'libpq.so.5.18'));
    await copyBinaries(native, folder);
    expect(await readFile(join(copy, 'lib', 'libpq.so.5'), 'utf8')).toBe('library');
  });

  it('runs nothing from a folder that others may write or from a link', async () => {
    const native = await makePackage();
    const copy = await copyBinaries(native, folder);
    await chmod(copy, 0o777);
    const unsafe = { reason: 'FOLDER_UNSAFE', message: expect.stringContaining(copy) };
    await expect(copyBinaries(native, folder)).rejects.toMatchObject(unsafe);
    await rm(copy, { recursive: true });
    await symlink(native, copy);
    await expect(copyBinaries(native, folder)).rejects.toMatchObject(unsafe);
  });

  it('leaves one whole copy when several processes copy at once', async () => {
    const native = await makePackage();
    const copies = await Promise.all([1, 2, 3].map(() => copyBinaries(native, folder)));
    expect(new Set(copies).size).toBe(1);
    const left = (await readdir(folder)).filter((name) => name.startsWith('stowage-postgres-'));
    expect(left).toHaveLength(1);
  });
});

describe('replaceFile', () => {
  it('replaces a link instead of writing through it', async () => {
    const victim = join(folder, 'victim');
    await writeFile(victim, 'untouched');
    await symlink(victim, join(folder, 'file'));
    await replaceFile(join(folder, 'file'), 'text', undefined);
    expect(await readFile(victim, 'utf8')).toBe('untouched');
    expect(await readFile(join(folder, 'file'), 'utf8')).toBe('text');
    expect((await lstat(join(folder, 'file'))).mode & 0o777).toBe(0o600);
  });
});

describe('copyTree', () => {
  it('copies files and links and leaves out what it is told to', async () => {
    const native = await makePackage();
    await makeMissingLinks(native);
    const copy = join(folder, 'copy');
    await copyTree(native, copy, { skip: (path) => path === 'bin/postgres' });
    expect((await readdir(copy, { recursive: true })).sort()).toEqual([
      'bin',
      'lib',
      'lib/libpq.so.5',
      'lib/libpq.so.5.18',
      'pg-symlinks.json',
    ]);
    expect((await lstat(join(copy, 'lib'))).mode & 0o777).toBe(0o700);
  });

  it('refuses links where a copy must share nothing', async () => {
    const from = join(folder, 'from');
    await mkdir(from);
    await symlink('elsewhere', join(from, 'tablespace'));
    const copied = copyTree(from, join(folder, 'to'), { refusesLinks: true });
    await expect(copied).rejects.toMatchObject({ reason: 'FOLDER_UNSAFE' });
  });

  it('copies for an account only what that account owns, and gives it whole', async () => {
    const from = join(folder, 'from');
    await mkdir(join(from, 'below'), { recursive: true });
    await writeFile(join(from, 'below', 'file'), 'text');
    const { uid, gid } = await lstat(from);
    const owner = { name: 'owner', uid, gid };
    await copyTree(from, join(folder, 'to'), { ownedBy: owner });
    await giveTree(join(folder, 'to'), owner);
    expect(await readOwned(join(folder, 'to', 'below', 'file'), owner)).toBe('text');
    const other = { name: 'other', uid: uid + 1, gid };
    const copied = copyTree(from, join(folder, 'refused'), { ownedBy: other });
    await expect(copied).rejects.toMatchObject({ reason: 'FOLDER_UNSAFE' });
    await symlink('file', join(from, 'below', 'link'));
    await expect(readOwned(join(from, 'below', 'link'), owner)).rejects.toThrow('ELOOP');
  });
});

describe('acquireLock', () => {
  it('refuses a second holder by the pid of the first until it is released', async () => {
    const lock = await acquireLock(folder);
    await expect(acquireLock(folder)).rejects.toMatchObject({
      reason: 'DATA_LOCKED',
      message: expect.stringContaining(`process ${process.pid} `),
    });
    await lock.release();
    await (await acquireLock(folder)).release();
    expect(await readdir(folder)).toEqual([]);
  });

  it.each([
    ['of a dead process', '{"pid":4194305,"id":"x"}'],
    ['of an earlier process with our pid', `{"pid":${process.pid},"id":"x"}`],
    ['whose pid another process has since', `{"pid":${process.ppid},"startTicks":"1","id":"x"}`],
    ['that a full disk cut short', '{"pid":'],
  ])('takes over a lock %s', async (_, text) => {
    await writeFile(join(folder, 'lock'), text);
    const lock = await acquireLock(folder);
    await lock.release();
    expect(await readdir(folder)).toEqual([]);
  });

  it('gives a stale lock to exactly one of many that want it', async () => {
    await writeFile(join(folder, 'lock'), '{"pid":4194305,"id":"x"}');
    const results = await Promise.allSettled(Array.from({ length: 8 }, () => acquireLock(folder)));
    expect(results.filter((result) => result.status === 'fulfilled')).toHaveLength(1);
  });
});

describe('openDataFolder', () => {
  const nobody = { name: 'nobody', uid: 65_534, gid: 65_534 };

  it('puts an ordinary user’s data into the data directory, closed to others', async () => {
    const opened = await openDataFolder(join(folder, 'new'), undefined);
    expect(opened).toBe(join(folder, 'new', 'postgres'));
    expect((await lstat(opened)).mode & 0o777).toBe(0o700);
    expect(await openDataFolder(join(folder, 'new'), undefined)).toBe(opened);
  });

  it('refuses to start empty where the other kind of user has data', async () => {
    await openDataFolder(folder, undefined);
    const refused = { reason: 'DATA_BROKEN', message: expect.stringContaining('ordinary user') };
    await expect(openDataFolder(folder, nobody)).rejects.toMatchObject(refused);
    await rm(join(folder, 'postgres'), { recursive: true });
    await writeFile(join(folder, 'postgres-location'), '/var/lib/stowage/data-x\n');
    await expect(openDataFolder(folder, undefined)).rejects.toMatchObject(refused);
  });

  it('follows no pointer out of the system folder', async () => {
    await writeFile(join(folder, 'postgres-location'), '/var/lib/stowage/data-/../../elsewhere\n');
    const refused = { reason: 'FOLDER_UNSAFE' };
    await expect(openDataFolder(folder, nobody)).rejects.toMatchObject(refused);
    await expect(locateDataFolder(folder, nobody)).rejects.toMatchObject(refused);
  });
});

describe('cluster state', () => {
  async function makeNode(name: string, isStandby: boolean): Promise<void> {
    await mkdir(join(folder, name));
    await writeFile(join(folder, name, 'PG_VERSION'), '18\n');
    if (isStandby) {
      await writeFile(join(folder, name, 'standby.signal'), '');
    }
  }

  it('is read as it was written', async () => {
    await makeNode('b', false);
    const state = { primary: 'b', ports: { b: 20_001 } };
    await writeState(folder, state);
    expect(await readState(folder)).toEqual(state);
  });

  it('is nothing where no node has data', async () => {
    expect(await readState(folder)).toBe(undefined);
  });

  it('is made up from the one primary where the file is missing', async () => {
    await makeNode('a', true);
    await makeNode('c', false);
    await mkdir(join(folder, 'b.partial'));
    expect(await listNodeFolders(folder)).toEqual(['a', 'c']);
    expect(await readState(folder)).toEqual({ primary: 'c', ports: {} });
  });

  it('is refused rather than guessed between two primaries', async () => {
    await makeNode('a', false);
    await makeNode('b', false);
    await expect(readState(folder)).rejects.toMatchObject({ reason: 'DATA_BROKEN' });
  });

  it('is refused where only standbys are left or the primary is gone', async () => {
    await makeNode('b', true);
    await expect(readState(folder)).rejects.toMatchObject({ reason: 'DATA_BROKEN' });
    await writeState(folder, { primary: 'a', ports: {} });
    await expect(readState(folder)).rejects.toMatchObject({ reason: 'DATA_BROKEN' });
  });

  it('is refused with its path where the file is no state', async () => {
    await writeFile(join(folder, 'cluster.json'), '{"primary":');
    await expect(readState(folder)).rejects.toMatchObject({
      reason: 'DATA_BROKEN',
      message: expect.stringContaining('cluster.json'),
    });
  });
});

describe('keptKey', () => {
  it('makes a key once, and keeps it from others', async () => {
    const file = join(folder, 'key');
    const key = await keptKey(file);
    expect(key).toHaveLength(32);
    expect(await keptKey(file)).toEqual(key);
    expect((await lstat(file)).mode & 0o777).toBe(0o600);
    expect(await keptKey(join(folder, 'another'))).not.toEqual(key);
  });

  it.each(['', 'AAAA', `${'A'.repeat(42)}B=`, 'not Base64'])(
    'refuses a file that holds %j, and leaves it',
    async (text) => {
      const file = join(folder, 'key');
      await writeFile(file, text);
      await expect(keptKey(file)).rejects.toMatchObject({ reason: 'DATA_BROKEN' });
      expect(await readFile(file, 'utf8')).toBe(text);
    },
  );
});
