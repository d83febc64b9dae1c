/** `stowage serve` that is told to read its settings again. */

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../../src/lib/wait.js';
import { sharedCluster } from '../support/cluster.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { type ServeChild, startServe } from '../support/serve-child.js';

describe('stowage serve at SIGHUP', () => {
  let database: TestDatabase;
  let server: ServeChild;
  let folder: string;

  const names = () => sharedCluster().nodes.map(({ host, port }) => `${host}:${port}`);
  const role = () => new URL(database.serviceUrl ?? '').username;
  const writeNodes = (text: string) => writeFile(path.join(folder, 'nodes'), text);
  const writePassword = (text: string) => writeFile(path.join(folder, 'password'), text);
  const untilSaid = (text: string) =>
    until(() => server.said().includes(text), { timeoutMs: 10_000, what: `it says ${text}` });
  const backends = async (port: number | undefined) => {
    const connection = await database.connect(database.url.replace(/:\d+\//, `:${port}/`));
    const rows = await connection.query<{ pid: number }>(
      'select pid from pg_stat_activity where usename = $1',
      [role()],
    );
    return rows.length;
  };

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'stowage-reload-'));
    database = await createTestDatabase(sharedCluster().nodes[0]?.url ?? '');
    const url = new URL(database.serviceUrl ?? '');
    await writeNodes(names()[0] ?? '');
    await writePassword(url.password);
    url.password = '';
    url.host = 'no-such-host.invalid';
    server = await startServe(url.href, {
      STOWAGE_NODES_FILE: path.join(folder, 'nodes'),
      POSTGRES_PASSWORD_FILE: path.join(folder, 'password'),
    });
  });

  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
    await database?.drop();
  });

  it('keeps what it has where the file is wrong, and says why', async () => {
    await writeNodes('not:a:node');
    server.hangUp();
    await untilSaid('settings are wrong and stay as they were');
    expect(server.said()).toContain('STOWAGE_NODES_FILE: each host must be host, host:port');
    expect(server.said()).toContain('"level":"error"');
    expect(await backends(sharedCluster().nodes[0]?.port)).toBeGreaterThan(0);
  });

  it('takes nodes and a rotated password, says what changed, and never the password', async () => {
    const [, ...standbys] = sharedCluster().nodes;
    for (const { port } of standbys) expect(await backends(port)).toBe(0);
    const connection = await database.connect();
    await connection.query(`alter role ${role()} password 'rotated-secret'`);
    await writePassword('rotated-secret\n');
    await writeNodes(`${names().join('\n')}\n`);
    server.hangUp();
    await untilSaid('settings read again');
    expect(server.said()).toContain(`"added":${JSON.stringify(names().slice(1))}`);
    expect(server.said()).toContain('"removed":[],"isPasswordChanged":true');
    expect(server.said()).not.toContain('rotated-secret');
    await until(
      async () => (await Promise.all(standbys.map(({ port }) => backends(port)))).every(Boolean),
      {
        timeoutMs: 10_000,
        what: 'it is logged in everywhere with the new password',
      },
    );
  });
});
