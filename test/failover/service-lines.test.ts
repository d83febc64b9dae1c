/** A server whose nodes are full, and whose lines to them fail or lead elsewhere. */
import { readFile } from 'node:fs/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { until } from '../../src/lib/wait.js';
import { useFailingService } from '../support/failing-service.js';
import { objectOf, startLoad } from '../support/load.js';
import { failure } from '../support/service.js';

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
