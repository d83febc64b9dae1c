// Metrics of a whole service: each family of the table, moved by what is driven and by nothing
// else, whatever callers send.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../../src/lib/wait.js';
import { type Metric, prometheusLabel, prometheusName } from '../../src/telemetry/metric.js';
import { metricTable } from '../../src/telemetry/metric-table.js';
import { sharedCluster } from '../support/cluster.js';
import { jobNames } from '../support/job-runs.js';
import { type Figures, scrape } from '../support/prometheus-text.js';
import {
  doorNames,
  failure,
  startService,
  strong,
  type TestService,
  untilWaiting,
} from '../support/service.js';

const calls = 'rpc_server_call_duration_seconds_count';
const storage = (name: string) => `stowage.v1.StorageService/${name}`;
const object = (objectKey: string) => ({ objectKey, storageBackend: 's3', size: 1n, etag: 'e' });
/** Items of some 150 bytes: more than the transports of a stream hold. */
const streamItems = 20_000;

let service: TestService;

beforeAll(async () => {
  service = await startService({
    STOWAGE_STREAMS_IN_FLIGHT_MAX: '1',
    STOWAGE_SLOW_STATEMENT_MS: '400',
  });
});

afterAll(async () => {
  await service[Symbol.asyncDispose]();
});

const figures = () => scrape(service.httpUrl);

/** By how much figures rose while something was done; each of a name and its labels. */
async function risenBy(
  work: () => Promise<unknown>,
  figuresOf: (told: Figures) => readonly number[],
): Promise<number[]> {
  const before = figuresOf(await figures());
  await work();
  const after = figuresOf(await figures());
  return after.map((value, at) => value - (before[at] ?? 0));
}

/** Objects that a stream of all of them is long enough with. */
const fillStream = `
  insert into storage_objects (project_id, object_key, id, size, version_id, storage_backend, etag)
  select 'default', 'stream/' || lpad(n::text, 8, '0'), gen_random_uuid(), n, 'v1', 's3',
    md5(n::text)
  from generate_series(1, ${streamItems}) as n`;

interface Refusal {
  readonly rpc: string;
  readonly code: string;
  readonly reason: string;
  run(clients: TestService['doors']['gRPC']): Promise<unknown>;
}

const refusals: readonly Refusal[] = [
  {
    rpc: 'GetObject',
    code: 'INVALID_ARGUMENT',
    reason: 'INVALID_REQUEST',
    run: (clients) => clients.storage.getObject({ objectKey: '' }),
  },
  {
    rpc: 'GetObject',
    code: 'NOT_FOUND',
    reason: 'OBJECT_NOT_FOUND',
    run: (clients) => clients.storage.getObject({ objectKey: 'nobody', freshness: strong }),
  },
  {
    rpc: 'RecordObject',
    code: 'NOT_FOUND',
    reason: 'PROJECT_NOT_FOUND',
    run: (clients) =>
      clients.storage.recordObject({ project: 'nowhere', object: object('refused') }),
  },
  {
    rpc: 'DeleteObject',
    code: 'ABORTED',
    reason: 'REVISION_MISMATCH',
    run: (clients) => clients.storage.deleteObject({ objectKey: 'there', ifRevision: 99n }),
  },
  {
    rpc: 'GetObject',
    code: 'INVALID_ARGUMENT',
    reason: 'TOKEN_MALFORMED',
    run: (clients) =>
      clients.storage.getObject({
        objectKey: 'there',
        freshness: { demand: { case: 'atLeast', value: 'no token' } },
      }),
  },
];

