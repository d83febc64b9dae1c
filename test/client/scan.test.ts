/** Trees recorded in a real server on the shared cluster. */

import { hash } from 'node:crypto';
import { chmod, mkdtemp, readFile, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { StorageObject } from '../../gen/stowage/v1/storage_object_pb.js';
import { runScan, type ScanOptions, type ScanResult } from '../../src/cli/scan/run.js';
import {
  type Client,
  createClient,
  createTransport,
  ProjectService,
  StorageService,
  type StowageTransport,
} from '../../src/client/index.js';
import { sharedCluster } from '../support/cluster.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { type MadeTree, makeTree, removeTree } from '../support/make-tree.js';
import { type ServeChild, startServe } from '../support/serve-child.js';
import { asUnprivileged } from '../support/unprivileged.js';

let database: TestDatabase;
let server: ServeChild;
let transport: StowageTransport;
let storage: Client<typeof StorageService>;
let folder: string;
let project: string;
let projects = 0;

beforeAll(async () => {
  database = await createTestDatabase(sharedCluster().nodes[0]?.url ?? '');
  server = await startServe(database.serviceUrl ?? '');
  transport = createTransport({ endpoints: server.grpc });
  storage = createClient(StorageService, transport);
});

afterAll(async () => {
  transport?.close();
  await server?.[Symbol.asyncDispose]();
  await database?.drop();
});

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'stowage-scan-'));
  await chmod(folder, 0o755);
  projects += 1;
  project = `scan-${projects}`;
  await createClient(ProjectService, transport).createProject({ project: { project } });
});

afterEach(async () => {
  await removeTree(path.join(folder, 'tree'));
  await rm(folder, { recursive: true, force: true });
});

const below = (name: string): string => path.join(folder, 'tree', name);

function plantTree(files = 400): Promise<MadeTree> {
  return makeTree(path.join(folder, 'tree'), { files, seed: 11 });
}

interface Told {
  readonly skipped: string[];
  readonly missing: string[];
}

async function scan(options: Partial<ScanOptions> = {}): Promise<ScanResult & Told> {
  const told: Told = { skipped: [], missing: [] };
  const result = await runScan(storage, {
    root: Buffer.from(path.join(folder, 'tree')),
    prefix: '',
    project,
    backend: 'local',
    checksum: false,
    delete: false,
    concurrency: 4,
    batchSizeMax: 100,
    stop: new AbortController().signal,
    onSkip: ({ reason }) => {
      told.skipped.push(reason);
    },
    onMissing: (key) => {
      told.missing.push(key);
    },
    ...options,
  });
  return { ...result, ...told };
}

async function recordedObjects(prefix = ''): Promise<Map<string, StorageObject>> {
  const objects = new Map<string, StorageObject>();
  const freshness = { demand: { case: 'strong', value: true } } as const;
  for await (const part of storage.streamObjects({ project, prefix, freshness })) {
    for (const object of part.objects) objects.set(object.objectKey, object);
  }
  return objects;
}

