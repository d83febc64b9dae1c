/** The end of an embedded cluster, however the process that started it ends. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { removeCluster, startCluster } from '../../src/embedded/index.js';
import { isAlive } from '../../src/embedded/process-table.js';
import { until } from '../../src/lib/wait.js';
import { nativeFolderForTests } from '../support/postgres-version.js';
import { quickFolder } from '../support/quick-folder.js';
import { startClusterChild } from '../support/start-child.js';

// One for the file: each test finds what the one before has left in order, and a new one would cost
// an initdb.
let dataDirectory: string;

beforeAll(async () => {
  dataDirectory = await mkdtemp(join(quickFolder(), 'stowage-test-'));
});

afterAll(async () => {
  await removeCluster(dataDirectory);
  await rm(dataDirectory, { recursive: true, force: true });
});

async function areGone(pids: readonly number[]): Promise<boolean> {
  return !(await Promise.all(pids.map(isAlive))).includes(true);
}

async function startAgain(): Promise<number> {
  const begun = performance.now();
  const nativeFolder = await nativeFolderForTests();
  await using cluster = await startCluster({
    dataDirectory,
    nativeFolder,
    standbys: 1,
    fsync: false,
  });
  const tookMs = performance.now() - begun;
  expect(await cluster.primary.query('select distinct value from kept')).toEqual([{ value: 1 }]);
  return tookMs;
}

async function readGuardianPid(folder: string): Promise<number> {
  const lock: unknown = JSON.parse(await readFile(join(folder, 'lock'), 'utf8'));
  return (lock as { guardian: { pid: number } }).guardian.pid;
}

describe('guardian', () => {
  it('stops the servers of a killed starter in time for a new start within 10 s', async () => {
    const child = await startClusterChild(dataDirectory);
    const guardian = await readGuardianPid(child.report.folder);
    child.process.kill('SIGKILL');
    await child.ended;
    expect(await startAgain()).toBeLessThan(10_000);
    expect(await isAlive(guardian)).toBe(false);
    expect(await areGone(child.report.servers)).toBe(true);
  });

  it('survives the Ctrl-C that makes its starter stop the servers in order', async () => {
    const child = await startClusterChild(dataDirectory);
    const guardian = await readGuardianPid(child.report.folder);
    process.kill(-(child.process.pid ?? 0), 'SIGINT');
    expect(await child.ended).toBe(0);
    expect(await areGone(child.report.servers)).toBe(true);
    await until(async () => !(await isAlive(guardian)), {
      timeoutMs: 10_000,
      what: 'the guardian has ended',
    });
    const log = await readFile(join(child.report.folder, 'a.log'), 'utf8');
    expect(log).not.toContain('not properly shut down');
    expect(await startAgain()).toBeLessThan(10_000);
  });

  it('stops nothing for a parent that died before it could start anything', async () => {
    const nativeFolder = await nativeFolderForTests();
    const options = { dataDirectory, nativeFolder, standbys: 1, fsync: false };
    await using cluster = await startCluster(options);
    const guardian = fileURLToPath(new URL('../../src/embedded/guardian.ts', import.meta.url));
    const pgCtl = join(nativeFolder, 'bin', 'pg_ctl');
    const args = ['--import', 'tsx', guardian, cluster.folder, pgCtl];
    const child = spawn(process.execPath, args, { stdio: ['pipe', 'inherit', 'inherit'] });
    child.stdin.end();
    expect(await once(child, 'exit')).toEqual([0, null]);
    expect(await cluster.primary.query('select 1 as one')).toEqual([{ one: 1 }]);
  });

  it('is not missed by the next start when it was killed as well', async () => {
    const child = await startClusterChild(dataDirectory);
    process.kill(await readGuardianPid(child.report.folder), 'SIGKILL');
    child.process.kill('SIGKILL');
    await child.ended;
    expect(await areGone(child.report.servers)).toBe(false);
    expect(await startAgain()).toBeLessThan(10_000);
    expect(await areGone(child.report.servers)).toBe(true);
  });
});
