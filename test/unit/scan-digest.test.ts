import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { appendFileSync, lstatSync } from 'node:fs';
import { chmod, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Digester } from '../../src/cli/scan/digest.js';
import type { WalkedFile } from '../../src/cli/scan/walk.js';
import { asUnprivileged } from '../support/unprivileged.js';

let folder: string;
const never = new AbortController().signal;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'stowage-digest-'));
  await chmod(folder, 0o755);
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

function walked(file: string): WalkedFile {
  const { size, mtimeNs } = lstatSync(file, { bigint: true });
  return { kind: 'file', key: 'k', path: Buffer.from(file), size, mtimeNs };
}

const hexOf = (algorithm: string, bytes: Buffer): string =>
  createHash(algorithm).update(bytes).digest('hex');

describe('Digester', () => {
  it('agrees with the digests of the whole content for every size around its buffer', async () => {
    const digester = new Digester(() => undefined);
    for (const size of [0, 1, 262_143, 262_144, 262_145, 1_500_000]) {
      const file = path.join(folder, `${size}`);
      const content = Buffer.alloc(size, 'stowage');
      await writeFile(file, content);
      const digested = await digester.digest(walked(file), never);
      expect(digested).toMatchObject({
        digest: {
          md5: hexOf('md5', content),
          sha256: hexOf('sha256', content),
          size: BigInt(size),
          mtimeNs: walked(file).mtimeNs,
        },
      });
    }
  });

  it('digests what a file is by now when it changed since the walk', async () => {
    const file = path.join(folder, 'changed');
    await writeFile(file, 'before');
    const found = walked(file);
    await writeFile(file, 'afterwards');
    const digested = await new Digester(() => undefined).digest(found, never);
    expect(digested).toMatchObject({
      digest: { md5: hexOf('md5', Buffer.from('afterwards')), size: 10n },
    });
  });

  it('gives up a file that changes each time it is read', async () => {
    const file = path.join(folder, 'growing');
    await writeFile(file, 'x');
    const digester = new Digester(() => appendFileSync(file, 'x'));
    const digested = await digester.digest(walked(file), never);
    expect(digested).toMatchObject({ skip: { reason: 'keeps-changing' } });
  });

  it('does not wait for a writer where a file became a pipe', async () => {
    const file = path.join(folder, 'pipe');
    execFileSync('mkfifo', [file]);
    const digested = await new Digester(() => undefined).digest(walked(file), never);
    expect(digested).toMatchObject({ skip: { reason: 'not-a-file' } });
  });

  it('does not follow what became a link', async () => {
    await writeFile(path.join(folder, 'target'), 'secret');
    await symlink('target', path.join(folder, 'link'));
    const digester = new Digester(() => undefined);
    const digested = await digester.digest(walked(path.join(folder, 'link')), never);
    expect(digested).toMatchObject({ skip: { reason: 'symbolic-link' } });
  });

  it('tells what is gone from what cannot be read', async () => {
    const file = path.join(folder, 'closed');
    await writeFile(file, 'x', { mode: 0o000 });
    const found = walked(file);
    const digester = new Digester(() => undefined);
    const unreadable = await asUnprivileged(() => digester.digest(found, never));
    expect(unreadable).toMatchObject({ skip: { reason: 'unreadable', detail: 'EACCES' } });
    await rm(file);
    const gone = await digester.digest(found, never);
    expect(gone).toMatchObject({ skip: { reason: 'vanished' } });
  });

  it('stops within a large file when it is told to', async () => {
    const file = path.join(folder, 'large');
    await writeFile(file, Buffer.alloc(3_000_000));
    const stop = new AbortController();
    let bytes = 0;
    const digester = new Digester((count) => {
      bytes += count;
      stop.abort(new Error('stopped'));
    });
    await expect(digester.digest(walked(file), stop.signal)).rejects.toThrow('stopped');
    expect(bytes).toBeLessThan(3_000_000);
  });
});