describe('a scan of a tree of odd names', () => {
  it('records every file under its key, with its size and digests', async () => {
    const tree = await plantTree();
    const result = await scan({ prefix: 'p/' });
    const files = new Map(tree.files);
    // Whoever runs the tests as root may read these too.
    for (const key of [...tree.unreadableFiles, ...tree.filesInUnreadable]) {
      const content = await readFile(below(key)).catch(() => undefined);
      if (content !== undefined) files.set(key, content);
    }
    // With the prefix the longest key is two bytes too long.
    for (const key of files.keys()) if (Buffer.byteLength(key) > 1022) files.delete(key);
    const objects = await recordedObjects();
    expect([...objects.keys()].sort()).toEqual([...files.keys()].map((key) => `p/${key}`).sort());
    expect(result.recorded).toEqual({ created: files.size, updated: 0, unchanged: 0 });
    for (const [key, content] of files) {
      expect(objects.get(`p/${key}`)).toMatchObject({
        size: BigInt(content.length),
        etag: hash('md5', content),
        metadata: { sha256: hash('sha256', content) },
        storageBackend: 'local',
        owner: '',
      });
    }
    expect(objects.get('p/odd/emoji 🎉.png')?.contentType).toBe('image/png');
    expect(objects.get('p/odd/a')?.contentType).toBe('application/octet-stream');
  });

  it('finds all of it unchanged the next time, without reading it', async () => {
    await plantTree();
    const first = await scan();
    const second = await scan();
    expect(second.recorded).toEqual({ created: 0, updated: 0, unchanged: 0 });
    expect(second.tally).toMatchObject({
      files: first.tally.files,
      unchanged: first.tally.files,
      bytesDigested: 0,
      missing: 0,
    });
    const third = await scan({ checksum: true });
    expect(third.recorded).toEqual({ created: 0, updated: 0, unchanged: first.tally.files });
    expect(third.tally.bytesDigested).toBe(Number(first.tally.bytes));
  });

  it('tells what it skips, and leaves alone what it cannot look at', async () => {
    const tree = await plantTree();
    const keys = [...tree.unreadableFiles, ...tree.filesInUnreadable];
    const objects = keys.map((objectKey) => ({ objectKey, storageBackend: 'local', size: 9n }));
    const requests = objects.map((object) => ({ object }));
    await storage.batchRecordObjects({ project, requests });
    const result = await asUnprivileged(() => scan({ delete: true }));
    const count = (reason: string): number =>
      result.skipped.filter((skipped) => skipped === reason).length;
    expect(count('unreadable')).toBe(2);
    expect(count('symbolic-link')).toBe(tree.links);
    expect(count('not-utf8')).toBe(tree.notUtf8);
    expect(count('key-too-long')).toBe(tree.tooLong);
    expect(count('not-a-file')).toBe(tree.special);
    expect(result.missing).toEqual([]);
    expect(result.tally).toMatchObject({ hidden: 2, skippedByError: 5, deleted: 0 });
    const recorded = await recordedObjects('unreadable');
    expect([...recorded.keys()].sort()).toEqual(keys.sort());
  });
});

describe('a scan of a tree that changed', () => {
  it('records what changed and tells what is missing', async () => {
    await plantTree(100);
    await scan();
    await writeFile(below('a-b'), 'other content');
    await writeFile(below('added'), 'x');
    await utimes(below('a.b'), 1, 1.5);
    await rename(below('large.bin'), below('renamed.bin'));
    const result = await scan();
    expect(result.recorded).toEqual({ created: 2, updated: 2, unchanged: 0 });
    expect(result.missing).toEqual(['large.bin']);
    expect(result.tally.deleted).toBe(0);
    const objects = await recordedObjects();
    expect(objects.has('large.bin')).toBe(true);
    expect(objects.get('a.b')?.lastModified).toMatchObject({ seconds: 1n, nanos: 500_000_000 });
  });

  it('deletes the records of missing files when it is told to', async () => {
    await plantTree(100);
    await scan({ prefix: 'p/' });
    const other = { objectKey: 'p/elsewhere', storageBackend: 's3', size: 1n };
    await storage.recordObject({ project, object: other });
    await rm(below('odd'), { recursive: true });
    await symlink('empty', below('odd'));
    const before = await recordedObjects();
    const result = await scan({ prefix: 'p/', delete: true });
    const gone = [...before.keys()].filter((key) => key.startsWith('p/odd/'));
    expect(gone.length).toBeGreaterThan(20);
    expect(result.missing.sort()).toEqual(gone.sort());
    expect(result.tally.deleted).toBe(gone.length);
    const after = await recordedObjects();
    expect(after.size).toBe(before.size - gone.length);
    expect(after.has('p/elsewhere')).toBe(true);
  });
});

describe('a scan that fails', () => {
  it('says so where the project is not there', async () => {
    await plantTree(100);
    await expect(scan({ project: 'nobody-made-this' })).rejects.toMatchObject({
      reason: 'PROJECT_NOT_FOUND',
    });
  });

  it('sends what is digested when it is stopped, and is completed by the next', async () => {
    const tree = await plantTree(800);
    const stop = new AbortController();
    let tally: { readonly files: number } = { files: 0 };
    const stopped = await scan({
      batchSizeMax: 50,
      stop: stop.signal,
      onStart: (started) => {
        tally = started;
      },
      // The pipe comes behind the odd names, when less than a tenth of the tree is done.
      onSkip: ({ reason }) => {
        if (reason === 'not-a-file') stop.abort();
      },
    });
    expect(stopped.isInterrupted).toBe(true);
    expect(stopped.recorded.created).toBe(tally.files);
    expect(tally.files).toBeLessThan(tree.files.size);
    const next = await scan();
    expect(next.tally.unchanged).toBe(stopped.recorded.created);
    expect(next.recorded.created + stopped.recorded.created).toBe(next.tally.files);
  });
});
