/** A server whose database nodes crash, are promoted and come back, with callers at work. */
import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { NodeState, type WatchTopologyResponse } from '../../../src/client/index.js';
import { useFailingService } from '../../support/failing-service.js';
import { type LoadOutcome, objectOf, startLoad } from '../../support/load.js';
import type { Figures } from '../../support/prometheus-text.js';
import { failure } from '../../support/service.js';

const test = useFailingService();
const { nodes } = test;

/** Every node has it from the beginning. */
const known = 'known';

beforeAll(async () => {
  await test.recordEverywhere(known);
});

/** The present primary, the standby that is to follow it in office, and the other one. */
const cast = (): [former: string, next: string, other: string] => {
  const [next, other] = nodes.cluster.standbys.map(({ name }) => name);
  return [nodes.cluster.primary.name, next ?? '', other ?? ''];
};

/** Every acknowledged write is there, and none was done twice. */
async function expectAppliedOnce({ acknowledged }: LoadOutcome): Promise<void> {
  const rows = await nodes.sql<{ object_key: string; changes: string }>(
    nodes.cluster.primary.name,
    `select object_key, count(*) as changes from storage_changes
     where object_key = any($1) and revision = 1 group by object_key order by object_key`,
    [acknowledged],
  );
  const [{ objects } = { objects: '0' }] = await nodes.sql<{ objects: string }>(
    nodes.cluster.primary.name,
    'select count(*) as objects from storage_objects where object_key = any($1) and revision = 1',
    [acknowledged],
  );
  expect(rows).toEqual([...acknowledged].sort().map((key) => ({ object_key: key, changes: '1' })));
  expect(Number(objects)).toBe(acknowledged.length);
}

/** How often the server's metrics have told of a node that it came to a state. */
const arrivals = (told: Figures, name: string, state: string): number =>
  told.sum('stowage_router_transitions_total', {
    stowage_node: test.addressOf(name),
    stowage_to: state,
  });

