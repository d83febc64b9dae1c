/**
 * What must work for an ordinary user: a cluster that starts, takes writes, gives them back on a
 * standby, crashes, restarts and ends with the process that started it, and the service on such a
 * cluster through the same. `npm run test:unprivileged` runs it, without a test runner, so that the
 * copy that root makes for another user stays small.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient, createTransport, StorageService } from '../../src/client/index.js';
import { locateDataFolder } from '../../src/embedded/data-folder.js';
import { type EmbeddedCluster, removeCluster, startCluster } from '../../src/embedded/index.js';
import { killPostmaster } from '../../src/embedded/postmaster.js';
import { isAlive } from '../../src/embedded/process-table.js';
import { until } from '../../src/lib/wait.js';
import { nativeFolderForTests } from '../support/postgres-version.js';
import { type DevServer, fromSources, startDev } from '../support/program.js';
import { startClusterChild } from '../support/start-child.js';

assert.notEqual(process.geteuid?.(), 0, 'this is to be run by an ordinary user');

// A path that every quoting on the way to PostgreSQL's files has to survive.
const dataDirectory = await mkdtemp(join(tmpdir(), "stowage-test-it's my 'data'-"));
let passed = 0;
try {
  let cluster = await step('starts a primary and two standbys', start);
  await step('writes on the primary and reads on each standby', () => writeAndRead(cluster));
  await step('keeps acknowledged writes through a crash', () => crashAndRestart(cluster));
  await step('stops in order', () => cluster.stop());
  cluster = await step('starts again from the same data', start);
  await step('still has what was written', () => readEverywhere(cluster));
  await cluster.stop();
  await step('stops the servers of a starter that was killed', killStarter);
  await serviceSteps();
  process.stdout.write(`${passed} passed, 0 failed\n`);
} finally {
  await removeCluster(dataDirectory);
  await rm(dataDirectory, { recursive: true, force: true });
}

async function step<T>(fact: string, act: () => Promise<T>): Promise<T> {
  const begun = performance.now();
  const result = await act();
  passed += 1;
  process.stdout.write(`ok ${fact} (${Math.round(performance.now() - begun)} ms)\n`);
  return result;
}

async function start(): Promise<EmbeddedCluster> {
  const nativeFolder = await nativeFolderForTests();
  return startCluster({ dataDirectory, nativeFolder, standbys: 2 });
}

async function writeAndRead(cluster: EmbeddedCluster): Promise<void> {
  await cluster.primary.query('create table written (value int)');
  await cluster.primary.query('insert into written values (1)');
  await readEverywhere(cluster);
}

async function readEverywhere(cluster: EmbeddedCluster): Promise<void> {
  await cluster.waitUntilCaughtUp();
  for (const node of cluster.nodes) {
    assert.deepEqual(await node.query('select value from written'), [{ value: 1 }]);
  }
}

async function crashAndRestart(cluster: EmbeddedCluster): Promise<void> {
  const { name } = cluster.primary;
  await cluster.crash(name);
  await assert.rejects(cluster.primary.query('select 1'), /ECONNREFUSED/);
  await cluster.restart(name);
  await readEverywhere(cluster);
}

async function killStarter(): Promise<void> {
  const child = await startClusterChild(dataDirectory);
  child.process.kill('SIGKILL');
  await child.ended;
  await until(async () => !(await Promise.all(child.report.servers.map(isAlive))).includes(true), {
    timeoutMs: 15_000,
    what: 'the servers have ended',
  });
}

async function serviceSteps(): Promise<void> {
  const first = await step('starts the service on a cluster of its own', startService);
  let last = first;
  try {
    await step('records an object through one door and reads it through the other', async () => {
      await record(first);
      await readBack(first);
    });
    await step('loses the service and all of its servers at once', () => crashService(first));
    last = await step('starts the service again on what is left', () => startService(first));
    await step('reads the object again', () => readBack(last));
  } finally {
    await last[Symbol.asyncDispose]();
  }
}

function startService(place?: DevServer): Promise<DevServer> {
  return startDev(place, fromSources);
}

async function record({ grpc }: DevServer): Promise<void> {
  const transport = createTransport({ endpoints: grpc });
  try {
    const object = { objectKey: 'kept', storageBackend: 'local', size: 5n };
    const { token } = await createClient(StorageService, transport).recordObject({ object });
    assert.notEqual(token, '');
  } finally {
    transport.close();
  }
}

async function readBack({ http }: DevServer): Promise<void> {
  const answer = await fetch(`http://${http}/stowage.v1.StorageService/GetObject`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ objectKey: 'kept', freshness: { strong: true } }),
  });
  assert.equal(answer.status, 200);
  const { object } = (await answer.json()) as { object: Record<string, unknown> };
  assert.equal(object['size'], '5');
  assert.equal(object['revision'], '1');
}

async function crashService({ process: service, dataDirectory: place }: DevServer): Promise<void> {
  const folder = await locateDataFolder(place, undefined);
  assert(folder !== undefined);
  const ended = once(service, 'exit');
  service.kill('SIGKILL');
  await Promise.all(['a', 'b'].map((name) => killPostmaster(join(folder, name))));
  await ended;
}
