// The health of a server on the shared cluster, by its RPC at both doors and by its pages, with
// every connection free and with every one in use.
import { create, fromJsonString, toJson } from '@bufbuild/protobuf';
import type { Timestamp } from '@bufbuild/protobuf/wkt';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { type HealthReport, HealthReportSchema } from '../../gen/stowage/v1/health_pb.js';
import { until } from '../../src/lib/wait.js';
import { type QueryEvent, queryChannel } from '../../src/postgres/events.js';
import { createRouter } from '../../src/postgres/router.js';
import type { RouterHandle } from '../../src/postgres/router-handle.js';
import { healthMessage } from '../../src/services/health-messages.js';
import type { HealthReporter, HealthReporterOptions } from '../../src/store/health/reporter.js';
import { sharedCluster } from '../support/cluster.js';
import { atDatabase, openConnection } from '../support/database.js';
import { reporterOver } from '../support/health.js';
import { doorNames, failure, startService, strong, type TestService } from '../support/service.js';

const UNARY_MAX = 24;
const WAIT = { timeoutMs: 20_000 };

/** One connection of each class a node, and calls that wait for long: all can be in use. */
const environment = {
  POSTGRES_MAX_CONN: '4',
  STOWAGE_LOCK_TIMEOUT_MS: '60000',
  STOWAGE_QUEUE_TIMEOUT_MS: '60000',
  STOWAGE_UNARY_IN_FLIGHT_MAX: String(UNARY_MAX),
};

let service: TestService;
let router: RouterHandle;
const names = () => sharedCluster().nodes.map(({ host, port }) => `${host}:${port}`);

beforeAll(async () => {
  service = await startService(environment, sharedCluster(), {
    makeRouter: (...args) => {
      router = createRouter(...args);
      return router;
    },
  });
});

afterAll(async () => {
  await service?.[Symbol.asyncDispose]();
});

async function page(path: string) {
  const startedAtMs = performance.now();
  const answer = await fetch(`${service.httpUrl}${path}`);
  const text = await answer.text();
  return { status: answer.status, text, tookMs: performance.now() - startedAtMs };
}

async function reportPage(): Promise<HealthReport> {
  return fromJsonString(HealthReportSchema, (await page('/health/database')).text);
}

const timeOf = (time: Timestamp | undefined) => `${time?.seconds}.${time?.nanos}`;

function millisOf(time: Timestamp | undefined): number {
  return Number(time?.seconds) * 1000 + (time?.nanos ?? 0) / 1e6;
}

/** Reports over the service's own connections that are made anew each time. */
function eagerReporter(options: Partial<HealthReporterOptions> = {}): HealthReporter {
  const inspect: RouterHandle['inspect'] = (...args) => router.inspect(...args);
  return reporterOver(() => router.topology(), { inspect, keepMs: 0, ...options });
}

/** As the page tells it, anew and in no hurry. */
async function reportNow(): Promise<HealthReport> {
  const report = await eagerReporter({ waitMs: WAIT.timeoutMs }).report();
  return create(HealthReportSchema, healthMessage(report));
}

/** A report in which everything that matters was told. */
function untilTold(
  fits: (report: HealthReport) => unknown,
  what: string,
  ask = reportNow,
): Promise<HealthReport> {
  const told = async () => {
    const report = await ask();
    return report.nodes.every(({ observedAt }) => observedAt) && fits(report) ? report : undefined;
  };
  return until(told, { ...WAIT, what });
}

