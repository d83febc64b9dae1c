/**
 * Whatever the program writes, at its most talkative, and whatever it answers when things go wrong,
 * has none of its secrets in it, and none of the metadata that callers sent.
 */

import { spawn } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createStowage, type Stowage } from '../../src/client/index.js';
import { configTable } from '../../src/config.js';
import { until } from '../../src/lib/wait.js';
import { sharedCluster } from '../support/cluster.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { mainFile } from '../support/program.js';
import { type ServeChild, startServe } from '../support/serve-child.js';
import { failure } from '../support/service.js';
import { type Collector, startCollector } from '../support/trace-collector.js';

const secret = (name: string) => `${name}-${randomBytes(16).toString('hex')}`;

/** Forms in which a text may come out again. */
const formsOf = (text: string) => [text, encodeURIComponent(text), btoa(text), btoa(`:${text}`)];

/** Which of the texts stand in an output, in any form. */
function found(output: string, texts: readonly string[]): string[] {
  return texts.filter((text) => formsOf(text).some((form) => output.includes(form)));
}

describe('The output of a run', () => {
  const authToken = secret('auth');
  const badToken = secret('bad');
  const otlpKey = secret('otlp');
  const adminPassword = secret('admin');
  const otherPassword = secret('postgres');
  const hookSecret = secret('hook');
  // Base64 of 32 bytes.
  const secretsKey = `${randomBytes(21).toString('hex')}0=`;
  const metadata = secret('metadata');
  /** Told to its caller, as what is wrong; the log may not have it all the same. */
  const unreadable = secret('unreadable');
  const planted = secret('planted');
  let databasePassword: string;
  let database: TestDatabase;
  let collector: Collector;
  let environment: Record<string, string>;
  let server: ServeChild;
  let clients: Stowage[];
  /** What the program wrote and answered. */
  const outputs: string[] = [];

  /** Runs a command that ends by itself, with all secrets in its settings. */
  async function run(command: string, settings: Record<string, string>): Promise<void> {
    const child = spawn(process.execPath, [mainFile, ...command.split(' ')], {
      env: { ...process.env, ...environment, ...settings },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        output += chunk.toString();
      });
    }
    const [code] = await once(child, 'close');
    expect(code, output).toBe(1);
    expect(output).not.toBe('');
    outputs.push(output);
  }

  /** Sends what no client would. */
  async function post(contentType: string, body: string, token = authToken): Promise<void> {
    const response = await fetch(`http://${server.http}/stowage.v1.StorageService/RecordObject`, {
      method: 'POST',
      headers: { 'content-type': contentType, authorization: `Bearer ${token}` },
      body,
    });
    outputs.push(JSON.stringify([...response.headers]), await response.text());
  }

  async function fails(call: Promise<unknown>): Promise<void> {
    const error = await failure(call);
    outputs.push(JSON.stringify(error), String(error.stack), String(error.cause));
  }

  beforeAll(async () => {
    collector = await startCollector((headers) => `no ${headers['x-key']}`);
    database = await createTestDatabase(sharedCluster().nodes[0]?.url ?? '');
    const sql = await database.connect();
    // Slow enough to be told of, and refused in words that quote the row.
    await sql.query(
      `create function doze() returns trigger language plpgsql as
       $$ begin perform pg_sleep(0.005); return new; end $$`,
    );
    for (const table of ['storage_objects', 'hook_secrets']) {
      await sql.query(
        `create trigger doze before insert on ${table} for each row execute function doze()`,
      );
    }
    await sql.query(
      "alter table storage_objects add constraint refused check (object_key <> 'refused')",
    );
    databasePassword = new URL(database.serviceUrl ?? '').password;
    const adminUrl = new URL(database.url);
    adminUrl.password = adminPassword;
    environment = {
      DATABASE_URL: database.serviceUrl ?? '',
      STOWAGE_ADMIN_URL: adminUrl.href,
      POSTGRES_PASSWORD: otherPassword,
      STOWAGE_AUTH_TOKEN: authToken,
      STOWAGE_TOKEN: badToken,
      STOWAGE_SECRETS_KEY: secretsKey,
      OTEL_EXPORTER_OTLP_HEADERS: `x-key=${otlpKey}`,
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint,
      STOWAGE_TRACE_RATIO: '1',
      STOWAGE_SLOW_STATEMENT_MS: '1',
      STOWAGE_LOG_LEVEL: 'trace',
    };
    server = await startServe(database.serviceUrl ?? '', environment);
    clients = [server.grpc, server.http].map((endpoints) =>
      createStowage({ endpoints, token: authToken }),
    );
  });

  afterAll(async () => {
    for (const client of clients ?? []) client.close();
    await server?.[Symbol.asyncDispose]();
    await database?.drop();
    await collector?.[Symbol.asyncDispose]();
  });

  it('has secrets in all settings that are secret', () => {
    const keys = Object.entries(configTable).filter(([, setting]) => setting.secret);
    for (const [key] of keys) expect(environment[key], key).toMatch(/[0-9a-f]{24}/);
  });

  it('comes of good calls and bad ones', async () => {
    const owner = { owner: metadata, deep: { [metadata]: [metadata] } };
    const object = { storageBackend: 's3', metadata: owner };
    for (const { storage, admin } of clients) {
      // With the owner's login, whose password is wrong.
      await fails(admin.vacuum({ table: 'storage_objects' }));
      await storage.recordObject({ object: { ...object, objectKey: 'k' } });
      await storage.getObject({ objectKey: 'k' });
      const filter = { metadataFilter: { owner: metadata } };
      await storage.listObjects({ ...filter }).catch(() => undefined);
      await fails(storage.recordObject({ object: { ...object, objectKey: 'refused' } }));
      await fails(storage.recordObject({ object: { ...object, objectKey: '\0' } }));
      await fails(storage.recordObject({ object: { ...object, objectKey: 'k', size: -1n } }));
    }
    const json = 'application/json';
    await post(json, JSON.stringify({ object: { objectKey: 'k', metadata } }));
    await post(json, JSON.stringify({ object: { objectKey: 'k', size: unreadable } }));
    await post(json, `{"object": {"objectKey": "k", "metadata": {"owner": "${metadata}`);
    await post('application/proto', metadata);
    await post(json, metadata.repeat(150_000));
  });

  it('comes of secrets that hooks are given', async () => {
    const hook = { hookName: 'h', eventTypes: ['*'], secret: hookSecret };
    for (const { hooks } of clients) {
      const target = `https://user:${hookSecret}@hooks.example`;
      const updateMask = { paths: ['secret'] };
      const { hook: made } = await hooks.createHook({ hook, requestId: randomUUID() });
      outputs.push(String(made?.hasSecret));
      await fails(hooks.createHook({ hook }));
      await fails(hooks.createHook({ hook: { ...hook, target } }));
      await fails(hooks.createHook({ hook: { ...hook, secret: hookSecret.repeat(9) } }));
      await fails(hooks.updateHook({ hook, updateMask, ifRevision: 7n }));
      await hooks.updateHook({ hook, updateMask });
      await hooks.deleteHook({ hookName: 'h' });
    }
  });

  it('comes of tokens that are wrong', async () => {
    await post('application/json', '{}', badToken);
    for (const endpoints of [server.grpc, server.http]) {
      const client = createStowage({ endpoints, token: badToken });
      await fails(client.storage.listObjects({}));
      client.close();
    }
    await run(`ls --server ${server.grpc}`, {});
  });

  it('comes of starts that fail', async () => {
    const wrong = new URL(database.serviceUrl ?? '');
    wrong.password = otherPassword;
    const doors = { STOWAGE_GRPC_ADDRESS: '127.0.0.1:0', STOWAGE_HTTP_ADDRESS: '127.0.0.1:0' };
    await Promise.all([
      run('serve', { ...doors, DATABASE_URL: wrong.href }),
      run('serve', { ...doors, STOWAGE_MIGRATE: 'true' }),
      run('serve', {
        DATABASE_URL: `postgres://stowage:${otherPassword}@x@127.0.0.1/stowage`,
        STOWAGE_ADMIN_URL: `mysql://stowage:${adminPassword}@127.0.0.1/stowage`,
        STOWAGE_AUTH_TOKEN: `${authToken} ${authToken}`,
        OTEL_EXPORTER_OTLP_HEADERS: otlpKey,
      }),
    ]);
  });

  it('tells of calls, slow statements and the collector, and has none of the secrets', async () => {
    const method = `stowage.v1.StorageService/${planted}`;
    await fetch(`http://${server.http}/${method}`, { method: 'POST', body: '{}' });
    const said = (text: string) => server.said().includes(text);
    await until(() => said('collector') && said('slow statement') && said(planted), {
      timeoutMs: 10_000,
      what: 'all has been logged',
    });
    outputs.push(server.said());
    const output = outputs.join('\n');
    for (const text of ['call served', 'call failed', '"planHash"', '"constraint":"refused"']) {
      expect(output).toContain(text);
    }
    const secrets = [databasePassword, otherPassword, adminPassword, authToken, badToken, otlpKey];
    expect(found(output, [...secrets, secretsKey, hookSecret, metadata])).toEqual([]);
    expect(found(server.said(), [unreadable])).toEqual([]);
    expect(found(output, [planted])).toEqual([planted]);
    for (const form of formsOf(metadata)) expect(found(form, [metadata])).toEqual([metadata]);
  });
});
