/** A server whose nodes are full, silent, die or replay in the midst of what they are asked. */
import { readFile } from 'node:fs/promises';
import { fromJsonString } from '@bufbuild/protobuf';
import { beforeAll, describe, expect, it } from 'vitest';
import { HealthReportSchema, HealthStatus } from '../../../gen/stowage/v1/health_pb.js';
import { until } from '../../../src/lib/wait.js';
import { statement } from '../../../src/postgres/statement.js';
import { streamChecked } from '../../support/checked-stream.js';
import { useFailingService } from '../../support/failing-service.js';
import { objectOf, startLoad } from '../../support/load.js';
import { settled, startTestRouter, testCall } from '../../support/router.js';
import { failure } from '../../support/service.js';

/** As a server is by default: the time that a silent node costs is what is measured. */
const environment = { STOWAGE_PROBE_INTERVAL_MS: '500', STOWAGE_PROBE_TIMEOUT_MS: '300' };

const test = useFailingService({ hasLines: true, environment });
const { nodes } = test;

/** Every node has it from the beginning. */
const known = 'known';

beforeAll(async () => {
  await test.recordEverywhere(known);
});

/** How often each of the keys was changed, all of them together. */
async function changesOf(prefix: string): Promise<number> {
  const [row] = await nodes.sql<{ changes: string }>(
    nodes.cluster.primary.name,
    'select count(*) as changes from storage_changes where object_key like $1',
    [`${prefix}%`],
  );
  return Number(row?.changes);
}

describe('A server whose node has no connection left', () => {
  /** Leaves the service's login as many connections to the node as it has, on every other more. */
  async function fill(name: string): Promise<() => Promise<void>> {
    const login = new URL(nodes.database.serviceUrl ?? '').username;
    const { name: primary } = nodes.cluster.primary;
    await nodes.sql(primary, `alter role ${login} connection limit 12`);
    await nodes.cluster.waitUntilCaughtUp();
    const taken: Awaited<ReturnType<typeof nodes.connect>>[] = [];
    const takeOne = () =>
      nodes.connect(name, 'service').then(
        (one) => taken.push(one),
        () => 0,
      );
    await until(async () => (await takeOne()) === 0, { timeoutMs: 20_000, what: 'it is full' });
    return async () => {
      await nodes.sql(primary, `alter role ${login} connection limit -1`);
      await Promise.all(taken.map((one) => one.end()));
      await nodes.cluster.waitUntilCaughtUp();
    };
  }

  /** How many connections the node has refused so far, the test's own among them. */
  async function refusalsOf(name: string): Promise<number> {
    const log = await readFile(`${nodes.cluster.node(name).folder}.log`, 'utf8');
    return log.split('too many connections for role').length - 1;
  }

  /** So many calls at once that no node has connections for its part of them open. */
  const MANY = 60;

  it('writes or says OVERLOADED while the primary is full, and writes all afterwards', async () => {
    const { name } = nodes.cluster.primary;
    const release = await fill(name);
    const before = await refusalsOf(name);
    const write = (index: number) =>
      test.storage.recordObject({ object: objectOf(`full/${index}`) }).then(
        () => 'written',
        (error: unknown) => failure(Promise.reject(error)).then(({ reason }) => `${reason}`),
      );
    const outcomes = await Promise.all(Array.from({ length: MANY }, (_, index) => write(index)));
    expect(await refusalsOf(name)).toBeGreaterThan(before);
    expect(outcomes.filter((each) => each !== 'written' && each !== 'OVERLOADED')).toEqual([]);
    expect(outcomes).toContain('written');
    expect(await changesOf('full/')).toBe(outcomes.filter((each) => each === 'written').length);
    await release();
    const after = await Promise.all(
      Array.from({ length: MANY }, (_, index) => write(MANY + index)),
    );
    expect(new Set(after)).toEqual(new Set(['written']));
  });

  it('reads elsewhere while a standby is full', async () => {
    const [name = ''] = nodes.cluster.standbys.map((standby) => standby.name);
    const release = await fill(name);
    const before = await refusalsOf(name);
    const reads = Array.from({ length: MANY }, () => test.storage.getObject({ objectKey: known }));
    const answers = await Promise.all(reads);
    expect(await refusalsOf(name)).toBeGreaterThan(before);
    expect(answers.every(({ object }) => object?.objectKey === known)).toBe(true);
    await release();
  });
});