describe('A health report', () => {
  it('has what PostgreSQL tells of each node', async () => {
    const report = await untilTold(() => true, 'every node has told of itself', reportPage);
    expect(report).toMatchObject({ canRead: true, canWrite: true });
    expect(report.nodes.map(({ node }) => node?.name)).toEqual(names());
    const [setting] = await service.sql<{ max: string; size: string; version: string }>(
      `select current_setting('max_connections') as max, current_setting('server_version') as
         version, pg_database_size(current_database())::text as size`,
    );
    for (const { connections, activity, wal, serverVersion } of report.nodes) {
      expect(serverVersion).toBe(setting?.version.split(' ')[0]);
      expect(connections).toMatchObject({ max: Number(setting?.max), reserved: 3 });
      const { total = 0, active = 0, idle = 0, idleInTransaction = 0 } = connections ?? {};
      expect(total).toBe(active + idle + idleInTransaction + (connections?.hidden ?? 0));
      expect(active).toBeGreaterThan(0);
      expect(activity?.sizeBytes).toBeGreaterThan(1_000_000n);
      expect(activity?.cacheHitRatio).toBeGreaterThan(0);
      expect(activity?.cacheHitRatio).toBeLessThanOrEqual(1);
      expect(wal).toMatchObject({ lsn: expect.stringMatching(/^[0-9A-F]+\/[0-9A-F]+$/) });
      expect(wal).toMatchObject({ archiving: false, missingSynchronous: 0 });
    }
    const [primary, ...standbys] = report.nodes;
    expect(primary?.autovacuum).toMatchObject({ enabled: true, workersMax: 3, tablesOverdue: 0 });
    expect(primary?.autovacuum?.oldestTransactionAge).toBeGreaterThan(0n);
    expect(primary?.receiver).toBeUndefined();
    expect(primary?.wal?.slot).toMatch(/^stowage_/);
    expect(primary?.wal?.slotsRetainedBytes).toBeGreaterThanOrEqual(0n);
    expect(primary?.replicas).toHaveLength(2);
    for (const { autovacuum, receiver, wal } of standbys) {
      expect(autovacuum).toBeUndefined();
      expect(wal).toMatchObject({ slot: '', inactiveSlots: 0 });
      expect(wal?.slotsRetainedBytes).toBeUndefined();
      expect(receiver).toMatchObject({ receiving: true, replayPaused: false });
    }
    expect(report.server).toMatchObject({ streams: 0 });
    expect(report.server?.rssBytes).toBeGreaterThan(report.server?.heapUsedBytes ?? 0n);
  });

  it('finds tables that autovacuum should have taken, and sees its own sessions wait', async () => {
    const idle = await service.database.connect(service.database.serviceUrl);
    await idle.query('begin');
    await service.sql(
      `create unlogged table dull
         with (autovacuum_enabled = false, autovacuum_vacuum_threshold = 10,
               autovacuum_vacuum_scale_factor = 0) as
       select n from generate_series(1, 100100) as n`,
    );
    await service.sql('delete from dull where n <= 20');
    // Nobody but its session can vacuum it.
    await service.sql('create temporary table own as select from generate_series(1, 200000)');
    await service.sql('delete from own');
    const flush = () => service.sql('select pg_stat_force_next_flush()');
    await flush();
    const vacuumOf = ({ nodes }: HealthReport) => nodes[0]?.autovacuum;
    const due = await untilTold((report) => vacuumOf(report)?.tablesDue, 'a table is due');
    expect(vacuumOf(due)).toMatchObject({ tablesDue: 1, tablesOverdue: 0 });
    expect(due.nodes[0]?.connections).toMatchObject({ idleInTransaction: 1 });
    expect(due.nodes[0]?.connections?.idleInTransactionMs).toBeGreaterThan(0);
    await service.sql('delete from dull');
    await flush();
    const overdue = await untilTold((report) => vacuumOf(report)?.tablesOverdue, 'it is overdue');
    expect(overdue.findings.map(({ code }) => code)).toContain('AUTOVACUUM_BEHIND');
    expect(vacuumOf(overdue)?.deadRows).toBeGreaterThan(100_000n);
    await idle.query('rollback');
    await service.sql('drop table dull, own');
  });

  it('leaves out what the role may not know, and tells it once it may', async () => {
    const login = new URL(service.database.serviceUrl ?? '').username;
    const [primary, standby] = (await untilTold(() => true, 'every node has told')).nodes;
    expect(primary?.replicas).toMatchObject([
      { address: '', state: '', syncState: '' },
      { address: '', state: '' },
    ]);
    expect(primary?.replicas[0]?.replayLagBytes).toBeUndefined();
    expect(standby?.receiver).toMatchObject({ status: '', sender: '' });
    expect(primary?.connections?.hidden).toBeGreaterThan(0);
    await service.sql(`grant pg_monitor to ${login}`);
    await service.sql('revoke select on pg_stat_archiver from public, pg_monitor');
    const isTold = ({ nodes }: HealthReport) => nodes[1]?.receiver?.status && !nodes[0]?.wal;
    const { nodes } = await untilTold(isTold, 'what it may know now is told');
    const [more, follower] = nodes;
    expect(more?.replicas).toMatchObject([
      { address: '127.0.0.1', state: 'streaming', syncState: 'async' },
      { address: '127.0.0.1', state: 'streaming' },
    ]);
    expect(more?.replicas[0]?.replayLagBytes).toBeGreaterThanOrEqual(0n);
    expect(follower?.receiver).toMatchObject({ status: 'streaming', sender: '127.0.0.1' });
    expect(more?.connections?.hidden).toBe(0);
    await service.sql('grant select on pg_stat_archiver to public');
    await service.sql(`revoke pg_monitor from ${login}`);
  });

  it('is the same by both doors and by its page, for a second', async () => {
    const asked = async () => {
      const [report, ...others] = await Promise.all([
        reportPage(),
        ...doorNames.map((door) => service.doors[door].cluster.getHealth({})),
      ]);
      const all = [report, ...others.map((answer) => answer.report)];
      const times = new Set(all.map((each) => timeOf(each?.serverTime)));
      return times.size === 1 ? all : undefined;
    };
    const all = await until(asked, { ...WAIT, what: 'three were asked within one second' });
    const [first, ...rest] = all.map((each) => each && toJson(HealthReportSchema, each));
    expect(rest).toEqual([first, first]);
  });

  it('costs each node one question a second, however many ask', async () => {
    const questions = new Map<string, number>();
    const listener = (message: unknown) => {
      const { statement, node } = message as QueryEvent;
      if (statement !== 'health-sessions' || !names().includes(node)) return;
      questions.set(node, (questions.get(node) ?? 0) + 1);
    };
    queryChannel.subscribe(listener);
    onTestFinished(() => {
      queryChannel.unsubscribe(listener);
    });
    const startedAtMs = performance.now();
    const times = new Set<string>();
    const ask = async () => {
      const reports = await Promise.all([
        // Fewer than are answered at a time.
        ...Array.from({ length: 8 }, () => reportPage()),
        ...Array.from({ length: 16 }, async () => {
          const { report } = await service.doors.gRPC.cluster.getHealth({});
          return report;
        }),
      ]);
      for (const report of reports) times.add(timeOf(report?.serverTime));
      await page('/health');
      await page('/health/database/metrics');
      // A node whose answer took long, as on a busy machine, is not asked for each report.
      return times.size >= 2 && questions.size === names().length;
    };
    await until(ask, { ...WAIT, what: 'two reports were made, and each node was asked' });
    const seconds = Math.ceil((performance.now() - startedAtMs) / 1000);
    expect(times.size).toBeLessThanOrEqual(seconds + 1);
    expect([...questions.keys()].sort()).toEqual(names().sort());
    for (const count of questions.values()) {
      expect(count).toBeGreaterThan(0);
      expect(count).toBeLessThanOrEqual(times.size);
    }
  });

  it('tells nodes that do not answer as they were, and asks nothing more meanwhile', async () => {
    const reporter = eagerReporter();
    const ask = async () => create(HealthReportSchema, healthMessage(await reporter.report()));
    const before = await untilTold(() => true, 'every node has told', ask);
    const holder = await service.database.connect();
    await holder.query('begin');
    await holder.query('lock table pg_stat_archiver in access exclusive mode');
    const waiting = () =>
      service.sql(
        `select from pg_stat_activity
         where datname = current_database() and wait_event_type = 'Lock'
           and application_name = 'stowage internal/Health'`,
      );
    await until(async () => (await ask()) && (await waiting()).length > 0, {
      ...WAIT,
      what: 'the question of its health waits for a lock',
    });
    const times: number[] = [];
    let report = before;
    for (let index = 0; index < 3; index += 1) {
      const startedAtMs = performance.now();
      report = await ask();
      times.push(performance.now() - startedAtMs);
    }
    expect(await waiting()).toHaveLength(1);
    await holder.query('rollback');
    expect(median(times)).toBeLessThan(200);
    const [primary] = report.nodes;
    expect(report).toMatchObject({ canRead: true, canWrite: true });
    expect(primary?.connections?.max).toBe(before.nodes[0]?.connections?.max);
    const observedAt = timeOf(primary?.observedAt);
    const isTold = ({ nodes }: HealthReport) => timeOf(nodes[0]?.observedAt) !== observedAt;
    await untilTold(isTold, 'the primary has told again', ask);
  });
});

