// A server that lives through whatever its figures tell of, scraped by the real Prometheus all the
// while: each metric has come through, no scrape failed, and the alerts and the dashboard are
// answered. Needs prometheus.
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import http2 from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { create, toBinary } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createStowage, type Stowage, StreamObjectsRequestSchema } from '../../src/client/index.js';
import { until } from '../../src/lib/wait.js';
import { prometheusName } from '../../src/telemetry/metric.js';
import { type MetricName, metricTable } from '../../src/telemetry/metric-table.js';
import { alerts, dashboard, expressions, filledIn, healthCheck } from '../support/deploy-files.js';
import {
  BATCH_SIZE,
  BATCHES,
  CONNECTIONS,
  figures,
  OBJECTS,
  QUEUE,
} from '../support/eventful-figures.js';
import { useFailingCluster } from '../support/failing-cluster.js';
import { freePort } from '../support/free-port.js';
import { objectOf } from '../support/load.js';
import {
  checkExpressions,
  type Prometheus,
  promtool,
  startPrometheus,
} from '../support/prometheus.js';
import { type ServeChild, startServe } from '../support/serve-child.js';
import { failure, strong } from '../support/service.js';

const TOKEN = 'a-token-of-thirty-two-characters-';
const WAIT = { timeoutMs: 30_000, pollMs: 50 };
const LONG = { timeoutMs: 30_000 };

describe('promtool', () => {
  it('finds nothing wrong in the rules and the configuration', async () => {
    const rules = await promtool(['check', 'rules', 'stowage.rules.yml']);
    const count = `SUCCESS: ${alerts().length} rules`;
    expect(rules).toEqual({ isGood: true, said: expect.stringContaining(count) });
    const config = await promtool(['check', 'config', '--syntax-only', 'prometheus.yml']);
    expect(config).toEqual({ isGood: true, said: expect.stringContaining('SUCCESS') });
  });

  it('sees each alert fire where it should, and not where it should not', async () => {
    const verdict = await promtool(['test', 'rules', 'stowage.rules.test.yml']);
    expect(verdict).toEqual({ isGood: true, said: expect.stringContaining('SUCCESS') });
  });

  it('reads every expression of the rules and the dashboard', async () => {
    const all = expressions().map(({ expression }) => expression);
    expect(all.length).toBeGreaterThan(80);
    expect(await checkExpressions(all)).toMatchObject({ isGood: true });
    expect(await checkExpressions(['sum(up']).then(({ isGood }) => isGood)).toBe(false);
  });
});

