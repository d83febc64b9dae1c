import { describe, expect, it } from 'vitest';
import { StowageError } from '../../src/errors.js';
import { deferred } from '../../src/lib/deferred.js';
import { until } from '../../src/lib/wait.js';
import {
  type QueryEvent,
  queryChannel,
  type TopologyEvent,
  topologyChannel,
} from '../../src/postgres/events.js';
import { createRouter } from '../../src/postgres/router.js';
import type { Transaction } from '../../src/postgres/router-api.js';
import { statement } from '../../src/postgres/statement.js';
import { sharedCluster } from '../support/cluster.js';
import { startTestRouter, testCall, testSettings } from '../support/router.js';
import { useRouter } from '../support/use-router.js';

const addTo = statement<{ pid: number }>({
  name: 'test-add-to-counter',
  intent: 'write',
  text: 'update counters set value = value + 1 where name = $1 returning pg_backend_pid() as pid',
});

const readCounter = statement<{ value: number }>({
  name: 'test-read-counter',
  intent: 'readPrimary',
  text: 'select value from counters where name = $1',
});

const endSelf = statement({
  name: 'test-end-self',
  intent: 'readPrimary',
  text: 'select pg_terminate_backend(pg_backend_pid()), pg_sleep(1)',
});

const failUntil = statement<{ tries: bigint }>({
  name: 'test-fail-until',
  intent: 'write',
  text: 'select fail_until($1::integer) as tries',
});

const prepare = (settings: string) => [
  'create table counters (name text primary key, value int4 not null default 0)',
  'grant select, insert, update on counters to stowage_service',
  `do $$ begin execute format('alter database %I set ${settings}', current_database()); end $$`,
];

