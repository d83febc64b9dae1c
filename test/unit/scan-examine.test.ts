/** What a scan does about records whose files its walk did not meet. */

import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Patience } from '../../src/cli/scan/backoff.js';
import { Examiner } from '../../src/cli/scan/examine.js';
import { asUnprivileged } from '../support/unprivileged.js';

let root: string;
let deleted: string[];
let examiner: Examiner;

beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'stowage-scan-'));
  await chmod(root, 0o755);
  await mkdir(path.join(root, 'real'));
  await writeFile(path.join(root, 'real', 'file'), 'content');
  await symlink('real', path.join(root, 'link'));
  deleted = [];
  const { signal } = new AbortController();
  const client = {
    deleteObject: async ({ objectKey = '' }) => {
      deleted.push(objectKey);
      return {} as never;
    },
  };
  examiner = new Examiner(client, {
    root: Buffer.from(root),
    prefix: 'p/',
    project: 'default',
    backend: 'local',
    checksum: false,
    delete: true,
    concurrency: 1,
    signal,
    patience: new Patience({ signal }),
    onBytes: () => undefined,
  });
});

afterEach(async () => {
  await chmod(path.join(root, 'real'), 0o755);
  await rm(root, { recursive: true, force: true });
});

const examine = (key: string) => {
  const recorded = { key, size: 7n, lastModifiedUs: 0n, revision: 3n };
  return examiner.examine({ kind: 'missing', recorded });
};

describe('a record that the walk met no file for', () => {
  it('is deleted where there is none, over a link and out of the tree neither', async () => {
    const outside = `p/../${path.basename(root)}/real/file`;
    const keys = ['p/gone', 'p/real/file/below', 'p/link/file', 'p/real', outside, 'p/real//file'];
    for (const key of keys) {
      expect(await examine(key)).toEqual({ kind: 'missing', key, isDeleted: true });
    }
    expect(deleted).toEqual(keys);
  });

  it('is not missing where its file was made after its directory was read', async () => {
    const found = await examine('p/real/file');
    expect(found).toMatchObject({ kind: 'record', object: { objectKey: 'p/real/file', size: 7n } });
    expect(deleted).toEqual([]);
  });

  it('is left alone where its place cannot be looked at', async () => {
    await chmod(path.join(root, 'real'), 0);
    const found = await asUnprivileged(() => examine('p/real/file'));
    expect(found).toEqual({ kind: 'hidden' });
    expect(deleted).toEqual([]);
  });
});
