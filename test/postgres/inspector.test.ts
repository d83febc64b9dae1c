// What operators ask of a node while its pools are exhausted; what is told of slow statements.
import { describe, expect, it, onTestFinished } from 'vitest';
import { until } from '../../src/lib/wait.js';
import type { SlowStatementEvent } from '../../src/postgres/events.js';
import { type QueryEvent, queryChannel, slowChannel } from '../../src/postgres/events.js';
import { statement } from '../../src/postgres/statement.js';
import { sharedCluster } from '../support/cluster.js';
import { settled, startTestRouter, testCall } from '../support/router.js';
import { useRouter } from '../support/use-router.js';

const WAIT = { timeoutMs: 10_000 };

const whoami = statement<{ role: string; in_recovery: boolean; name: string }>({
  name: 'test-whoami',
  intent: 'read',
  text: `select current_user as role, pg_is_in_recovery() as in_recovery,
                current_setting('application_name') as name`,
});

const sleep = statement({
  name: 'test-sleep',
  intent: 'readPrimary',
  text: 'select pg_sleep($1::float8)',
});

const findNote = statement<{ id: number }>({
  name: 'test-find-note',
  intent: 'readPrimary',
  text: 'select (select id from notes where body = $1) as id from pg_sleep(0.06)',
});

const insertNote = statement<{ id: number }>({
  name: 'test-insert-slow-note',
  intent: 'write',
  text: `insert into notes (id, body) select $1, $2 from pg_sleep(0.06)`,
});

const options = { slowStatements: { thresholdMs: 50, withParameters: false } };

const fixture = useRouter({
  settings: { connectionsMax: 4, queueMax: 1 },
  router: options,
  prepare: [
    'create table notes (id int primary key, body text)',
    'insert into notes select n, n::text from generate_series(1, 1000) n',
    'analyze notes',
    'grant select, insert on notes to stowage_service',
  ],
});

/** The events of a channel from here to the end of the test. */
function heard<T>(channel: typeof slowChannel): T[] {
  const events: T[] = [];
  const listen = (event: unknown) => events.push(event as T);
  channel.subscribe(listen);
  onTestFinished(() => void channel.unsubscribe(listen));
  return events;
}

describe('inspect', () => {
  const names = () => fixture.router.topology().nodes.map(({ name }) => name);

  it('asks each node by its name while its pools are exhausted', async () => {
    const { router } = fixture;
    const { primary = '' } = router.topology();
    const isHeld = () => {
      const { unary } = router.topology().nodes.find(({ name }) => name === primary)?.pools ?? {};
      return unary !== undefined && unary.acquired === unary.sizeMax && unary.waiting === 1;
    };
    const controller = new AbortController();
    const call = () => testCall({ signal: controller.signal });
    const held = Array.from({ length: 2 }, () => router.run(sleep, [30], call()));
    const ended = Promise.allSettled(held);
    await until(isHeld, { ...WAIT, what: 'the pool is exhausted' });
    await expect(router.run(sleep, [0], testCall())).rejects.toMatchObject({
      reason: 'OVERLOADED',
    });
    for (const name of names()) {
      const [row] = await router.inspect(name, whoami, [], testCall());
      expect(row?.in_recovery).toBe(name !== primary);
      expect(row?.name).toBe('stowage TestService/Test');
    }
    controller.abort();
    await ended;
    await settled(router);
  });

  it('tells its listeners of its statement, by node and role', async () => {
    const { router } = fixture;
    const events = heard<QueryEvent>(queryChannel);
    for (const name of names()) await router.inspect(name, whoami, [], testCall());
    expect(events.map(({ node, rows, role }) => [node, rows, role])).toEqual(
      names().map((name) => [name, 1, name === router.topology().primary ? 'primary' : 'standby']),
    );
  });

  it('knows no other nodes, and no call outlives its deadline', async () => {
    const { router } = fixture;
    const { primary = '' } = router.topology();
    const stranger = router.inspect('db9:5432', whoami, [], testCall());
    await expect(stranger).rejects.toMatchObject({
      reason: 'NODE_NOT_FOUND',
      metadata: { node: 'db9:5432' },
    });
    const late = router.inspect(primary, sleep, [30], testCall({ timeoutMs: 100 }));
    await expect(late).rejects.toMatchObject({ reason: 'DEADLINE_EXCEEDED' });
    expect(await router.inspect(primary, whoami, [], testCall())).toHaveLength(1);
  });
});

describe('a slow statement', () => {
  const told = async (events: SlowStatementEvent[], count: number) => {
    await until(() => events.length >= count, { ...WAIT, what: `${count} are told` });
    return events.at(count - 1);
  };

  it('is told with its time and a digest of its plan, equal for equal plans', async () => {
    const { router, admin } = fixture;
    const events = heard<SlowStatementEvent>(slowChannel);
    const call = testCall();
    await router.run(findNote, ['7'], call);
    const first = await told(events, 1);
    expect(first).toMatchObject({
      statement: 'test-find-note',
      node: router.topology().primary,
      role: 'primary',
      requestId: call.requestId,
      params: undefined,
    });
    expect(first?.durationMs).toBeGreaterThan(50);
    expect(first?.planHash).toMatch(/^[0-9a-f]{12}$/);
    // Another router has not asked for it yet, and finds the same; then the other plan.
    for (const change of [undefined, 'create index on notes (body)']) {
      if (change !== undefined) await admin.query(change);
      const { database } = fixture;
      const target = { url: database.serviceUrl ?? '', nodes: sharedCluster().nodes };
      await using another = await startTestRouter(target, {}, options);
      await another.run(findNote, ['8'], testCall());
      const { planHash } = (await told(events, change === undefined ? 2 : 3)) ?? {};
      expect(planHash === first?.planHash).toBe(change === undefined);
      expect(planHash).toMatch(/^[0-9a-f]{12}$/);
    }
  });

  it('is told of a write, which explaining does not repeat', async () => {
    const { router, admin } = fixture;
    const events = heard<SlowStatementEvent>(slowChannel);
    await router.run(insertNote, [2000, 'secret'], testCall());
    const event = await told(events, 1);
    expect(event).toMatchObject({ statement: 'test-insert-slow-note', params: undefined });
    expect(event?.planHash).toMatch(/^[0-9a-f]{12}$/);
    expect(await admin.query('select id from notes where id >= 2000')).toHaveLength(1);
    expect(JSON.stringify(events)).not.toContain('secret');
  });

  it('is told with its parameters, cut, where that is asked for', async () => {
    const { database } = fixture;
    const target = { url: database.serviceUrl ?? '', nodes: sharedCluster().nodes };
    const slowStatements = { thresholdMs: 50, withParameters: true };
    await using router = await startTestRouter(target, {}, { slowStatements });
    const events = heard<SlowStatementEvent>(slowChannel);
    await router.run(findNote, ['short'], testCall());
    expect((await told(events, 1))?.params).toBe('"short"');
    await router.run(findNote, ['x'.repeat(5_000)], testCall());
    expect((await told(events, 2))?.params).toMatch(/^"x{999}…$/);
  });

  it('is not told where it is quick', async () => {
    const events = heard<SlowStatementEvent>(slowChannel);
    const { router } = fixture;
    await router.run(whoami, [], testCall());
    await router.run(sleep, [0.06], testCall());
    expect((await told(events, 1))?.statement).toBe('test-sleep');
  });
});