describe('A server under load', () => {
  it('answers every call while its primary crashes and another is promoted', async () => {
    const [former, next, other] = cast();
    // What is acknowledged is on the standby too, so that no tail is lost with the primary.
    await nodes.alter(former, `alter system set synchronous_standby_names = '${next}'`);
    const load = startLoad(test.storage, { prefix: 'crash', known });
    await load.moreWrites(20);
    const told = test.transitions.mark();
    const before = await test.figures();
    await nodes.cluster.crash(former);
    await told.until(former, 'unreachable');
    const without = await test.figures();
    expect(without.value('stowage_router_can_write')).toBe(0);
    expect(without.value('stowage_router_can_read')).toBe(1);
    expect(without.sum('stowage_node_primary')).toBe(0);
    await load.moreReads(20);
    await nodes.cluster.promote(next);
    await nodes.cluster.repoint(other, next);
    await told.until(next, 'primary');
    await load.moreWrites(20);
    await nodes.cluster.rejoin(former);
    await told.until(former, 'standby');
    const outcome = await load.stop();
    expect(outcome.failures).toEqual({});
    const states = told.of(former);
    const back = states.slice(2);
    expect(states.slice(0, 2)).toEqual(['primary', 'unreachable']);
    // Behind the switch it cannot tell its timeline until the row arrives: unknown, for a moment.
    expect(back).toContain('standby');
    expect(back.filter((state) => state !== 'unknown' && state !== 'standby')).toEqual([]);
    expect(told.of(next)).toEqual(['standby', 'unknown', 'primary']);
    expect(new Set(told.of(other))).not.toContain('unreachable');
    await expectAppliedOnce(outcome);
    const after = await test.figures();
    const [first, last] = [before, after].map((figures) => [
      figures.value('stowage_router_failovers_total'),
      arrivals(figures, former, 'unreachable'),
      arrivals(figures, former, 'standby'),
      arrivals(figures, next, 'primary'),
    ]);
    expect(last).toEqual(first?.map((count) => count + 1));
    const place = { stowage_node: test.addressOf(next) };
    expect(after.value('stowage_node_primary', place)).toBe(1);
    const timeline = before.value('stowage_node_timeline', place);
    expect(after.value('stowage_node_timeline', place)).toBe(timeline + 1);
    expect(after.value('stowage_router_can_write')).toBe(1);
  });

  it('answers every call through a planned switchover, however many write at once', async () => {
    const [former, next, other] = cast();
    const load = startLoad(test.storage, { prefix: 'switchover', known, writers: 30 });
    await load.moreWrites(80);
    const told = test.transitions.mark();
    await nodes.cluster.node(former).stop();
    await nodes.cluster.promote(next);
    await nodes.cluster.repoint(other, next);
    await nodes.rejoinNaively(former);
    await told.until(former, 'standby');
    await load.moreWrites(80);
    const outcome = await load.stop();
    expect(outcome.failures).toEqual({});
    expect(told.of(former)).toEqual(['primary', 'unreachable', 'standby']);
    expect(told.of(next)).toEqual(['standby', 'unknown', 'primary']);
    expect(new Set(told.of(other))).not.toContain('unreachable');
    await nodes.cluster.waitUntilCaughtUp();
    await expectAppliedOnce(outcome);
  });

  it('answers every read while a standby crashes and comes back', async () => {
    const [primary, crashing] = cast();
    const told = test.transitions.mark();
    // Standbys replay the lock too: when one of them dies, reads stand before it in the midst.
    const holder = await nodes.connect(primary, 'superuser');
    await holder.query('begin');
    await holder.query('lock table storage_objects in access exclusive mode');
    // A commit brings it to them.
    await nodes.sql(primary, "select pg_logical_emit_message(true, 'lock', '')");
    await nodes.cluster.waitUntilCaughtUp();
    const reads = Promise.all(
      Array.from({ length: 10 }, () => test.storage.getObject({ objectKey: known })),
    );
    await nodes.untilWaiting(crashing, 'relation');
    await nodes.cluster.crash(crashing);
    await holder.query('rollback');
    await holder.end();
    expect((await reads).map(({ object }) => object?.objectKey)).toEqual(Array(10).fill(known));
    await told.until(crashing, 'unreachable');
    const load = startLoad(test.storage, { prefix: 'standby', known, readers: 4 });
    await load.moreReads(50);
    await nodes.cluster.restart(crashing);
    await told.until(crashing, 'standby');
    await load.moreReads(50);
    const outcome = await load.stop();
    expect(outcome.failures).toEqual({});
    expect(told.lines()).toEqual([
      `${crashing}: standby > unreachable`,
      `${crashing}: unreachable > standby`,
    ]);
    await nodes.cluster.waitUntilCaughtUp();
  });
});

