// `stowage versions`, `version`, `audit` and `hooks` as a user runs them, on a real service.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../../src/lib/wait.js';
import { type KeepingLine, runKeepingAt } from '../support/keeping-door.js';
import { linesOf } from '../support/object-commands.js';
import { mainFile } from '../support/program.js';
import { startService, type TestService } from '../support/service.js';
import type { Surroundings } from '../support/shell.js';

let service: TestService;
let folder: string;

beforeAll(async () => {
  const secretsKey = Buffer.alloc(32, 'k').toString('base64');
  service = await startService({ STOWAGE_SECRETS_KEY: secretsKey });
  folder = await mkdtemp(path.join(tmpdir(), 'stowage-keeping-'));
});

afterAll(async () => {
  await service?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

const stowage = (line: KeepingLine, surroundings?: Surroundings) =>
  runKeepingAt(service.grpcTarget, line, surroundings);

/** What a command prints that must succeed. */
async function said(line: KeepingLine, surroundings?: Surroundings): Promise<string> {
  const { exitCode, stdout, stderr } = await stowage(line, surroundings);
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  return stdout;
}

const jsonOf = (text: string) => linesOf(text).map((line) => JSON.parse(line));

/** An event whose metadata JavaScript has in another order than a jsonb. */
const event = (action: string, fields: object = {}) => ({
  ...{ action, userId: 'u1', username: 'john', objectKey: 'k', ipAddress: '192.168.1.7' },
  ...{ metadata: { b: 1, 10: 2, bytes: 5 }, ...fields },
});

describe('the commands on versions', () => {
  const key = 'restore';
  const lastModified = { seconds: BigInt(Date.UTC(2024, 2, 1) / 1000) };

  it('list, compare, annotate, restore, delete and prune those of any key', async () => {
    const { storage } = service.doors.gRPC;
    for (const [index, versionId] of ['v1', 'v2', 'v3'].entries()) {
      const object = {
        objectKey: key,
        versionId,
        etag: versionId,
        size: BigInt(index),
        lastModified,
      };
      await storage.recordObject({ object: { ...object, storageBackend: 's3' } });
    }
    const listed = linesOf(await said(['versions', key]));
    expect(listed).toEqual([
      'VERSION  LAST MODIFIED         SIZE  STATE   BY         ETAG',
      'v3       2024-03-01T00:00:00Z   2 B  latest  anonymous  v3',
      'v2       2024-03-01T00:00:00Z   1 B          anonymous  v2',
      'v1       2024-03-01T00:00:00Z   0 B          anonymous  v1',
    ]);
    const diff = linesOf(await said(['version', 'diff', key, 'v1', 'v2']));
    expect(diff.slice(3)).toEqual([
      'PATH  CHANGE',
      'etag  changed',
      '    - "v1"',
      '    + "v2"',
      'size  changed',
      '    - "0"',
      '    + "1"',
    ]);
    await said(['version', 'edit', key, 'v1', '--comment', 'as it came', '--tag', 'a=b=c']);
    const restored = await said(['version', 'restore', key, 'v1', '--comment', 'again']);
    expect(restored).toMatch(/^restore is at [\da-f-]{36}, restored from v1\n$/);
    const [latest, , , oldest] = jsonOf(await said(['versions', key, '--json']));
    expect(latest).toMatchObject({ isLatest: true, restoredFrom: 'v1', comment: 'again' });
    expect(oldest).toMatchObject({ comment: 'as it came', tags: { a: 'b=c' } });
    const deleted = await said(['version', 'delete', key, latest.versionId, '--yes']);
    expect(deleted).toContain('the latest of restore is v3');
    expect(await said(['version', 'prune', key, '--keep', '1', '--dry-run'])).toBe(
      '2 versions of 1 object would be deleted (1 B of content)\n',
    );
    const asked = { isTerminal: true, input: 'y\n' };
    const pruned = await stowage(['version', 'prune', key, '--keep', '1'], asked);
    expect(pruned.stdout).toBe('2 versions deleted (1 B of content)\n');
    expect(jsonOf(await said(['versions', key, '--json']))).toMatchObject([{ versionId: 'v3' }]);
    const only = await stowage(['version', 'delete', key, 'v3', '--yes']);
    expect(only).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('ONLY_VERSION') });
  });
});