describe('A server with a line that forwards nothing', () => {
  it('reads around a silent standby within about a second, and no read fails', async () => {
    const [name = ''] = nodes.cluster.standbys.map((standby) => standby.name);
    const load = startLoad(test.storage, { prefix: 'silent', known, readers: 4 });
    await load.moreReads(50);
    const told = test.transitions.mark();
    const startedAtMs = performance.now();
    test.lineTo(name).blackhole();
    await told.until(name, 'unreachable');
    const tookMs = performance.now() - startedAtMs;
    await load.moreReads(50);
    test.lineTo(name).restore();
    await told.until(name, 'standby');
    const outcome = await load.stop();
    expect(outcome.failures).toEqual({});
    expect(tookMs, `it was routed around after ${tookMs} ms`).toBeLessThan(3_000);
    const { longestReadMs } = outcome;
    expect(longestReadMs, `the longest read took ${longestReadMs} ms`).toBeLessThan(3_500);
    expect(told.of(name)).toEqual(['standby', 'unreachable', 'standby']);
  });

  it('tells how it is within 200 ms while a line is silent, and while all are', async () => {
    const anewMs: number[] = [];
    const times = new Set<string>();
    const ask = async () => {
      const startedAtMs = performance.now();
      const answer = await fetch(`${test.httpUrl}/health/database`);
      const report = fromJsonString(HealthReportSchema, await answer.text());
      const time = `${report.serverTime?.seconds}.${report.serverTime?.nanos}`;
      if (!times.has(time)) anewMs.push(performance.now() - startedAtMs);
      times.add(time);
      return { report, status: answer.status };
    };
    const untilReport = (
      what: string,
      fits: (answer: Awaited<ReturnType<typeof ask>>) => unknown,
    ) => until(async () => fits(await ask()), { timeoutMs: 20_000, what });
    await untilReport('every node has told', ({ report }) =>
      report.nodes.every(({ observedAt }) => observedAt !== undefined),
    );
    const line = test.lineTo(nodes.cluster.standbys[0]?.name ?? '');
    line.blackhole();
    await untilReport('it is found, and told as it was', ({ report: { findings, nodes: all } }) => {
      const isFound = findings.some(
        ({ code, node }) => code === 'NODE_UNREACHABLE' && node === line.address,
      );
      const silent = all.find(({ node }) => node?.name === line.address);
      return isFound && silent?.observedAt !== undefined;
    });
    for (const { name } of nodes.cluster.nodes) test.lineTo(name).blackhole();
    await untilReport('it is down', ({ report, status }) => {
      return status === 503 && report.status === HealthStatus.DOWN;
    });
    const statusOf = async (path: string) => (await fetch(`${test.httpUrl}${path}`)).status;
    expect(await Promise.all(['/livez', '/readyz', '/health'].map(statusOf))).toEqual([
      ...[200, 503, 503],
    ]);
    const median = anewMs.sort((a, b) => a - b)[Math.floor(anewMs.length / 2)];
    expect(median, `made anew in ${anewMs.map(Math.round)} ms`).toBeLessThan(200);
  });

  it('does each write once over a silence of the primary', async () => {
    const { name } = nodes.cluster.primary;
    const load = startLoad(test.storage, { prefix: 'mute', known });
    await load.moreWrites(20);
    const told = test.transitions.mark();
    test.lineTo(name).blackhole();
    await told.until(name, 'unreachable');
    await load.moreReads(20);
    test.lineTo(name).restore();
    await told.until(name, 'primary');
    await load.moreWrites(20);
    const outcome = await load.stop();
    expect(outcome.failures).toEqual({});
    expect(await changesOf('mute/')).toBe(outcome.acknowledged.length);
    expect(told.of(name)).toEqual(['primary', 'unreachable', 'primary']);
  });

  it('answers every call while each of its lines is reset in turn', async () => {
    const load = startLoad(test.storage, { prefix: 'reset', known });
    for (const { name } of nodes.cluster.nodes) {
      await load.moreWrites(10);
      test.lineTo(name).reset();
    }
    await load.moreWrites(20);
    const outcome = await load.stop();
    expect(outcome.failures).toEqual({});
    expect(await changesOf('reset/')).toBe(outcome.acknowledged.length);
  });
});

describe('A server whose primary has moved to another address', () => {
  it('does each of many writes once, though its new connections meet a standby', async () => {
    const { name } = nodes.cluster.primary;
    const [standby = ''] = nodes.cluster.standbys.map((node) => node.name);
    const line = test.lineTo(name);
    const told = test.transitions.mark();
    // Those that are open go on to the primary; every further one is refused to write, with 25006.
    line.retarget(`tcp://${nodes.addressOf(standby)}`);
    const keys = Array.from({ length: 40 }, (_, index) => `storm/${index}`);
    const writes = Promise.all(
      keys.map((objectKey) => test.storage.recordObject({ object: objectOf(objectKey) })),
    );
    const outcome = writes.then(
      () => undefined,
      () => failure(writes),
    );
    await until(() => told.of(name).length > 1, { timeoutMs: 20_000, what: 'it is demoted' });
    line.retarget(`tcp://${nodes.addressOf(name)}`);
    line.reset();
    expect(await outcome).toBe(undefined);
    expect(await changesOf('storm/')).toBe(keys.length);
    expect(told.of(name).at(-1)).toBe('primary');
  });
});