describe.each(doorNames)('metrics of calls through %s', (name) => {
  const door = name === 'gRPC' ? 'grpc' : 'connect';

  it('counts a call that is served, and how long it took', async () => {
    const { storage: clients } = service.doors[name];
    const told = { rpc_method: storage('RecordObject'), stowage_door: door };
    const served = { ...told, rpc_response_status_code: 'OK', stowage_reason: undefined };
    const work = async () => {
      await clients.recordObject({ object: object('there') });
      await clients.recordObject({ object: object('there') });
    };
    const [count, all, seconds = 0] = await risenBy(work, (figures) => [
      figures.sum(calls, served),
      figures.sum(calls),
      figures.sum(calls.replace('_count', '_sum'), served),
    ]);
    expect([count, all]).toEqual([2, 2]);
    expect(seconds).toBeGreaterThan(0.0001);
    expect(seconds).toBeLessThan(30);
  });

  it.each(refusals)('counts $reason of $rpc once, and nothing else', async (refusal) => {
    const work = async () => {
      expect(await failure(refusal.run(service.doors[name]))).toMatchObject({
        reason: refusal.reason,
      });
    };
    const labels = {
      rpc_method: storage(refusal.rpc),
      rpc_response_status_code: refusal.code,
      stowage_reason: refusal.reason,
      stowage_door: door,
    };
    const risen = await risenBy(work, (told) => [told.sum(calls, labels), told.sum(calls)]);
    expect(risen).toEqual([1, 1]);
  });

  it('counts a stream that its caller leaves', async () => {
    const labels = {
      rpc_method: 'stowage.v1.ClusterService/WatchTopology',
      rpc_response_status_code: 'CANCELLED',
      stowage_reason: 'CANCELLED',
      stowage_door: door,
    };
    const before = (await figures()).sum(calls, labels);
    const leaving = new AbortController();
    const watch = service.doors[name].cluster.watchTopology({}, { signal: leaving.signal });
    const changes = watch[Symbol.asyncIterator]();
    await changes.next();
    expect((await figures()).value('stowage_calls_in_flight', { stowage_kind: 'stream' })).toBe(1);
    const next = failure(changes.next());
    leaving.abort();
    await next;
    const isCounted = async () => (await figures()).sum(calls, labels) === before + 1;
    await until(isCounted, { timeoutMs: 10_000, what: 'the call is counted' });
    expect((await figures()).value('stowage_calls_in_flight', { stowage_kind: 'stream' })).toBe(0);
  });
});

describe('metrics of streams and batches', () => {
  const method = { rpc_method: storage('StreamObjects') };

  const ofStreams = (told: Figures) => [
    told.sum('stowage_stream_items_total', method),
    told.sum('stowage_stream_messages_total', method),
    told.sum('stowage_stream_sent_bytes_total', method),
    told.sum('stowage_stream_stalls_total', method),
    told.sum('stowage_stream_stall_seconds_total', method),
    told.sum('stowage_statement_rows_total', { stowage_statement: 'stream-objects' }),
  ];

  /** Resolves once the stream sends no more, for nobody reads. */
  async function untilStill(): Promise<void> {
    let last = -1;
    const isStill = async () => {
      const before = last;
      last = (await figures()).sum('stowage_stream_messages_total', method);
      return last > 0 && last === before;
    };
    await until(isStill, { timeoutMs: 10_000, pollMs: 50, what: 'the stream stands still' });
  }

  it('tells what a slow reader was sent, and that it held its stream up', async () => {
    await service.sql(fillStream);
    const { storage: clients } = service.doors.gRPC;
    const request = { prefix: 'stream/', freshness: strong };
    let messages = 0;
    let items = 0;
    const read = async () => {
      for await (const part of clients.streamObjects(request)) {
        messages += 1;
        items += part.objects.length;
        if (messages > 1) continue;
        await untilStill();
        const other = service.doors.HTTP.storage.streamObjects(request);
        const refused = await failure(other[Symbol.asyncIterator]().next());
        expect(refused).toMatchObject({ reason: 'OVERLOADED' });
      }
    };
    const risen = await risenBy(read, ofStreams);
    const [itemsSent, messagesSent, bytes = 0, stalls = 0, seconds = 0, rows] = risen;
    expect([itemsSent, messagesSent]).toEqual([streamItems, messages]);
    expect([items, rows]).toEqual([streamItems, streamItems]);
    expect(bytes).toBeGreaterThan(streamItems * 50);
    expect(stalls).toBeGreaterThanOrEqual(1);
    expect(seconds).toBeGreaterThan(0.05);
    const labels = { ...method, stowage_reason: 'OVERLOADED', stowage_door: 'connect' };
    expect((await figures()).sum(calls, labels)).toBe(1);
  });

  it('tells batches of an ingest that were recorded, and one that was refused', async () => {
    async function* batches(project: string, sizes: readonly number[]) {
      for (const [batch, size] of sizes.entries()) {
        const objects = Array.from({ length: size }, (_, at) => object(`batch/${batch}/${at}`));
        yield { project, objects };
      }
    }
    const ingest = async (project: string, sizes: readonly number[]) => {
      for await (const ack of service.doors.gRPC.storage.ingestObjects(batches(project, sizes))) {
        expect(ack.batch).toBeGreaterThan(0n);
      }
    };
    const work = async () => {
      await ingest('', [3, 4]);
      await failure(ingest('nowhere', [5]));
    };
    const risen = await risenBy(work, (told) => [
      told.sum('stowage_ingest_batches_total', { stowage_reason: undefined }),
      told.sum('stowage_ingest_batches_total', { stowage_reason: 'PROJECT_NOT_FOUND' }),
      told.sum('stowage_ingest_batches_total'),
      told.sum('stowage_ingest_rows_total'),
      told.sum('stowage_ingest_batch_duration_seconds_count'),
    ]);
    expect(risen).toEqual([2, 1, 3, 7, 3]);
  });
});