describe('A server without any node', () => {
  /** What a watch tells of transitions, up to the one after which all nodes serve again. */
  async function linesUntilServed(changes: AsyncIterable<WatchTopologyResponse>) {
    const lines: string[] = [];
    for await (const { transition, topology } of changes) {
      if (transition === undefined) continue;
      const { node, fromState, toState } = transition;
      lines.push(`${test.nameOf(node)}: ${wordOf(fromState)} > ${wordOf(toState)}`);
      if (topology?.nodes.every(({ state }) => isServing(state))) return lines;
    }
    throw new Error('the watch has ended');
  }

  const wordOf = (state: NodeState): string => NodeState[state].toLowerCase();
  const isServing = (state: NodeState): boolean =>
    state === NodeState.PRIMARY || state === NodeState.STANDBY;

  it('answers NO_NODE within a second, lets writes wait, and serves all in the end', async () => {
    const { name: primary } = nodes.cluster.primary;
    const names = nodes.cluster.nodes.map(({ name }) => name);
    const told = test.transitions.mark();
    const watching = new AbortController();
    const changes = test.cluster.watchTopology({}, { signal: watching.signal });
    const begun = changes[Symbol.asyncIterator]();
    await begun.next();
    const watched = linesUntilServed({ [Symbol.asyncIterator]: () => begun });
    await Promise.all(names.map((name) => nodes.cluster.crash(name)));
    for (const name of names) await told.until(name, 'unreachable');
    const write = test.storage.recordObject({ object: objectOf('waiting') }, { timeoutMs: 30_000 });
    const startedAtMs = performance.now();
    const refusal = await failure(test.storage.getObject({ objectKey: known }));
    const tookMs = performance.now() - startedAtMs;
    expect(refusal).toMatchObject({ reason: 'NO_NODE', retry: 'after_delay' });
    expect(refusal.retryDelayMs).toBeGreaterThan(0);
    expect(tookMs, `NO_NODE took ${tookMs} ms`).toBeLessThan(3_000);
    const { topology } = await test.cluster.getTopology({});
    expect(topology).toMatchObject({ primary: '', canRead: false, canWrite: false });
    const figures = await test.figures();
    expect(figures.value('stowage_router_can_read')).toBe(0);
    expect(figures.sum('stowage_node_state', { stowage_state: 'unreachable' })).toBe(3);
    await Promise.all(names.map((name) => nodes.cluster.restart(name)));
    expect((await write).object?.revision).toBe(1n);
    for (const name of names) {
      const role = name === primary ? 'primary' : 'standby';
      await told.until(name, role);
      expect(told.of(name)).toEqual([role, 'unreachable', role]);
    }
    const { object } = await test.storage.getObject({ objectKey: 'waiting' });
    expect(object?.revision).toBe(1n);
    expect(await watched).toEqual(told.lines());
    watching.abort();
    await nodes.cluster.waitUntilCaughtUp();
  });

  it('says NO_PRIMARY when none has come by the deadline, and reads all the while', async () => {
    const { name: primary } = nodes.cluster.primary;
    const told = test.transitions.mark();
    await nodes.cluster.crash(primary);
    const object = objectOf('too late');
    const refusal = await failure(test.storage.recordObject({ object }, { timeoutMs: 800 }));
    expect(refusal).toMatchObject({ reason: 'NO_PRIMARY', retry: 'after_delay' });
    expect(refusal.retryDelayMs).toBeGreaterThan(0);
    expect((await test.storage.getObject({ objectKey: known })).object?.objectKey).toBe(known);
    await nodes.cluster.restart(primary);
    await told.until(primary, 'primary');
    expect(told.lines()).toEqual([
      `${primary}: primary > unreachable`,
      `${primary}: unreachable > primary`,
    ]);
    await nodes.cluster.waitUntilCaughtUp();
  });
});

