// `stowage dev` dies without a word, and starts again on what it had acknowledged.
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MaintenanceState } from '../../gen/stowage/v1/admin_maintenance_pb.js';
import {
  createClient,
  createStowage,
  createTransport,
  StorageService,
} from '../../src/client/index.js';
import { until } from '../../src/lib/wait.js';
import { type DevPlace, type DevServer, mainFile, startDev } from '../support/program.js';

async function storageAt({ grpc }: DevPlace, work: (client: Storage) => Promise<void>) {
  const transport = createTransport({ endpoints: grpc });
  try {
    await work(createClient(StorageService, transport));
  } finally {
    transport.close();
  }
}

type Storage = ReturnType<typeof createClient<typeof StorageService>>;

const freshness = { demand: { case: 'strong', value: true } } as const;

/** Where the server says that its data lies. */
const keyFile = () => {
  const [, folder = ''] = /^ {2}data in (.+)$/m.exec(server.output()) ?? [];
  return join(folder, 'secrets-key');
};

// One server for the file, which the last test kills: a start of the program takes seconds.
let server: DevServer;

beforeAll(async () => {
  server = await startDev();
}, 120_000);

afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
});

describe('stowage dev', () => {
  it('prints how the database itself is reached, without its password', async () => {
    const command = () => /^ {2}(DATABASE_URL=.*) npx stowage doctor$/m.exec(server.output())?.[1];
    await until(() => command() !== undefined, { timeoutMs: 10_000, what: 'the command is said' });
    const stowage = async (args: string) => {
      const line = `${command()} node ${mainFile} ${args}`;
      return (await promisify(execFile)('sh', ['-c', line])).stdout;
    };
    expect(await stowage('index add metadata.owner')).toContain('is indexed');
    const [listed, examined] = await Promise.all([stowage('index list'), stowage('doctor')]);
    expect(listed).toContain('metadata.owner');
    expect(examined).toContain('password of PGPASSFILE');
    const [, passFile = ''] = /PGPASSFILE=(\S+)/.exec(server.output()) ?? [];
    const password = (await readFile(passFile, 'utf8')).trim().split(':').at(-1) ?? '';
    expect(password.length).toBeGreaterThan(20);
    expect(server.output()).not.toContain(password);
  });

  it('tells its version and its cluster by its health', async () => {
    const answer = await fetch(`http://${server.http}/health/database`);
    const { version } = JSON.parse(await readFile('package.json', 'utf8'));
    const report = (await answer.json()) as {
      server: object;
      nodes: { node: { state: string } }[];
    };
    expect(report.server).toMatchObject({ version });
    expect(report.nodes.map(({ node }) => node.state)).toEqual([
      'NODE_STATE_PRIMARY',
      'NODE_STATE_STANDBY',
    ]);
  });

  it('looks after its database as its owner', async () => {
    await using stowage = createStowage({ endpoints: server.grpc });
    const { admin } = stowage;
    const { job } = await admin.analyze({ table: 'projects' });
    const jobId = job?.jobId ?? '';
    const isDone = async () => {
      const { job: now } = await admin.getMaintenanceJob({ jobId });
      return now?.state === MaintenanceState.SUCCEEDED;
    };
    await until(isDone, { timeoutMs: 10_000, what: 'the table is analyzed' });
  });

  it('counts statements, and shows what sessions of others do', async () => {
    await using stowage = createStowage({ endpoints: server.grpc });
    const counted = await stowage.admin.getStatementStatistics({ limit: 1000 });
    expect(counted).toMatchObject({ available: true, advice: '' });
    expect(counted.statements.map(({ name }) => name)).toContain('probe');
    // The superuser's.
    const texts = counted.statements.map(({ text }) => text);
    const made = texts.filter((text) => /^create role/.test(text));
    expect(made.join()).toContain(`password '...'`);
  });

  it('makes a key for the secrets of hooks, which nobody else may read', async () => {
    await using stowage = createStowage({ endpoints: server.grpc });
    const hook = { hookName: 'signed', eventTypes: ['*'], secret: 'a secret of sixteen bytes' };
    expect((await stowage.hooks.createHook({ hook })).hook?.hasSecret).toBe(true);
    expect((await stat(keyFile())).mode & 0o777).toBe(0o600);
    const text = (await readFile(keyFile(), 'utf8')).trim();
    expect(Buffer.from(text, 'base64')).toHaveLength(32);
    expect(server.output()).not.toContain(text);
  });

  it('refuses a second one on the same data, and says who has it', async () => {
    const { dataDirectory } = server;
    const message = String(server.process.pid);
    await expect(startDev({ dataDirectory })).rejects.toThrow(message);
  });

  it('starts again within 10 s of SIGKILL with everything it acknowledged', async () => {
    await storageAt(server, async (storage) => {
      await storage.recordObject({ object: { objectKey: 'kept', storageBackend: 'local' } });
    });
    const ended = once(server.process, 'exit');
    server.process.kill('SIGKILL');
    await ended;
    const key = await readFile(keyFile(), 'utf8');
    const killedAt = performance.now();
    server = await startDev(server);
    expect(performance.now() - killedAt).toBeLessThan(10_000);
    await storageAt(server, async (storage) => {
      const { object } = await storage.getObject({ objectKey: 'kept', freshness });
      expect(object?.revision).toBe(1n);
    });
    expect(await readFile(keyFile(), 'utf8')).toBe(key);
  });
});
