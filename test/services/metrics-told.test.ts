// Where metrics are told: `/metrics` for whoever may read it, and a collector that may be down. And
// what strangers send makes no series of them.
import { randomInt, randomUUID } from 'node:crypto';
import { channel } from 'node:diagnostics_channel';
import http from 'node:http';
import { Client, credentials, Metadata } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../../src/lib/wait.js';
import { statements } from '../../src/postgres/statement.js';
import { type Log, startLog } from '../../src/telemetry/log.js';
import { metricTable } from '../../src/telemetry/metric-table.js';
import { sharedCluster } from '../support/cluster.js';
import { openCollector } from '../support/collector.js';
import { scrape } from '../support/prometheus-text.js';
import { createRandom } from '../support/random.js';
import {
  type OpenServer,
  openServer,
  startService,
  strong,
  type TestService,
} from '../support/service.js';

const operations = 'db_client_operation_duration_seconds';
const token = 'a-token-of-more-than-thirty-two-characters';

let ground: TestService;
let service: OpenServer;

beforeAll(async () => {
  ground = await startService({ STOWAGE_METRICS: 'false' });
});

afterAll(async () => {
  await service[Symbol.asyncDispose]();
  await ground[Symbol.asyncDispose]();
});

const figures = () => scrape(service.httpUrl, token);

/** Another server on the same database. */
function another(environment: Readonly<Record<string, string>>, log?: Log) {
  const nodes = sharedCluster().nodes.map(({ host, port }) => `${host}:${port}`);
  return openServer(ground.database, nodes, environment, log === undefined ? {} : { log });
}

describe('metrics that are off', () => {
  it('are told nowhere, and nobody listens for them', async () => {
    const answer = await fetch(`${ground.httpUrl}/metrics`);
    expect(answer.status).toBe(404);
    const names = [
      ...['call-ended', 'stream-message', 'stream-items', 'ingest-batch', 'commit-in-doubt'],
      ...['job-run', 'reload-ended', 'postgres:query', 'postgres:slow'],
    ];
    expect(names.filter((name) => channel(`stowage:${name}`).hasSubscribers)).toEqual([]);
  });
});

describe('the page of metrics', () => {
  beforeAll(async () => {
    service = await another({ STOWAGE_AUTH_TOKEN: token });
  });

  const page = () => `${service.httpUrl}/metrics`;

  it('has the type of its text, and is not kept by caches', async () => {
    const answer = await fetch(page(), { headers: { authorization: `bearer ${token}` } });
    expect(answer.status).toBe(200);
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      'content-type': 'text/plain; version=0.0.4; charset=utf-8',
      'cache-control': 'no-store',
    });
    const head = await fetch(page(), {
      method: 'HEAD',
      headers: { authorization: `Bearer ${token}` },
    });
    expect([head.status, await head.text()]).toEqual([200, '']);
  });

  it('wants the auth token, and tells nothing without it', async () => {
    for (const headers of [{}, { authorization: 'Bearer another' }, { authorization: token }]) {
      const answer = await fetch(page(), { headers });
      expect(answer.status).toBe(401);
      expect(answer.headers.get('www-authenticate')).toBe('Bearer');
      expect(await answer.text()).not.toContain('stowage_');
    }
    const told = await figures();
    const before = told.sum('rpc_server_call_duration_seconds_count');
    const refused = await fetch(`${service.httpUrl}/stowage.v1.StorageService/GetObject`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"objectKey":"x"}',
    });
    expect(refused.status).toBe(401);
    const after = await figures();
    const reason = { stowage_reason: 'UNAUTHENTICATED', stowage_door: 'connect' };
    expect(after.sum('rpc_server_call_duration_seconds_count', reason)).toBe(1);
    expect(after.sum('rpc_server_call_duration_seconds_count')).toBe(before + 1);
  });

  it('is kept from pages of foreign sites, as every page is', async () => {
    const headers = { authorization: `Bearer ${token}`, origin: 'https://evil.example' };
    const status = await new Promise((resolve) => {
      http.get(page(), { headers }, (answer) => resolve(answer.resume().statusCode));
    });
    expect(status).toBe(403);
  });

  it('gain no series by what strangers send', async () => {
    const seed = randomInt(2 ** 31);
    const random = createRandom(seed);
    const client = new Client(service.grpcTarget, credentials.createInsecure());
    const method = (name: string) => `/stowage.v1.StorageService/${name}`;
    const sent: string[] = [];
    const word = (length: number) => {
      const text = random.word(length);
      if (length >= 9) sent.push(text);
      return text;
    };
    const hostile = async (shown: string) => {
      const headers = {
        'x-request-id': random.pick([randomUUID(), word(40), '{}"\\']),
        'user-agent': word(400).repeat(10),
        authorization: `Bearer ${shown}`,
        'stowage-token': word(30),
        [`x-${word(12)}`]: word(200),
      };
      const paths = [`/${word(300)}.v1.X/${word(9)}`, method(word(9))];
      for (const path of paths) await sendByGrpc(client, path, headers);
      for (const path of [...paths, method('GetObject')]) {
        const project = word(12);
        const body = JSON.stringify({ project, objectKey: word(30), freshness: strong });
        const json = { ...headers, 'content-type': 'application/json' };
        await (await fetch(service.httpUrl + path, { method: 'POST', headers: json, body })).text();
      }
    };
    const both = async () => {
      await hostile(token);
      await hostile(word(32));
    };
    // What a server does by itself, such as a job or a look at a node, makes series at any time.
    const madeByCalls = async () =>
      (await figures()).series.filter((series) =>
        /^\["(?:rpc|stowage_(?:stream|ingest))_/.test(series),
      );
    await both();
    const before = await madeByCalls();
    for (let round = 0; round < 25; round += 1) await both();
    client.close();
    expect(await madeByCalls(), `seed ${seed}`).toEqual(before);
    const { series } = await figures();
    expect(series.filter((each) => sent.some((text) => each.includes(text)))).toEqual([]);
    const asked = (await figures()).valuesOf(`${operations}_count`, 'stowage_statement');
    const known = [...statements().map(({ name }) => name), 'transaction', 'explain'];
    expect(known).toEqual(expect.arrayContaining([...asked]));
  });
});