/** Holds every table of objects, on the standbys too, until it is let go. */
async function lockObjects(): Promise<() => Promise<unknown>> {
  const holder = await service.database.connect();
  await holder.query('begin');
  await holder.query('lock table storage_objects in access exclusive mode');
  for (const { url } of sharedCluster().nodes.slice(1)) {
    const standby = await openConnection(atDatabase(url, service.database.name));
    const isLocked = async () => {
      // Its commit brings the log to the disk, and so to the standbys.
      await service.sql('insert into node_drains (node) values ($1) on conflict do nothing', ['x']);
      const locks = await standby.query(
        `select from pg_locks where mode = 'AccessExclusiveLock' and granted
           and relation = 'storage_objects'::regclass`,
      );
      return locks.length > 0;
    };
    await until(isLocked, { ...WAIT, what: 'the standbys have the lock' });
    await standby.end();
  }
  await service.sql('delete from node_drains');
  return () => holder.query('rollback');
}

/** Longer than any of it takes. */
const patient = { timeoutMs: 60_000 };
const eventual = { demand: { case: 'eventual', value: true } } as const;

const freshnesses = [strong, eventual, eventual, eventual];

/** Waits until all connections of a class are in use, on every node. */
async function untilFull(pool: 'unaryPool' | 'streamsPool'): Promise<void> {
  const areFull = async () => {
    const { topology } = await service.doors.gRPC.cluster.getTopology({});
    return topology?.nodes.every((node) => node[pool]?.acquired === node[pool]?.sizeMax);
  };
  await until(areFull, { ...WAIT, what: `every ${pool} is full` });
}