describe('stowage audit', () => {
  it('appends, shows and adds up', async () => {
    await said(['audit', 'append', 'OPEN', '--user', 'u9', '--key', 'k9', '--error', 'not his']);
    await said(['audit', 'append', 'OPEN', '--user', 'u9', '--metadata', '{"bytes":2048}']);
    const tail = linesOf(await said(['audit', 'tail', '--user', 'u9', '--action', 'OPEN']));
    expect(tail.slice(1).map((line) => line.replace(/^\S* +/, ''))).toEqual([
      'u9         OPEN    failed  k9',
      'failed: not his',
      'u9         OPEN    ok',
    ]);
    const failed = await said(['audit', 'tail', '--user', 'u9', '--failed', '--json']);
    expect(jsonOf(failed)).toMatchObject([{ objectKey: 'k9', errorMessage: 'not his' }]);
    const activity = linesOf(await said(['audit', 'activity', 'u9']));
    expect(activity.at(-1)).toMatch(/^total +2 +1 +2\.0 KiB /);
  });

  it('follows what is committed in any order, and ends with 130 by Ctrl-C', async () => {
    const { audit } = service.doors.gRPC;
    const args = ['audit', 'tail', '-f', '-n', '1', '--user', 'f', '--json'];
    await audit.appendEvent({ event: event('FIRST', { userId: 'f' }) });
    const child = spawn(process.execPath, [mainFile, ...args, '--server', service.grpcTarget]);
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
    const actions = () => jsonOf(output).map(({ action }) => action);
    const has = (count: number) => () => actions().length >= count;
    await until(has(1), { timeoutMs: 20_000, what: 'the first event is shown' });
    const earlier = { seconds: BigInt(Math.floor(Date.now() / 1000)) - 5n };
    await audit.appendEvent({ event: event('SECOND', { userId: 'f' }) });
    await audit.appendEvent({ event: event('LATE', { userId: 'f', timestamp: earlier }) });
    await until(has(3), { timeoutMs: 20_000, what: 'both later events are shown' });
    child.kill('SIGINT');
    expect((await once(child, 'exit'))[0]).toBe(130);
    expect(actions()[0]).toBe('FIRST');
    expect(actions().slice(1).sort()).toEqual(['LATE', 'SECOND']);
  });

  it('exports all that is there, checked by the bytes that came', async () => {
    const { audit } = service.doors.gRPC;
    const events = Array.from({ length: 1_000 }, (_, index) => event(`A${index % 7}`));
    for (let round = 0; round < 3; round += 1) await audit.appendEvents({ events });
    const file = path.join(folder, 'events.ndjson');
    const line = ['audit', 'export', file, '--user', 'u1'] as const;
    expect((await stowage(line)).stdout).toMatch(/^3,000 events exported to /);
    const exported = jsonOf(await readFile(file, 'utf8'));
    expect(exported).toHaveLength(3_000);
    expect(exported[0]).toMatchObject({ userId: 'u1', metadata: { 10: 2, b: 1 } });
    expect(await readdir(folder)).toEqual(['events.ndjson']);
    const some = await stowage(['audit', 'export', '-', '--user', 'u1', '--action', 'A0']);
    expect(jsonOf(some.stdout).every(({ action }) => action === 'A0')).toBe(true);
  });

  it('shows the trail of a key in the order of time', async () => {
    const { storage } = service.doors.gRPC;
    await storage.recordObject({ object: { objectKey: 'trail', storageBackend: 's3' } });
    await said(['audit', 'append', 'DOWNLOAD', '--key', 'trail', '--username', 'john']);
    const trail = linesOf(await said(['audit', 'trail', 'trail']));
    expect(trail.slice(1).map((line) => line.replace(/^\S* +/, '').split(/ {2,}/)[0])).toEqual([
      'object.created',
      'version',
      'RECORD_OBJECT',
      'DOWNLOAD',
    ]);
  });
});

describe('stowage audit, of all projects', () => {
  const monthsAgo = (count: number) => {
    const time = new Date();
    time.setUTCDate(1);
    time.setUTCMonth(time.getUTCMonth() - count);
    return time;
  };
  const partitions = async () =>
    JSON.parse(await said(['audit', 'partitions', '--source', 'audit', '--json'])).partitions;

  it('tells what retention would remove, and removes it', async () => {
    const old = monthsAgo(20);
    await said(['audit', 'append', 'OLD', '--user', 'o', '--time', old.toISOString()]);
    const nameOf = (time: Date) => time.toISOString().slice(0, 7).replace('-', '_');
    const isOld = ({ name }: { name: string }) => name.includes(nameOf(old));
    const made = await partitions();
    expect(made.filter(isOld)).toHaveLength(1);
    const dry = await said(['audit', 'retain', '--days', '365', '--dry-run']);
    expect(dry).toContain('would be dropped: ');
    expect(await partitions()).toHaveLength(made.length);
    const done = await said(['audit', 'retain', '--days', '365', '--yes']);
    expect(done).toMatch(/^All audit events of all projects from before .* are gone:\n/m);
    expect((await partitions()).filter(isOld)).toEqual([]);
    expect((await stowage(['audit', 'tail', '--user', 'o'])).stderr).toBe('No event matches.\n');
  });

  it('says that no month is sealed', async () => {
    const ran = await stowage(['audit', 'verify']);
    expect(ran).toEqual({ exitCode: 0, stdout: '', stderr: 'No month of that time is sealed.\n' });
  });
});

describe('the commands on hooks', () => {
  it('register one with a secret that nobody sees again, and tell how it fared', async () => {
    const input = 'sixteen bytes or more\n';
    const create = ['hooks', 'create', 'erp', '--event', 'object.*', '--secret-file', '-'] as const;
    const created = await said(create, { input });
    expect(created).toContain('secret    is set');
    expect(await said(['hooks'])).toMatch(/^erp +enabled +object\.\*$/m);
    await said(['hooks', 'update', 'erp', '--filter', '{"a":1}', '--no-secret']);
    expect(await said(['hooks', 'get', 'erp'])).toContain('secret    none');
    await said(['hooks', 'disable', 'erp', '--if-revision', '2']);
    await said(['hooks', 'log', 'erp', 'A', '--took', '0.342', '--key', 'k']);
    await said(['hooks', 'log', 'erp', 'A', '--error', 'no']);
    const runs = linesOf(await said(['hooks', 'runs', 'erp']));
    expect(runs.slice(1).map((line) => line.replace(/^\S* +/, ''))).toEqual([
      'erp   A      ok      342 ms  k',
      'erp   A      failed',
      'failed: no',
    ]);
    const stats = linesOf(await said(['hooks', 'stats']));
    expect(stats[1]).toMatch(/^erp +A +2 +1 +342 ms /);
    expect(stats[2]).toMatch(/failed last at .*: no$/);
    expect(await said(['hooks', 'delete', 'erp'])).toBe('erp is deleted\n');
    const gone = await stowage(['hooks', 'get', 'erp']);
    expect(gone).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('HOOK_NOT_FOUND') });
  });
});