describe('metrics for a collector', () => {
  const cumulative = 2;

  /** What was logged of the collector, of each line its level and message. */
  function recordedLog() {
    const lines: { level: number; msg: string; collector?: string; detail?: string }[] = [];
    const log = startLog('info', { write: (line: string) => lines.push(JSON.parse(line)) });
    return {
      log,
      told: () =>
        lines
          .filter(({ collector }) => collector !== undefined)
          .map(({ level, msg }) => [level, msg]),
      text: () => JSON.stringify(lines),
      [Symbol.dispose]: () => log.stop(),
    };
  }

  const pushing = (url: string) => ({
    OTEL_EXPORTER_OTLP_ENDPOINT: url,
    OTEL_EXPORTER_OTLP_HEADERS: 'x-key=a%20secret%20key',
    OTEL_METRIC_EXPORT_INTERVAL: '100',
    OTEL_SERVICE_NAME: 'stowage-test',
  });

  it('are pushed by the names of the table, cumulative', async () => {
    await using collector = await openCollector();
    using logged = recordedLog();
    await using _server = await another(pushing(collector.url), logged.log);
    const push = await collector.nextPush();
    expect(push.path).toBe('/v1/metrics');
    expect(push.headers['x-key']).toBe('a secret key');
    expect(push.resource.get('service.name')).toBe('stowage-test');
    expect(push.resource.get('service.instance.id')).toMatch(/^[0-9a-f-]{36}$/);
    for (const { name, unit, sum, histogram } of push.metrics) {
      expect(Object.keys(metricTable), name).toContain(name);
      expect(unit).toBe(metricTable[name as keyof typeof metricTable].unit);
      expect((sum ?? histogram)?.aggregationTemporality ?? cumulative, name).toBe(cumulative);
    }
    expect(push.metrics.map(({ name }) => name)).toContain('stowage.router.can_write');
    await collector.nextPush();
    expect(logged.told()).toEqual([]);
  });

  it('are pushed once more when the server ends', async () => {
    await using collector = await openCollector();
    const hourly = { ...pushing(collector.url), OTEL_METRIC_EXPORT_INTERVAL: '3600000' };
    const server = await another(hourly);
    expect(collector.pushes).toEqual([]);
    await server[Symbol.asyncDispose]();
    expect(collector.pushes).toHaveLength(1);
  });

  it('are told once of a collector that is down, and once of one that is back', async () => {
    await using collector = await openCollector();
    using logged = recordedLog();
    await collector.down();
    await using _server = await another(pushing(collector.url), logged.log);
    const isTold = () => logged.told().length > 0;
    await until(isTold, { timeoutMs: 10_000, what: 'the collector is told to be down' });
    collector.isRefusing = true;
    await collector.up();
    for (let refused = 0; refused < 3; refused += 1) await collector.nextPush();
    expect(logged.told()).toHaveLength(1);
    collector.isRefusing = false;
    for (let taken = 0; taken < 3; taken += 1) await collector.nextPush();
    expect(logged.told()).toEqual([
      ['warn', 'metrics are lost'],
      ['info', 'metrics reach their collector again'],
    ]);
    expect(logged.text()).not.toContain('secret');
    expect(logged.text()).toContain('ECONNREFUSED');
  });

  it('let a server end whose collector answers nothing', async () => {
    await using collector = await openCollector();
    const server = await another(pushing(collector.url));
    await collector.nextPush();
    collector.isSilent = true;
    const startedAtMs = performance.now();
    await server[Symbol.asyncDispose]();
    expect(performance.now() - startedAtMs).toBeLessThan(8_000);
  });
});

/** A call of any method, which comes back in any way. */
function sendByGrpc(
  client: Client,
  path: string,
  headers: Readonly<Record<string, string>>,
): Promise<void> {
  const same = (bytes: Buffer) => bytes;
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
  return new Promise((resolve) => {
    client.makeUnaryRequest(path, same, same, Buffer.alloc(0), metadata, () => resolve());
  });
}