describe('A transaction that came to nothing', () => {
  const fixture = useRouter({
    settings: { lockTimeoutMs: 300 },
    prepare: prepare("deadlock_timeout = ''20ms''"),
  });
  const make = (name: string) =>
    fixture.admin.query('insert into counters (name) values ($1)', [name]);
  const counter = async (name: string) => {
    const [row] = await fixture.router.run(readCounter, [name], testCall());
    return row?.value;
  };
  const add = async (transaction: Transaction, name: string) => {
    const [row] = await transaction.run(addTo, [name]);
    return row?.pid;
  };
  const terminate = async (pid: number | undefined) => {
    await fixture.admin.query('select pg_terminate_backend($1)', [pid]);
    const isGone = async () => {
      const rows = await fixture.admin.query('select from pg_stat_activity where pid = $1', [pid]);
      return rows.length === 0;
    };
    await until(isGone, { timeoutMs: 5_000, what: 'the backend is gone' });
  };

  it('is run again as a whole after a deadlock', async () => {
    await make('left');
    await make('right');
    const locked = { left: deferred<void>(), right: deferred<void>() };
    let runs = 0;
    const both = (first: 'left' | 'right', second: 'left' | 'right') =>
      fixture.router.transaction(testCall(), async (transaction) => {
        runs += 1;
        await add(transaction, first);
        locked[first].resolve();
        await locked[second].promise;
        await add(transaction, second);
      });
    await Promise.all([both('left', 'right'), both('right', 'left')]);
    // One of them once more; the other too, where it met the first one's second run in the middle.
    expect(runs).toBeGreaterThanOrEqual(3);
    expect([await counter('left'), await counter('right')]).toEqual([2, 2]);
  });

  it('is run again where its connection was lost before COMMIT', async () => {
    await make('lost');
    let runs = 0;
    const call = testCall();
    await fixture.router.transaction(call, async (transaction) => {
      runs += 1;
      const pid = await add(transaction, 'lost');
      if (runs === 1) await terminate(pid);
    });
    expect(runs).toBe(2);
    expect(await counter('lost')).toBe(1);
    expect(call.served).toHaveLength(1);
  });

  it('is run again where its connection was lost amid its body', async () => {
    await make('amid');
    let runs = 0;
    await fixture.router.transaction(testCall(), async (transaction) => {
      runs += 1;
      const pid = await add(transaction, 'amid');
      if (runs === 1) await terminate(pid);
      await add(transaction, 'amid');
    });
    expect(runs).toBe(2);
    expect(await counter('amid')).toBe(2);
  });

  it('is run again where its node is in doubt before COMMIT', async () => {
    await make('doubted');
    const lost = deferred<void>();
    const changes: string[] = [];
    const onChange = (event: unknown) => {
      changes.push((event as TopologyEvent).detail);
      if (!fixture.router.topology().hasPrimary) lost.resolve();
    };
    let runs = 0;
    await fixture.router.transaction(testCall(), async (transaction) => {
      runs += 1;
      await add(transaction, 'doubted');
      if (runs > 1) return;
      topologyChannel.subscribe(onChange);
      // Another call loses its connection; ours is whole.
      const other = fixture.router.run(endSelf, [], testCall()).catch(() => undefined);
      await lost.promise;
      void other;
    });
    topologyChannel.unsubscribe(onChange);
    // The other call is repeated and loses its connection again: there may be more than one.
    expect(runs).toBeGreaterThan(1);
    // What the router itself had in doubt is no news of the node.
    expect(changes.filter((detail) => detail.includes('another role'))).toEqual([]);
    expect(await counter('doubted')).toBe(1);
  });

  it('waits for a primary until shortly before its deadline', async () => {
    const [, ...standbys] = sharedCluster().nodes;
    const target = { url: fixture.database.serviceUrl ?? '', nodes: standbys };
    await using router = createRouter(testSettings(target));
    await router.start();
    const startedAtMs = performance.now();
    let runs = 0;
    const promise = router.transaction(testCall({ timeoutMs: 600 }), async () => {
      runs += 1;
    });
    await expect(promise).rejects.toMatchObject({ reason: 'NO_PRIMARY', retryDelayMs: 1_000 });
    expect(runs).toBe(0);
    expect(performance.now() - startedAtMs).toBeGreaterThan(500);
  });

  it('is not run again after a lock timeout', async () => {
    await make('held');
    const holder = await fixture.database.connect();
    await holder.query('begin');
    await holder.query("select from counters where name = 'held' for update");
    let runs = 0;
    const promise = fixture.router.transaction(testCall(), (transaction) => {
      runs += 1;
      return add(transaction, 'held');
    });
    await expect(promise).rejects.toMatchObject({ reason: 'OVERLOADED', retryDelayMs: 1_000 });
    expect(runs).toBe(1);
    await holder.query('rollback');
  });

  it.each([
    new StowageError('ETAG_MISMATCH'),
    Object.assign(new Error('no such file'), { code: 'ENOENT' }),
  ])('is not run again for what its body threw: %s', async (thrown) => {
    let runs = 0;
    const promise = fixture.router.transaction(testCall(), async () => {
      runs += 1;
      throw thrown;
    });
    const reason = thrown instanceof StowageError ? thrown.reason : 'INTERNAL';
    await expect(promise).rejects.toMatchObject({ reason });
    expect(runs).toBe(1);
    expect(fixture.router.topology().hasPrimary).toBe(true);
  });

  it('is given up when its call ends between two runs', async () => {
    await make('left alone');
    const controller = new AbortController();
    let runs = 0;
    const call = testCall({ signal: controller.signal });
    const promise = fixture.router.transaction(call, async (transaction) => {
      runs += 1;
      const pid = await add(transaction, 'left alone');
      await terminate(pid);
      controller.abort();
    });
    await expect(promise).rejects.toMatchObject({ reason: 'CANCELLED' });
    expect(runs).toBe(1);
    expect(await counter('left alone')).toBe(0);
  });

  describe('on a server without room', () => {
    const limit = (connections: number) => {
      const { username } = new URL(fixture.database.serviceUrl ?? '');
      return fixture.admin.query(`alter role ${username} connection limit ${connections}`);
    };
    const startCrowded = async () => {
      const target = { url: fixture.database.serviceUrl ?? '', nodes: sharedCluster().nodes };
      const router = await startTestRouter(target, { connectionsMin: 0 });
      await limit(0);
      // The keys were read by a connection, which would do for the write too.
      await fixture.admin.query(
        `select pg_terminate_backend(pid) from pg_stat_activity
         where datname = current_database() and application_name like 'stowage unary%'`,
      );
      const suffix = `:${sharedCluster().nodes[0]?.port}`;
      const isWithout = () => {
        const primary = router.topology().nodes.find(({ name }) => name.endsWith(suffix));
        return primary?.pools.unary.idle === 0;
      };
      await until(isWithout, { timeoutMs: 5_000, what: 'no connection is left' });
      return router;
    };

    it('is run again once there is some', async () => {
      await make('room');
      await using router = await startCrowded();
      const seen = deferred<void>();
      const onQuery = (event: unknown) => {
        if ((event as QueryEvent).reason === 'OVERLOADED') seen.resolve();
      };
      queryChannel.subscribe(onQuery);
      const promise = router.transaction(testCall(), (transaction) => add(transaction, 'room'));
      await seen.promise;
      queryChannel.unsubscribe(onQuery);
      await limit(-1);
      await promise;
      expect(await counter('room')).toBe(1);
    });

    it('tells when to come again once its time is up', async () => {
      await using router = await startCrowded();
      const call = testCall({ timeoutMs: 400 });
      const promise = router.transaction(call, (transaction) => add(transaction, 'room'));
      await expect(promise).rejects.toMatchObject({ reason: 'OVERLOADED', retryDelayMs: 1_000 });
      await limit(-1);
    });
  });
});

describe('A transaction that cannot be serialized', () => {
  // Transactions are READ COMMITTED, where only triggers and extensions say so. A sequence counts
  // the runs, for it is not rolled back.
  const fixture = useRouter({
    prepare: [
      'create sequence tries',
      'grant usage on sequence tries to stowage_service',
      `create function fail_until(tries_needed integer) returns bigint language plpgsql as $$
       declare
         try bigint := nextval('tries');
       begin
         if try < tries_needed then
           raise serialization_failure;
         end if;
         return try;
       end $$`,
    ],
  });
  const triesFor = async (needed: number) => {
    await fixture.admin.query("select setval('tries', 1, false)");
    const { value } = await fixture.router.transaction(testCall(), (transaction) =>
      transaction.run(failUntil, [needed]),
    );
    return value[0]?.tries;
  };

  it('is run again until it can be', async () => {
    expect(await triesFor(4)).toBe(4n);
  });

  it('is given up after ten runs', async () => {
    await expect(triesFor(100)).rejects.toMatchObject({
      reason: 'OVERLOADED',
      retryDelayMs: 1_000,
    });
    const [row] = await fixture.admin.query('select last_value::integer as runs from tries');
    expect(row).toEqual({ runs: 10 });
  });
});
