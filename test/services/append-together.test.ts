// Single appends of many callers share commits, and whatever befalls one of them befalls no other.
import type { MessageInitShape } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Code } from '../../gen/google/rpc/code_pb.js';
import type { AuditEventSchema } from '../../gen/stowage/v1/audit_pb.js';
import { until } from '../../src/lib/wait.js';
import { onCallEnded, onCallStarted } from '../../src/telemetry/events.js';
import { sharedCluster } from '../support/cluster.js';
import type { TestConnection } from '../support/database.js';
import {
  doorNames,
  failure,
  openServer,
  startService,
  type TestService,
  untilWaiting,
} from '../support/service.js';

type Event = MessageInitShape<typeof AuditEventSchema>;

const WAIT = { timeoutMs: 20_000 };

let service: TestService;
let locker: TestConnection;
/** Appends that the server has taken and not answered. */
let running = 0;

const counting =
  (change: number) =>
  ({ method }: { readonly method: string }) => {
    if (/\/(?:AppendEvent|LogExecution)$/.test(method)) running += change;
  };
const stopCounting = [onCallStarted(counting(1)), onCallEnded(counting(-1))];

beforeAll(async () => {
  service = await startService();
  locker = await service.database.connect();
  // What validation lets pass and the database does not.
  await service.sql(
    `alter table storage_audit add constraint no_poison check (action <> 'POISON') not valid`,
  );
  await service.sql(
    `alter table storage_hooks add constraint no_poison check (event_type <> 'POISON') not valid`,
  );
});

afterAll(async () => {
  for (const stop of stopCounting) stop();
  await service[Symbol.asyncDispose]();
});

/** Lets no append through until it is left. */
async function holding<T>(table: string, work: () => Promise<T>): Promise<T> {
  await locker.query('begin');
  try {
    await locker.query(`lock table ${table} in share mode`);
    return await work();
  } finally {
    await locker.query('rollback');
  }
}

/** Resolves once so many appends are under way, waiting ones included. */
const untilRunning = (calls: number) =>
  until(() => running === calls, { ...WAIT, what: `${calls} appends are under way` });

/** Resolves once no statement waits for the lock: what was cancelled is over. */
async function untilNobodyWaits(): Promise<void> {
  const isNobody = async () => {
    const waiting = await service.sql(
      `select from pg_stat_activity
       where datname = current_database() and wait_event_type = 'Lock'`,
    );
    return waiting.length === 0;
  };
  await until(isNobody, { ...WAIT, what: 'nobody waits for the lock' });
}

const rowsOf = (userId: string) =>
  service.sql<{ action: string; xid: string; month: string }>(
    `select action, xid::text, to_char(timestamp at time zone 'UTC', 'YYYY-MM') as month
     from storage_audit where user_id = $1 order by timestamp, id`,
    [userId],
  );

const commitsOf = async (userId: string) =>
  new Set((await rowsOf(userId)).map(({ xid }) => xid)).size;