type Freshness = typeof strong | typeof eventual;

/** Found missing once it is let through, and refused where no more calls are admitted. */
function heldRead(freshness: Freshness): Promise<unknown> {
  const { storage } = service.doors.gRPC;
  return storage.getObject({ objectKey: 'held', freshness }, patient).catch(() => undefined);
}

/** A stream and a unary call on every node, and some that wait for their connections. */
async function holdAll(): Promise<Promise<unknown>[]> {
  const { storage } = service.doors.gRPC;
  const drain = async (freshness: Freshness) => {
    for await (const _ of storage.streamObjects({ freshness }, patient));
  };
  // Before its first slice a stream asks for its project, as a unary call does.
  const streams = freshnesses.flatMap((each) => [drain(each), drain(each)]);
  await untilFull('streamsPool');
  const reads = freshnesses.flatMap((each) => [heldRead(each), heldRead(each)]);
  await untilFull('unaryPool');
  return [...streams, ...reads];
}

describe('While every connection of every node is in use', () => {
  const paths = ['/livez', '/readyz', '/health', '/health/database', '/health/database/metrics'];

  /** By the time that each page takes in the middle. */
  async function expectQuickPages(): Promise<void> {
    for (const path of paths) {
      const answers = [];
      for (let index = 0; index < 5; index += 1) answers.push(await page(path));
      expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
      expect(median(answers.map(({ tookMs }) => tookMs)), path).toBeLessThan(200);
    }
  }

  /** A machine that is busy elsewhere may hold one up. */
  async function expectQuickReport(): Promise<void> {
    let { text: before } = await page('/health/database');
    const ask = async () => {
      const { text, tookMs } = await page('/health/database');
      const isQuick = text !== before && tookMs < 200;
      before = text;
      return isQuick;
    };
    await until(ask, { ...WAIT, what: 'a report is made anew within 200 ms' });
  }

  it('tells so within 200 ms, also when no more calls are admitted', async () => {
    const release = await lockObjects();
    let calls: Promise<unknown>[] = [];
    try {
      calls = await holdAll();
      const fullAtMs = Date.now();
      const isOfNow = ({ findings, nodes }: HealthReport) =>
        findings.some(({ code }) => code === 'POOL_EXHAUSTED') &&
        nodes.every(({ observedAt }) => millisOf(observedAt) > fullAtMs);
      const report = await untilTold(isOfNow, 'every node has told of now', reportPage);
      expect(report.server?.streams).toBe(8);
      expect(report.findings.map(({ code }) => code)).not.toContain('NODE_NOT_ANSWERING');
      await expectQuickPages();
      await expectQuickReport();
      const { getTopology } = service.doors.gRPC.cluster;
      for (let index = 0; index < UNARY_MAX; index += 1) {
        calls.push(heldRead(eventual));
      }
      const isRefused = () => failure(getTopology({})).catch(() => undefined);
      const refusal = await until(isRefused, { ...WAIT, what: 'no more calls are admitted' });
      expect(refusal).toMatchObject({ reason: 'OVERLOADED' });
      await expectQuickPages();
    } finally {
      await release();
      await Promise.allSettled(calls);
    }
  });
});

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;
}