describe('a real Prometheus', () => {
  const nodes = useFailingCluster();
  let folder: string;
  let server: ServeChild;
  let prometheus: Prometheus;
  let stowage: Stowage;

  const nodesFile = () => join(folder, 'nodes');
  const addresses = () => nodes.cluster.nodes.map(({ name }) => nodes.addressOf(name));

  async function start(): Promise<void> {
    folder = await mkdtemp(join(tmpdir(), 'stowage-scraped-'));
    const tokenFile = join(folder, 'token');
    await writeFile(tokenFile, TOKEN);
    await writeFile(nodesFile(), addresses().join('\n'));
    await nodes.cluster.waitUntilCaughtUp();
    server = await startServe(nodes.database.serviceUrl ?? '', {
      STOWAGE_AUTH_TOKEN_FILE: tokenFile,
      STOWAGE_NODES_FILE: nodesFile(),
      STOWAGE_PROBE_INTERVAL_MS: '100',
      STOWAGE_PROBE_TIMEOUT_MS: '1000',
      STOWAGE_SLOW_STATEMENT_MS: '500',
      STOWAGE_STREAM_IDLE_TIMEOUT_MS: '6000',
      STOWAGE_QUEUE_TIMEOUT_MS: '3000',
      STOWAGE_QUEUE_MAX: String(QUEUE),
      POSTGRES_MAX_CONN: String(CONNECTIONS),
    });
    stowage = createStowage({ endpoints: server.grpc, token: TOKEN });
    prometheus = await startPrometheus(server.http, tokenFile);
  }

  /** Resolves once the expression has an answer. */
  const untilSeen = (expression: string) =>
    until(async () => (await prometheus.query(expression)).length > 0, {
      ...WAIT,
      what: `Prometheus has seen ${expression}`,
    });

  /** The sum of what the expression gives. */
  const total = async (expression: string): Promise<number> =>
    (await prometheus.query(expression)).reduce((sum, { value }) => sum + value, 0);

  const post = (method: string, body: object, token = TOKEN) =>
    fetch(`http://${server.http}/stowage.v1.StorageService/${method}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body: JSON.stringify(body),
    });

  async function call(): Promise<void> {
    const { storage } = stowage;
    await storage.recordObject({ object: objectOf('a') });
    for (const _ of [1, 2, 3]) await storage.getStatistics({ freshness: strong });
    for (const key of ['x', 'y']) await failure(storage.getObject({ objectKey: key }));
    expect((await post('GetObject', { objectKey: 'a' })).status).toBe(200);
    expect(
      (await post('GetObject', { objectKey: 'a' }, 'another-token-of-32-characters---')).status,
    ).toBe(401);
    expect((await post('NoSuchMethod', {})).status).toBe(404);
  }

  async function* batches() {
    for (let batch = 0; batch < BATCHES; batch += 1) {
      const at = (row: number) => `many/${batch}/${String(row).padStart(4, '0')}`;
      const objects = Array.from({ length: BATCH_SIZE }, (_, row) => objectOf(at(row)));
      yield { position: String(batch), objects };
    }
  }

  async function ingest(): Promise<void> {
    let acknowledged = 0;
    for await (const _ of stowage.storage.ingestObjects(batches())) acknowledged += 1;
    expect(acknowledged).toBe(BATCHES);
    await nodes.cluster.waitUntilCaughtUp();
  }

  /** Opens a stream of all objects, of which nothing is read before `resume`. */
  function openStream(): http2.ClientHttp2Stream {
    const session = http2.connect(`http://${server.grpc}`);
    const stream = session.request({
      ':method': 'POST',
      ':path': '/stowage.v1.StorageService/StreamObjects',
      'content-type': 'application/grpc+proto',
      authorization: `Bearer ${TOKEN}`,
      te: 'trailers',
    });
    stream.pause();
    stream.once('close', () => session.close());
    const bytes = toBinary(
      StreamObjectsRequestSchema,
      create(StreamObjectsRequestSchema, { prefix: 'many/', freshness: strong }),
    );
    const head = Buffer.alloc(5);
    head.writeUInt32BE(bytes.length, 1);
    stream.end(Buffer.concat([head, bytes]));
    return stream;
  }

  /** Reads a stream to its end, and gives its status. */
  async function statusOf(stream: http2.ClientHttp2Stream): Promise<string> {
    const ended = once(stream, 'trailers');
    stream.resume();
    const [trailers] = await ended;
    return String(trailers['grpc-status']);
  }

  async function readSlowly(): Promise<void> {
    const slow = openStream();
    await untilSeen('stowage_calls_in_flight{stowage_kind="stream"} == 1');
    expect(await statusOf(slow)).toBe('0');
    await untilSeen(`sum(stowage_stream_items_total) == ${OBJECTS}`);
    const abandoned = openStream();
    await untilSeen('rpc_server_call_duration_seconds_count{stowage_reason="SLOW_CONSUMER"}');
    expect(await statusOf(abandoned)).toBe('8');
  }

  /** More calls than there are connections and places in the line want a row that is locked. */
  async function crowd(): Promise<void> {
    const admin = await nodes.connect(nodes.cluster.primary.name, 'superuser');
    await admin.query('begin');
    await admin.query(`select from storage_objects where object_key = 'a' for update`);
    const calls = Array.from({ length: CONNECTIONS + QUEUE }, () =>
      stowage.storage.recordObject({ object: { ...objectOf('a'), etag: 'e' } }, LONG).then(
        () => undefined,
        (error: unknown) => failure(Promise.reject(error)).then(({ reason }) => reason),
      ),
    );
    await untilSeen('sum(db_client_connection_pending_requests) > 0');
    await untilSeen('sum(db_client_connection_timeouts_total) > 0');
    await admin.query('rollback');
    await admin.end();
    expect(new Set(await Promise.all(calls))).toEqual(new Set(['OVERLOADED', undefined]));
  }

  async function lag(): Promise<void> {
    const standbys = nodes.cluster.standbys.map(({ name }) => name);
    for (const name of standbys) await nodes.cluster.pauseReplay(name);
    await stowage.storage.recordObject({ object: objectOf('late') });
    // The client shows the token of its write: no standby has it.
    await stowage.storage.getObject({ objectKey: 'late' });
    await untilSeen('max(stowage_node_lag_bytes) > 0');
    for (const name of standbys) await nodes.cluster.resumeReplay(name);
    await nodes.cluster.waitUntilCaughtUp();
  }

  /** A backend that reads is ended, as an administrator or a recovery conflict does. */
  async function retry(): Promise<void> {
    const { name } = nodes.cluster.primary;
    const admin = await nodes.connect(name, 'superuser');
    await admin.query('begin');
    await admin.query('lock table storage_objects in access exclusive mode');
    const read = stowage.storage.getObject({ objectKey: 'a', freshness: strong }, LONG);
    await nodes.untilWaiting(name, 'relation');
    await admin.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where datname = current_database() and wait_event = 'relation'`,
    );
    await nodes.untilWaiting(name, 'relation');
    await admin.query('rollback');
    await admin.end();
    expect((await read).object?.objectKey).toBe('a');
  }

  async function drain(): Promise<void> {
    const [standby] = nodes.cluster.standbys;
    const node = nodes.addressOf(standby?.name ?? '');
    await stowage.cluster.drainNode({ node });
    await untilSeen(`stowage_node_drained{stowage_node="${node}"} == 1`);
    await stowage.cluster.undrainNode({ node });
    await untilSeen(`stowage_node_state{stowage_node="${node}", stowage_state="standby"} == 1`);
  }

  async function reload(): Promise<void> {
    server.hangUp();
    await untilSeen('stowage_reloads_total{stowage_outcome="succeeded"} == 1');
    await writeFile(nodesFile(), 'no node:at all');
    server.hangUp();
    await untilSeen('stowage_reloads_total{stowage_outcome="failed"} == 1');
  }

  /** The primary dies with a commit that no standby has; the next one refuses notes at first. */
  async function failOver(): Promise<void> {
    const { name: former } = nodes.cluster.primary;
    const [next = '', other = ''] = nodes.cluster.standbys.map(({ name }) => name);
    await nodes.sql(former, 'revoke insert on timelines from stowage_service');
    await nodes.cluster.waitUntilCaughtUp();
    await nodes.holdCommits();
    const write = stowage.storage.recordObject(
      { requestId: randomUUID(), object: objectOf('in doubt') },
      { timeoutMs: 60_000 },
    );
    await nodes.untilWaiting(former, 'SyncRep');
    await nodes.cluster.crash(former);
    await nodes.cluster.promote(next);
    await nodes.cluster.repoint(other, next);
    await untilSeen('stowage_history_failures_total > 0');
    await nodes.sql(next, 'grant insert on timelines to stowage_service');
    expect((await write).object?.revision).toBe(1n);
    await nodes.cluster.rejoin(former);
    await untilSeen(`stowage_node_primary{stowage_node="${nodes.addressOf(next)}"} == 1`);
    await untilSeen('count(stowage_node_timeline == 2) == 3');
    await untilSeen('sum(stowage_node_state{stowage_state="standby"}) == 2');
  }

  beforeAll(async () => {
    await start();
    for (const step of [call, ingest, readSlowly, crowd, lag, retry, drain, reload, failOver]) {
      await step();
    }
  }, 240_000);

  afterAll(async () => {
    stowage?.close();
    await prometheus?.[Symbol.asyncDispose]();
    await server?.[Symbol.asyncDispose]();
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  });

  it.each(Object.keys(figures) as MetricName[])('has %s as it was', async (name) => {
    const { [name]: figure } = figures;
    const [expression, bound] = figure;
    const exposed = prometheusName(name, metricTable[name]);
    expect(expression).toContain(exposed);
    const value = await total(expression);
    if (typeof bound === 'number') expect(value).toBe(bound);
    else expect(value).toBeGreaterThan(bound.above);
  });

  it('never failed to scrape', async () => {
    expect(await prometheus.target()).toMatchObject({ health: 'up', lastError: '' });
    const scrapes = await total('count_over_time(up{job="stowage"}[10m])');
    expect(scrapes).toBeGreaterThan(20);
    expect(await total('sum_over_time(up{job="stowage"}[10m])')).toBe(scrapes);
    expect(await total('min_over_time(scrape_samples_scraped[10m])')).toBeGreaterThan(100);
  });

  it('is answered by every drawing of the dashboard', async () => {
    for (const { title, targets = [] } of dashboard().panels) {
      for (const { expr } of targets) {
        const samples = await prometheus.query(filledIn(expr).replaceAll('[1m]', '[10m]'));
        expect(samples.length, `${title}: ${expr}`).toBeGreaterThan(0);
      }
    }
  });

  it('has evaluated every rule, and told of the failover', async () => {
    const rules = await prometheus.rules();
    const names = alerts().map(({ name }) => name);
    expect(rules.map(({ name }) => name).sort()).toEqual(names.sort());
    for (const { name, health, lastError } of rules) {
      expect({ name, health, lastError }).toEqual({ name, health: 'ok', lastError: undefined });
    }
    const firing = rules.filter(({ state }) => state === 'firing').map(({ name }) => name);
    expect(firing).toContain('StowageFailover');
    expect(firing).toContain('StowageReloadFailed');
    expect(firing).not.toContain('StowageDown');
  });

  it('is told that the server lives by the health check of the image', async () => {
    const [program = '', ...args] = healthCheck();
    const port = server.http.split(':')[1] ?? '';
    const check = (to: string) =>
      promisify(execFile)(
        program,
        args.map((arg) => arg.replace(':8080/', `:${to}/`)),
      );
    await check(port);
    await expect(check(String(await freePort()))).rejects.toMatchObject({ code: 1 });
  });
});