describe.each(doorNames)('callers of AppendEvent through %s', (door) => {
  const append = (event: Event, signal?: AbortSignal) =>
    service.doors[door].audit.appendEvent({ event }, signal === undefined ? {} : { signal });

  it('share commits, and each gets a token', async () => {
    const userId = `${door} many`;
    const answers = await holding('storage_audit', async () => {
      const first = append({ userId, action: 'FIRST' });
      await untilWaiting(service, 'AppendEvent');
      const others = Array.from({ length: 64 }, () => append({ userId, action: 'NEXT' }));
      await untilRunning(65);
      return [first, ...others];
    });
    const tokens = (await Promise.all(answers)).map(({ token }) => token);
    expect(tokens.every((token) => /^[\w-]{59}$/.test(token))).toBe(true);
    expect(await rowsOf(userId)).toHaveLength(65);
    expect(await commitsOf(userId)).toBe(2);
  });

  it('pass without one whose row the database refuses', async () => {
    const userId = `${door} poisoned`;
    const outcomes = await holding('storage_audit', async () => {
      const first = append({ userId, action: 'FIRST' });
      await untilWaiting(service, 'AppendEvent');
      const others = Array.from({ length: 20 }, (_, at) =>
        append({ userId, action: at === 7 || at === 16 ? 'POISON' : 'GOOD' }),
      );
      await untilRunning(21);
      return [first, ...others].map((call) =>
        call.then(
          () => 'appended',
          async (error: unknown) => (await failure(Promise.reject(error))).reason,
        ),
      );
    });
    const told = await Promise.all(outcomes);
    expect(told.filter((outcome) => outcome === 'appended')).toHaveLength(19);
    expect([told[8], told[17]]).toEqual(['INTERNAL', 'INTERNAL']);
    expect(await rowsOf(userId)).toHaveLength(19);
    // By halves: not one by one.
    expect(await commitsOf(userId)).toBeLessThan(19);
  });

  it('have no row where they leave before it is sent, or amid its statement', async () => {
    const userId = `${door} left`;
    const leaving = new AbortController();
    await holding('storage_audit', async () => {
      const sent = append({ userId, action: 'SENT' }, leaving.signal);
      await untilWaiting(service, 'AppendEvent');
      const queued = append({ userId, action: 'QUEUED' }, leaving.signal);
      await untilRunning(2);
      const told = [failure(sent), failure(queued)];
      leaving.abort();
      for (const refused of await Promise.all(told)) expect(refused.code).toBe(Code.CANCELLED);
      await untilRunning(0);
      await untilNobodyWaits();
    });
    await append({ userId, action: 'LATER' });
    expect((await rowsOf(userId)).map(({ action }) => action)).toEqual(['LATER']);
  });

  it('are answered whoever else of their batch leaves', async () => {
    const userId = `${door} stays`;
    const [leaving, leavingNext] = [new AbortController(), new AbortController()];
    const staying = await holding('storage_audit', async () => {
      const first = failure(append({ userId, action: 'FIRST' }, leaving.signal));
      await untilWaiting(service, 'AppendEvent');
      const calls = [append({ userId, action: 'STAYS' }), append({ userId, action: 'STAYS' })];
      const gone = failure(append({ userId, action: 'GONE' }, leavingNext.signal));
      await untilRunning(4);
      leaving.abort();
      expect((await first).code).toBe(Code.CANCELLED);
      await untilRunning(3);
      await untilWaiting(service, 'AppendEvent');
      leavingNext.abort();
      expect((await gone).code).toBe(Code.CANCELLED);
      await untilRunning(2);
      return calls;
    });
    await Promise.all(staying);
    const actions = (await rowsOf(userId)).map(({ action }) => action);
    expect(actions.filter((action) => action === 'STAYS')).toHaveLength(2);
    expect(actions).not.toContain('FIRST');
  });

  it('are told of a project that is not there, and those of others are not', async () => {
    const userId = `${door} projects`;
    const event = { userId, action: 'X' };
    const { audit } = service.doors[door];
    const [gone, kept] = await Promise.allSettled([
      audit.appendEvent({ project: 'nowhere', event }),
      audit.appendEvent({ event }),
    ]);
    expect(gone.status).toBe('rejected');
    expect(kept.status).toBe('fulfilled');
    expect(await rowsOf(userId)).toHaveLength(1);
  });
});

describe('callers of LogExecution', () => {
  it('share commits, and pass without one whose row the database refuses', async () => {
    const { hooks } = service.doors.gRPC;
    const log = (eventType: string) =>
      hooks.logExecution({ execution: { hookName: 'together', eventType } });
    const [first, poison, ...others] = await holding('storage_hooks', async () => {
      const sent = log('FIRST');
      await untilWaiting(service, 'LogExecution');
      const calls = [log('POISON'), ...Array.from({ length: 15 }, () => log('GOOD'))];
      await untilRunning(17);
      return [sent, ...calls];
    });
    expect(await failure(poison ?? Promise.reject())).toMatchObject({ reason: 'INTERNAL' });
    await Promise.all([first, ...others]);
    const [row] = await service.sql<{ rows: number; commits: number }>(
      `select count(*)::int as rows, count(distinct xid::text)::int as commits
       from storage_hooks where hook_name = 'together'`,
    );
    expect(row?.rows).toBe(16);
    expect(row?.commits).toBeLessThan(10);
  });
});

describe('a server that stops', () => {
  it('answers every caller whose row waits, and writes none of them later', async () => {
    const userId = 'drained';
    const nodes = sharedCluster().nodes.map(({ host, port }) => `${host}:${port}`);
    const other = await openServer(service.database, nodes, { STOWAGE_SHUTDOWN_GRACE_MS: '50' });
    const outcomes = await holding('storage_audit', async () => {
      const calls = Array.from({ length: 8 }, (_, at) =>
        other.doors[at % 2 === 0 ? 'gRPC' : 'HTTP'].audit.appendEvent({
          event: { userId, action: 'X' },
        }),
      );
      const told = Promise.all(calls.map((call) => failure(call)));
      await untilWaiting(service, 'AppendEvent');
      await untilRunning(8);
      await other.server.close();
      await untilNobodyWaits();
      return told;
    });
    expect(outcomes.map(({ reason }) => reason)).toEqual(Array(8).fill('DRAINING'));
    await other[Symbol.asyncDispose]();
    expect(await rowsOf(userId)).toEqual([]);
  });
});