describe('metrics of statements', () => {
  const statements = 'db_client_operation_duration_seconds_count';

  it('count a read with its rows, and the connection that it was lent', async () => {
    const { storage: clients } = service.doors.gRPC;
    const read = () => clients.getObject({ objectKey: 'there', freshness: strong });
    const primary = sharedCluster().nodes.find(({ role }) => role === 'primary');
    const lent = { stowage_node: `${primary?.host}:${primary?.port}`, stowage_pool: 'unary' };
    const risen = await risenBy(read, (told) => [
      told.sum(statements, { stowage_statement: 'get-object', error_type: undefined }),
      told.sum('stowage_statement_rows_total', { stowage_statement: 'get-object' }),
      told.sum('stowage_router_fallbacks_total'),
      told.sum('stowage_pool_acquires_total', lent),
    ]);
    expect(risen.slice(0, 3)).toEqual([1, 1, 0]);
    // Jobs may borrow one at the same time.
    expect(risen[3]).toBeGreaterThanOrEqual(1);
  });

  it('count a read that fell back to the primary, for no standby was fresh enough', async () => {
    const { storage: clients } = service.doors.gRPC;
    const freshness = {
      demand: { case: 'maxStaleness', value: { seconds: 0n, nanos: 1000 } },
    } as const;
    const read = () => clients.getObject({ objectKey: 'there', freshness });
    expect(await risenBy(read, (told) => [told.sum('stowage_router_fallbacks_total')])).toEqual([
      1,
    ]);
  });

  it('count a rerun, its failure and a slow statement, after a deadlock', async () => {
    const { storage: clients } = service.doors.gRPC;
    const objects = [object('lock/a'), object('lock/b')];
    await clients.batchRecordObjects({ requests: objects.map((each) => ({ object: each })) });
    const other = await service.database.connect();
    const lock = 'select from storage_objects where object_key = $1 for update';
    // The service is the one that is turned away.
    await other.query(`set deadlock_timeout = '20s'`);
    await other.query('begin');
    await other.query(lock, ['lock/b']);
    const transaction = { stowage_statement: 'transaction' };
    const work = async () => {
      const requests = objects.map((each) => ({ object: { ...each, etag: 'f' } }));
      const call = clients.batchRecordObjects({ requests });
      await untilWaiting(service, 'BatchRecordObjects');
      const told = await figures();
      expect(told.value('stowage_calls_in_flight', { stowage_kind: 'unary' })).toBe(1);
      // Jobs may have one at the same time.
      const used = told.sum('db_client_connection_count', { db_client_connection_state: 'used' });
      expect(used).toBeGreaterThanOrEqual(1);
      await other.query(lock, ['lock/a']);
      await other.query('rollback');
      await call;
    };
    const failed = (told: Figures) =>
      told.sum(statements, transaction) -
      told.sum(statements, { ...transaction, error_type: undefined });
    const risen = await risenBy(work, (told) => [
      told.sum('stowage_statement_retries_total', transaction),
      failed(told),
      told.sum(statements, transaction),
    ]);
    // Jobs have transactions of their own.
    expect(risen).toEqual([1, 1, expect.toSatisfy((count: number) => count >= 2)]);
    await other.end();
    const isTold = async () => (await figures()).sum('stowage_slow_statements_total') >= 1;
    await until(isTold, { timeoutMs: 10_000, what: 'it is told to be slow' });
  });
});

