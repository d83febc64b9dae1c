import { describe, expect, it } from 'vitest';
import { StowageError } from '../../src/errors.js';
import { until } from '../../src/lib/wait.js';
import { statement } from '../../src/postgres/statement.js';
import { settled, testCall } from '../support/router.js';
import { useRouter } from '../support/use-router.js';

const sleep = statement<{ pid: number }>({
  name: 'test-sleep',
  intent: 'readPrimary',
  text: 'select pg_backend_pid() as pid from pg_sleep($1::float8)',
});

const backend = statement<{ pid: number }>({
  name: 'test-backend',
  intent: 'readPrimary',
  text: 'select pg_backend_pid() as pid',
});

describe('A call that ends early', () => {
  // One unary connection: that it serves again proves that it came back.
  const fixture = useRouter({ settings: { connectionsMax: 4, connectionsMin: 1 } });

  const sleepers = async (): Promise<number> => {
    const rows = await fixture.admin.query<{ count: string }>(
      `select count(*) from pg_stat_activity
       where datname = $1 and state = 'active' and query like '%pg_sleep(%'
         and pid <> pg_backend_pid()`,
      [fixture.database.name],
    );
    return Number(rows[0]?.count);
  };
  const untilSleeping = () =>
    until(async () => (await sleepers()) === 1, { timeoutMs: 10_000, what: 'the query runs' });
  const untilGone = () =>
    until(async () => (await sleepers()) === 0, { timeoutMs: 10_000, what: 'the query is gone' });
  const pid = async (): Promise<number | undefined> => {
    const [row] = await fixture.router.run(backend, [], testCall());
    return row?.pid;
  };

  it('cancels its query and keeps the connection', async () => {
    const before = await pid();
    const controller = new AbortController();
    const promise = fixture.router.run(sleep, [60], testCall({ signal: controller.signal }));
    const outcome = expect(promise).rejects.toMatchObject({ reason: 'CANCELLED' });
    await untilSleeping();
    controller.abort();
    await outcome;
    await untilGone();
    expect(await pid()).toBe(before);
  });

  it('fails with the reason of its signal', async () => {
    const controller = new AbortController();
    const promise = fixture.router.run(sleep, [60], testCall({ signal: controller.signal }));
    const draining = new StowageError('DRAINING');
    const outcome = expect(promise).rejects.toBe(draining);
    await untilSleeping();
    controller.abort(draining);
    await outcome;
    await untilGone();
  });

  it('cancels its query at the deadline', async () => {
    const before = await pid();
    const promise = fixture.router.run(sleep, [60], testCall({ timeoutMs: 200 }));
    await expect(promise).rejects.toMatchObject({ reason: 'DEADLINE_EXCEEDED' });
    await untilGone();
    expect(await pid()).toBe(before);
  });

  it('sends nothing when its deadline has passed', async () => {
    const promise = fixture.router.run(sleep, [60], testCall({ timeoutMs: -1 }));
    await expect(promise).rejects.toMatchObject({ reason: 'DEADLINE_EXCEEDED' });
    expect(await sleepers()).toBe(0);
  });

  it('rolls its transaction back and keeps the connection', async () => {
    const before = await pid();
    const controller = new AbortController();
    const call = testCall({ signal: controller.signal });
    const promise = fixture.router.transaction(call, async (transaction) => {
      await transaction.run(sleep, [0]);
      await transaction.run(sleep, [60]);
    });
    const outcome = expect(promise).rejects.toMatchObject({ reason: 'CANCELLED' });
    await untilSleeping();
    controller.abort();
    await outcome;
    await settled(fixture.router);
    expect(await pid()).toBe(before);
  });

  it('never cancels the next query of the connection', async () => {
    for (let round = 0; round < 30; round += 1) {
      const controller = new AbortController();
      const first = fixture.router.run(sleep, [0.001], testCall({ signal: controller.signal }));
      const next = fixture.router.run(sleep, [0.002], testCall());
      if (round % 2 === 0) setImmediate(() => controller.abort());
      else controller.abort();
      await first.catch(() => undefined);
      expect(await next).toHaveLength(1);
    }
  });

  it('leaves the line it waits in', async () => {
    const blocker = fixture.router.run(sleep, [60], testCall({ timeoutMs: 1_000 }));
    const blocked = expect(blocker).rejects.toMatchObject({ reason: 'DEADLINE_EXCEEDED' });
    await untilSleeping();
    const controller = new AbortController();
    const waiting = fixture.router.run(backend, [], testCall({ signal: controller.signal }));
    const left = expect(waiting).rejects.toMatchObject({ reason: 'CANCELLED' });
    await until(() => fixture.router.topology().nodes[0]?.pools.unary.waiting === 1, {
      timeoutMs: 5_000,
      what: 'the second call waits',
    });
    controller.abort();
    await left;
    expect(fixture.router.topology().nodes[0]?.pools.unary.waiting).toBe(0);
    await blocked;
  });

  it('tells a statement that an administrator cancelled', async () => {
    const promise = fixture.router.run(sleep, [60], testCall());
    const outcome = expect(promise).rejects.toMatchObject({ reason: 'CANCELLED' });
    await untilSleeping();
    await fixture.admin.query(
      `select pg_cancel_backend(pid) from pg_stat_activity
       where datname = $1 and query like '%pg_sleep(%' and pid <> pg_backend_pid()`,
      [fixture.database.name],
    );
    await outcome;
  });
});

describe('The line for connections', () => {
  const fixture = useRouter({
    settings: { connectionsMax: 4, connectionsMin: 1, queueMax: 2, queueTimeoutMs: 300 },
  });

  it('has a bound, and tells when to come again', async () => {
    const controller = new AbortController();
    const blocker = fixture.router.run(sleep, [60], testCall({ signal: controller.signal }));
    const blocked = expect(blocker).rejects.toMatchObject({ reason: 'CANCELLED' });
    const waiting = [0, 1].map(() => fixture.router.run(backend, [], testCall()));
    const slow = waiting.map((each) =>
      expect(each).rejects.toMatchObject({ reason: 'OVERLOADED', retryDelayMs: 500 }),
    );
    const refused = fixture.router.run(backend, [], testCall());
    await expect(refused).rejects.toMatchObject({ reason: 'OVERLOADED', retryDelayMs: 500 });
    // Those in line give up after the queue's timeout.
    await Promise.all(slow);
    controller.abort();
    await blocked;
    await settled(fixture.router);
    expect(await fixture.router.run(backend, [], testCall())).toHaveLength(1);
  });

  it('serves those who wait in the order of their coming', async () => {
    const order: number[] = [];
    await Promise.all(
      [0, 1, 2].map(async (index) => {
        await fixture.router.run(sleep, [0.01], testCall());
        order.push(index);
      }),
    );
    expect(order).toEqual([0, 1, 2]);
  });
});
