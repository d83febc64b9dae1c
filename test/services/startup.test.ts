// A server that cannot use its database says why, and does not wait for what waiting cannot mend.

import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { serveCommand } from '../../src/cli/serve.js';
import { parseConfig } from '../../src/config.js';
import { until } from '../../src/lib/wait.js';
import { startServer } from '../../src/server/run.js';
import { onReloadEnded, type ReloadEnded } from '../../src/telemetry/events.js';
import { startLog } from '../../src/telemetry/log.js';
import { sharedCluster } from '../support/cluster.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';

describe('startServer', () => {
  let database: TestDatabase;
  let environment: Record<string, string>;

  beforeAll(async () => {
    const { nodes } = sharedCluster();
    database = await createTestDatabase(nodes[0]?.url ?? '');
    const service = new URL(database.serviceUrl ?? '');
    environment = {
      POSTGRES_HOST: nodes.map(({ host, port }) => `${host}:${port}`).join(','),
      POSTGRES_DB: database.name,
      POSTGRES_USER: service.username,
      POSTGRES_PASSWORD: service.password,
      STOWAGE_GRPC_ADDRESS: '127.0.0.1:0',
      STOWAGE_HTTP_ADDRESS: '127.0.0.1:0',
    };
  });

  afterAll(async () => {
    await database.drop();
  });

  it.each([
    ['a wrong password', { POSTGRES_PASSWORD: 'not it' }, /password authentication failed/],
    ['no such database', { POSTGRES_DB: 'no_such_database' }, /"no_such_database" does not exist/],
    [
      'a server without TLS',
      {
        DATABASE_URL: 'postgres://u:p@HOST/d?sslmode=require',
        POSTGRES_HOST: '',
        POSTGRES_DB: '',
        POSTGRES_USER: '',
        POSTGRES_PASSWORD: '',
      },
      /does not support SSL/,
    ],
  ])('fails at once for %s', async (_name, overrides, message) => {
    const [primary] = sharedCluster().nodes;
    const host = `${primary?.host}:${primary?.port}`;
    const settings = Object.entries({ ...environment, ...overrides });
    const config = parseConfig(
      Object.fromEntries(settings.map(([key, value]) => [key, value.replace('HOST', host)])),
    );
    await expect(startServer(config)).rejects.toThrow(message);
  });

  it('says what it waits for, and serves once it is there', async () => {
    const [primary] = sharedCluster().nodes;
    const way = createServer((socket) => {
      const onward = connect(primary?.port ?? 0, '127.0.0.1');
      socket.pipe(onward).pipe(socket);
      for (const each of [socket, onward]) each.on('error', () => socket.destroy());
    });
    way.listen(0, '127.0.0.1');
    await once(way, 'listening');
    const address = way.address();
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
    way.close();
    await once(way, 'close');
    const config = parseConfig({ ...environment, POSTGRES_HOST: `127.0.0.1:${port}` });
    const said: string[] = [];
    const server = await startServer(config, {
      onWaiting: (sentence) => {
        said.push(sentence);
        way.listen(port, '127.0.0.1');
      },
    });
    expect(said).toEqual([expect.stringMatching(/^waiting 60 s for the database: .*ECONNREFUSED/)]);
    await server.close();
    way.close();
  });

  it('reads its settings again behind a start that SIGHUP came into', async () => {
    const reloads: ReloadEnded[] = [];
    onTestFinished(onReloadEnded((event) => reloads.push(event)));
    const signals = ['SIGHUP', 'SIGTERM', 'SIGINT'] as const;
    const former = signals.map((signal) => process.listeners(signal));
    const serving = serveCommand({
      config: () => parseConfig(environment),
      startLog: () => startLog('silent'),
      version: '',
      print: () => undefined,
    }).parseAsync([], { from: 'user' });
    process.emit('SIGHUP', 'SIGHUP');
    await until(() => reloads.length > 0, { timeoutMs: 20_000, what: 'the settings are read' });
    process.emit('SIGTERM', 'SIGTERM');
    await serving;
    expect(reloads).toMatchObject([{ added: [], removed: [], error: undefined }]);
    for (const [index, signal] of signals.entries()) {
      for (const listener of process.listeners(signal)) {
        if (!former[index]?.includes(listener)) process.off(signal, listener);
      }
    }
  });
});