describe('metrics of nodes, jobs and reloads', () => {
  const nodesOf = (told: Figures) =>
    [...told.valuesOf('stowage_node_state', 'stowage_node')].sort();

  it('tell each node by the state that it is in', async () => {
    const nodes = sharedCluster().nodes.map(({ host, port, role }) => ({
      role,
      node: { stowage_node: `${host}:${port}` },
    }));
    // A machine that is busy makes a standby lag for a moment.
    const settled = async () => {
      const told = await figures();
      const isAsSet = ({ role, node }: (typeof nodes)[number]) =>
        told.sum('stowage_node_state', { ...node, stowage_state: role }) === 1;
      return nodes.every(isAsSet) ? told : undefined;
    };
    const told = await until(settled, { timeoutMs: 10_000, what: 'all have their states' });
    expect(nodesOf(told)).toEqual(nodes.map(({ node }) => node.stowage_node).sort());
    for (const { role, node } of nodes) {
      expect(told.sum('stowage_node_state', node)).toBe(1);
      expect(told.value('stowage_node_primary', node)).toBe(Number(role === 'primary'));
      expect(told.value('stowage_node_timeline', node)).toBe(1);
      expect(told.value('stowage_node_lag_bytes', node)).toBeGreaterThanOrEqual(0);
      expect(told.value('stowage_node_lag_seconds', node)).toBeLessThan(30);
      expect(told.value('stowage_node_drained', node)).toBe(0);
    }
    expect(told.value('stowage_router_can_read')).toBe(1);
    expect(told.value('stowage_router_can_write')).toBe(1);
  });

  it('forget a node that is taken from the settings, and count the reloads', async () => {
    const nodes = sharedCluster().nodes.map(({ host, port }) => ({ host, port }));
    const { password } = new URL(service.database.serviceUrl ?? '');
    const [gone] = sharedCluster().nodes.filter(({ role }) => role === 'standby');
    const node = { stowage_node: `${gone?.host}:${gone?.port}` };
    const arrival = { ...node, stowage_from: 'unknown' };
    const others = nodes.filter(({ port }) => port !== gone?.port);
    const work = async () => {
      await service.server.reload(() => ({ nodes: others, password }));
      expect(nodesOf(await figures())).not.toContain(node.stowage_node);
      await service.server.reload(() => ({ nodes, password }));
      await service.server.reload(() => {
        throw new Error('the file is not there');
      });
    };
    const risen = await risenBy(work, (told) => [
      told.value('stowage_reloads_total', { stowage_outcome: 'succeeded' }),
      told.value('stowage_reloads_total', { stowage_outcome: 'failed' }),
      told.sum('stowage_router_transitions_total', arrival),
      told.value('stowage_router_failovers_total'),
    ]);
    expect(risen).toEqual([2, 1, 1, 0]);
    expect(nodesOf(await figures())).toContain(node.stowage_node);
  });

  it('count the runs of every job', async () => {
    const told = async () => (await figures()).valuesOf('stowage_job_runs_total', 'stowage_job');
    const haveRun = async () => (await told()).size === jobNames.length;
    await until(haveRun, { timeoutMs: 20_000, what: 'every job has run' });
    expect([...(await told())].sort()).toEqual(jobNames);
    const succeeded = { stowage_outcome: 'succeeded' };
    expect((await figures()).sum('stowage_job_runs_total', succeeded)).toBeGreaterThanOrEqual(4);
  });
});

describe('metrics as a whole', () => {
  const kinds: Readonly<Record<Metric['instrument'], string>> = {
    counter: 'counter',
    histogram: 'histogram',
    observableCounter: 'counter',
    observableGauge: 'gauge',
    info: 'gauge',
  };

  it('are those of the table, with its labels, both ways', async () => {
    const told = await figures();
    const rows = Object.entries<Metric>(metricTable);
    const expected = rows.map(([name, metric]) => ({
      name: prometheusName(name, metric),
      type: kinds[metric.instrument],
    }));
    const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1);
    expect([...told.families].sort(byName)).toEqual(expected.sort(byName));
    for (const [name, metric] of rows) {
      if (metric.instrument === 'info') continue;
      const bound = metric.instrument === 'histogram' ? ['le'] : [];
      const labels = [...metric.labels.map(prometheusLabel), ...bound].sort();
      expect(told.labelsOf(prometheusName(name, metric)), name).toEqual(labels);
    }
  });
});
