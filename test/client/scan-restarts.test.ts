/** Scans whose server is killed under them. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import type {
  IngestObjectsRequest,
  IngestObjectsResponse,
} from '../../gen/stowage/v1/storage_record_pb.js';
import { compareKeys } from '../../src/cli/scan/names.js';
import { runScan, type ScanResult } from '../../src/cli/scan/run.js';
import {
  type Client,
  createClient,
  createTransport,
  StorageService,
  type StowageTransport,
} from '../../src/client/index.js';
import { sharedCluster } from '../support/cluster.js';
import { createTestDatabase, type TestConnection, type TestDatabase } from '../support/database.js';
import { type MadeTree, makeTree, removeTree } from '../support/make-tree.js';
import { type ServeChild, startServe } from '../support/serve-child.js';

let database: TestDatabase;
let sql: TestConnection;
let server: ServeChild;
let transport: StowageTransport;
let folder: string;
let tree: MadeTree;

/** What the test scans into: each begins with nothing. */
let project: string;

beforeAll(async () => {
  database = await createTestDatabase(sharedCluster().nodes[0]?.url ?? '');
  sql = await database.connect();
  server = await startServe(database.serviceUrl ?? '');
  folder = await mkdtemp(path.join(tmpdir(), 'stowage-scan-'));
  const options = { files: 1_000, seed: 5, unrecordable: false };
  tree = await makeTree(path.join(folder, 'tree'), options);
});

afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
  await removeTree(path.join(folder, 'tree'));
  await rm(folder, { recursive: true, force: true });
  await database?.drop();
});

beforeEach(async ({ task }) => {
  project = `of-${task.id.replace(/\W/g, '-')}`;
  await sql.query('insert into projects (project_id, name) values ($1, $2)', [project, task.name]);
  transport = createTransport({ endpoints: server.grpc });
});

afterEach(() => {
  transport?.close();
});

type Storage = Client<typeof StorageService>;

/** The client, with every acknowledged position told before the scan sees it. */
function tapAcknowledgements(onAcknowledged: (position: string) => Promise<void>): Storage {
  const storage = createClient(StorageService, transport);
  async function* tap(
    answers: AsyncIterable<IngestObjectsResponse>,
  ): AsyncGenerator<IngestObjectsResponse> {
    for await (const answer of answers) {
      await onAcknowledged(answer.resumePosition);
      yield answer;
    }
  }
  return {
    ...storage,
    ingestObjects: (requests, options) =>
      tap(storage.ingestObjects(requests as AsyncIterable<IngestObjectsRequest>, options)),
  };
}

function scan(storage: Storage, stalledMsMax?: number): Promise<ScanResult> {
  return runScan(storage, {
    root: Buffer.from(tree.root),
    prefix: '',
    project,
    backend: 'local',
    checksum: false,
    delete: false,
    concurrency: 4,
    batchSizeMax: 25,
    stop: new AbortController().signal,
    ...(stalledMsMax === undefined ? {} : { stalledMsMax }),
  });
}

async function recordedKeys(): Promise<string[]> {
  const rows = await sql.query<{ object_key: string }>(
    'select object_key from storage_objects where project_id = $1 and revision = 1',
    [project],
  );
  return rows.map((row) => row.object_key).sort(compareKeys);
}

async function expectWhole(): Promise<void> {
  expect(await recordedKeys()).toEqual([...tree.files.keys()].sort(compareKeys));
  const counts = await sql.query<{ objects: string; versions: string }>(
    `select (select count(*) from storage_objects where project_id = $1) as objects,
            (select count(*) from storage_versions where project_id = $1) as versions`,
    [project],
  );
  const files = String(tree.files.size);
  expect(counts).toEqual([{ objects: files, versions: files }]);
}

it('completes a scan over two kills of the server, with nothing lost or doubled', async () => {
  let acknowledged = 0;
  const restarts: Promise<void>[] = [];
  const storage = tapAcknowledgements(async () => {
    acknowledged += 1;
    if (acknowledged % 15 === 0 && restarts.length < 2) {
      await server.kill();
      restarts.push(server.start());
    }
  });
  const result = await scan(storage);
  await Promise.all(restarts);
  expect(restarts).toHaveLength(2);
  expect(result.recorded).toEqual({ created: tree.files.size, updated: 0, unchanged: 0 });
  await expectWhole();
}, 90_000);

it('loses nothing acknowledged in a kill, and the next scan completes the tree', async () => {
  const positions: string[] = [];
  const storage = tapAcknowledgements(async (position) => {
    positions.push(position);
    if (positions.length === 20) await server.kill();
  });
  await expect(scan(storage, 500)).rejects.toMatchObject({ retry: 'same_request_id' });
  const kept = await recordedKeys();
  // Batches are acknowledged in order of their keys: the last position stands for all before it.
  const last = positions.at(-1) ?? '';
  const acknowledged = [...tree.files.keys()].filter((key) => compareKeys(key, last) <= 0);
  expect(acknowledged.length).toBeGreaterThanOrEqual(500);
  expect(kept).toEqual(expect.arrayContaining(acknowledged));
  await server.start();
  const next = await scan(createClient(StorageService, transport));
  expect(next.tally.unchanged).toBe(kept.length);
  expect(next.recorded.created).toBe(tree.files.size - kept.length);
  await expectWhole();
}, 90_000);