describe('A server in the midst of a stream or a read', () => {
  /** So many, and so large, that the first slice of a stream does not fit into the sockets. */
  const OBJECTS = 5_000;
  const FILLER_BYTES = 8_000;
  const ALL_KEYS = Array.from({ length: OBJECTS }, (_, index) => `many/${10_000 + index}`);

  const passGate = statement<{ passed: boolean }>({
    name: 'test-pass-gate',
    intent: 'read',
    text: 'select pg_advisory_xact_lock_shared(7) is not null as passed',
  });

  beforeAll(async () => {
    const { name } = nodes.cluster.primary;
    await nodes.sql(
      name,
      `insert into storage_objects (project_id, object_key, id, size, version_id,
         storage_backend, metadata)
       select 'default', key, gen_random_uuid(), 1, 'v1', 'local',
         jsonb_build_object('filler', repeat('x', $2))
       from unnest($1::text[]) as key`,
      [ALL_KEYS, FILLER_BYTES],
    );
    await nodes.sql(name, 'create table churn as select n from generate_series(1, 1000) as n');
    await nodes.sql(name, 'vacuum churn');
    await nodes.cluster.waitUntilCaughtUp();
  });

  /** Streams all of them, and meets with `midway` once the node stands still for its reader. */
  async function streamAll(midway: (servedBy: string) => Promise<void>) {
    const { keys, servedBy } = await streamChecked(test.storage, 'many/', async (address) => {
      const node = test.nameOf(address) ?? '';
      await nodes.untilWaiting(node, 'ClientWrite');
      await midway(node);
    });
    expect(keys).toEqual(ALL_KEYS);
    return servedBy.map((address) => test.nameOf(address));
  }

  /** Standbys cancel at once what stands in the way of replay. */
  async function haveNoPatience(): Promise<void> {
    for (const { name } of nodes.cluster.standbys) {
      await nodes.alter(name, 'alter system set max_standby_streaming_delay = 0');
      const isTaken = async () => {
        const [row] = await nodes.sql<{ delay: string }>(
          name,
          "select current_setting('max_standby_streaming_delay') as delay",
        );
        return row?.delay === '0';
      };
      await until(isTaken, { timeoutMs: 20_000, what: `${name} has taken the setting in` });
    }
  }

  /** How many statements a node has cancelled for replay. */
  async function cancellationsOf(name: string): Promise<number> {
    const log = await readFile(`${nodes.cluster.node(name).folder}.log`, 'utf8');
    return log.split('due to conflict with recovery').length - 1;
  }

  /**
   * Removes rows that an older snapshot could still see, until the node has cancelled a statement
   * for it, or its replay stands still before one that its reader keeps from hearing of it. While
   * any snapshot on the primary needs them, the rows stay.
   */
  async function cancelReadsOf(name: string): Promise<void> {
    const { name: primary } = nodes.cluster.primary;
    const before = await cancellationsOf(name);
    let replayed: string | undefined;
    const isInConflict = async () => {
      await nodes.sql(primary, 'update churn set n = n');
      await nodes.sql(primary, 'vacuum churn');
      // Its commit brings the log to the disk, and so to the standbys.
      await nodes.sql(primary, 'insert into churn values (0)');
      const [row] = await nodes.sql<{ lsn: string }>(
        name,
        'select pg_last_wal_replay_lsn() as lsn',
      );
      const stands = row?.lsn === replayed;
      replayed = row?.lsn;
      return stands || (await cancellationsOf(name)) > before;
    };
    await until(isInConflict, { timeoutMs: 20_000, what: `replay on ${name} is in conflict` });
  }

  it('ends a stream whole on another node when its own is killed', async () => {
    const told = test.transitions.mark();
    const servedBy = await streamAll(async (node) => {
      await nodes.cluster.crash(node);
      await told.until(node, 'unreachable');
    });
    expect(servedBy).toHaveLength(2);
    const [killed = ''] = servedBy;
    expect(told.lines()).toEqual([`${killed}: standby > unreachable`]);
  });

  it('ends a stream whole when its node cancels it for replay', async () => {
    await haveNoPatience();
    const told = test.transitions.mark();
    let before = 0;
    const [cancelling = ''] = await streamAll(async (node) => {
      before = await cancellationsOf(node);
      await cancelReadsOf(node);
    });
    expect(await cancellationsOf(cancelling)).toBeGreaterThan(before);
    expect(told.lines()).toEqual([]);
  });

  it('reads elsewhere, and tells nobody, when a standby cancels a read for replay', async () => {
    await haveNoPatience();
    const target = {
      url: nodes.database.serviceUrl ?? '',
      nodes: nodes.cluster.nodes.map(({ port }) => ({ host: 'localhost', port })),
    };
    const router = await startTestRouter(target);
    const told = test.transitions.mark();
    const [name = ''] = nodes.cluster.standbys.map((standby) => standby.name);
    const before = await cancellationsOf(name);
    // On this standby alone a read has to wait, however long; it sees what is removed meanwhile.
    const holder = await nodes.connect(name, 'superuser');
    await holder.query('select pg_advisory_lock(7)');
    const reads = Promise.all(
      Array.from({ length: 8 }, () => router.run(passGate, [], testCall())),
    );
    await nodes.untilWaiting(name, 'advisory');
    await cancelReadsOf(name);
    expect(await reads).toEqual(Array.from({ length: 8 }, () => [{ passed: true }]));
    expect(await cancellationsOf(name)).toBeGreaterThan(before);
    expect(told.lines()).toEqual([]);
    await holder.end();
    await settled(router);
    await router.close();
  });
});