describe('A server in the midst of COMMIT', () => {
  const LONG = { timeoutMs: 30_000 };

  /** A request to record an object, with an id or without. */
  const requestFor = (objectKey: string, requestId = '') => ({
    object: objectOf(objectKey),
    requestId,
  });

  /** What the primary has of an object: its revision, and how many changes made it. */
  async function historyOf(objectKey: string) {
    const [row] = await nodes.sql<{ revision: string; changes: string }>(
      nodes.cluster.primary.name,
      `select (select revision from storage_objects where object_key = $1) as revision,
              (select count(*) from storage_changes where object_key = $1) as changes`,
      [objectKey],
    );
    return row;
  }

  /** A call that is awaited later; its failure, if it has one, is met there. */
  function answered<T>(call: Promise<T>): Promise<T> {
    call.catch(() => undefined);
    return call;
  }

  const once = { revision: '1', changes: '1' };

  /** How many commits in doubt have ended so. */
  const doubts = async (end: string): Promise<number> =>
    (await test.figures()).value('stowage_commits_in_doubt_total', { stowage_end: end });

  it('answers a commit that outlived the crash of its primary as it was done, once', async () => {
    const { name: primary } = nodes.cluster.primary;
    await nodes.holdCommits();
    const before = await doubts('answered');
    const request = requestFor('survived', randomUUID());
    const call = answered(test.plain.recordObject(request, LONG));
    await nodes.untilWaiting(primary, 'SyncRep');
    const told = test.transitions.mark();
    await nodes.cluster.crash(primary);
    await told.until(primary, 'unreachable');
    await nodes.cluster.restart(primary);
    await nodes.releaseCommits();
    const answer = await call;
    expect(answer.object?.revision).toBe(1n);
    expect(await historyOf('survived')).toEqual(once);
    const again = await test.plain.recordObject(request);
    expect(again.object).toEqual(answer.object);
    expect(await historyOf('survived')).toEqual(once);
    expect(told.of(primary)).toEqual(['primary', 'unreachable', 'primary']);
    expect(await doubts('answered')).toBe(before + 1);
  });

  it('does a commit again, once, that was lost with its primary', async () => {
    const { name: primary } = nodes.cluster.primary;
    const [promoted = '', other = ''] = nodes.cluster.standbys.map(({ name }) => name);
    await nodes.holdCommits();
    const before = await doubts('repeated');
    const request = requestFor('lost', randomUUID());
    const call = answered(test.plain.recordObject(request, LONG));
    await nodes.untilWaiting(primary, 'SyncRep');
    const told = test.transitions.mark();
    await nodes.cluster.crash(primary);
    await nodes.cluster.promote(promoted);
    await nodes.cluster.repoint(other, promoted);
    await told.until(promoted, 'primary');
    expect((await call).object?.revision).toBe(1n);
    expect(await historyOf('lost')).toEqual(once);
    expect(told.of(primary)).toEqual(['primary', 'unreachable']);
    expect(told.of(promoted)).toEqual(['standby', 'unknown', 'primary']);
    expect(await doubts('repeated')).toBe(before + 1);
  });

  it('says COMMIT_OUTCOME_UNKNOWN of a commit without a request id', async () => {
    const { name: primary } = nodes.cluster.primary;
    await nodes.holdCommits();
    const before = await doubts('unknown');
    const refused = failure(test.plain.recordObject(requestFor('nameless'), LONG));
    await nodes.untilWaiting(primary, 'SyncRep');
    const told = test.transitions.mark();
    await nodes.cluster.crash(primary);
    expect(await refused).toMatchObject({
      reason: 'COMMIT_OUTCOME_UNKNOWN',
      retry: 'same_request_id',
    });
    await nodes.cluster.restart(primary);
    await nodes.releaseCommits();
    await told.until(primary, 'primary');
    expect(told.of(primary)).toEqual(['primary', 'unreachable', 'primary']);
    expect(await historyOf('nameless')).toEqual(once);
    expect(await doubts('unknown')).toBe(before + 1);
  });

  it('says COMMIT_NOT_REPLICATED where the wait was cancelled, of a repeat too', async () => {
    const { primary, standbys } = nodes.cluster;
    await nodes.holdCommits();
    const request = requestFor('alone', randomUUID());
    const timestamp = { seconds: BigInt(Math.floor(Date.now() / 1000)), nanos: 0 };
    const event = { id: randomUUID(), timestamp, action: 'ALONE' };
    const record = () => test.plain.recordObject(request, LONG);
    const append = () => test.audit.appendEvent({ event }, LONG);
    // The repeat finds what is there, and must not tell it as durable before it is.
    for (const call of [record, record, append, append]) {
      const refused = failure(call());
      await nodes.untilWaiting(primary.name, 'SyncRep');
      await nodes.cancelHeldCommits();
      expect(await refused).toMatchObject({
        reason: 'COMMIT_NOT_REPLICATED',
        retry: 'same_request_id',
      });
    }
    for (const { name } of standbys) await nodes.cluster.repoint(name, primary.name);
    expect((await record()).object?.revision).toBe(1n);
    expect((await append()).id).toBe(event.id);
    await nodes.releaseCommits();
    expect(await historyOf('alone')).toEqual(once);
  });
});
