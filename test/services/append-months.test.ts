// Where events find their place: months made by need, sealed ones, and ones that were dropped.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sharedCluster } from '../support/cluster.js';
import {
  doorNames,
  failure,
  type OpenServer,
  openServer,
  startService,
  type TestService,
} from '../support/service.js';

let service: TestService;
/** Takes events for sealed months. */
let late: OpenServer;

beforeAll(async () => {
  service = await startService();
  const nodes = sharedCluster().nodes.map(({ host, port }) => `${host}:${port}`);
  late = await openServer(service.database, nodes, { STOWAGE_AUDIT_LATE_EVENTS: 'true' });
});

afterAll(async () => {
  await late?.[Symbol.asyncDispose]();
  await service[Symbol.asyncDispose]();
});

/** Noon of the 15th, so many whole months ago: of one month whatever the day. */
function monthsAgo(months: number) {
  const now = new Date();
  const at = Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - months, 15, 12);
  return { seconds: BigInt(at / 1000), nanos: 0 };
}

const firstOf = (months: number) => {
  const at = new Date(Number(monthsAgo(months).seconds) * 1000);
  return `${at.toISOString().slice(0, 7)}-01T00:00:00Z`;
};

const partitionsOf = async (table: string) => {
  const [row] = await service.sql<{ count: number }>(
    `select count(*)::int as count from pg_inherits where inhparent = $1::regclass`,
    [table],
  );
  return row?.count ?? 0;
};

const eventsOf = async (action: string) => {
  const [row] = await service.sql<{ count: number }>(
    'select count(*)::int as count from storage_audit where action = $1',
    [action],
  );
  return row?.count;
};

const event = (months: number, action: string) => ({ timestamp: monthsAgo(months), action });

describe.each(doorNames)('a month without a place, through %s', (door) => {
  const { audit, hooks } = {
    audit: () => service.doors[door].audit,
    hooks: () => service.doors[door].hooks,
  };
  /** Months of its own for each door. */
  const base = door === 'gRPC' ? 20 : 70;

  it('is made, at most four a request, or nothing is', async () => {
    const action = `${door} new`;
    const before = await partitionsOf('storage_audit');
    const five = [0, 1, 2, 3, 4].map((more) => event(base + more, action));
    const refused = await failure(audit().appendEvents({ events: five }));
    expect(refused).toMatchObject({ reason: 'EVENT_TIME_OUT_OF_RANGE' });
    expect(refused.message).toContain('four');
    expect(await eventsOf(action)).toBe(0);
    expect(await partitionsOf('storage_audit')).toBe(before);
    const four = await audit().appendEvents({ events: five.slice(1) });
    expect(four).toMatchObject({ appended: 4n });
    expect(await audit().appendEvents({ events: five })).toMatchObject({ appended: 5n });
    expect(await partitionsOf('storage_audit')).toBe(before + 5);
  });

  it('is made for each of many callers who come at once', async () => {
    const action = `${door} singles`;
    const months = [10, 11, 12, 13, 14, 15, 16].map((more) => base + more);
    const calls = months.flatMap((month) => [event(month, action), event(month, action)]);
    await Promise.all(calls.map((each) => audit().appendEvent({ event: each })));
    expect(await eventsOf(action)).toBe(14);
  });

  it('is made for executions too, and again after it was dropped', async () => {
    const execution = { timestamp: monthsAgo(base), hookName: 'h', eventType: `${door} e` };
    const before = await partitionsOf('storage_hooks');
    await hooks().logExecution({ execution });
    expect(await partitionsOf('storage_hooks')).toBe(before + 1);
    const partition = `storage_hooks_${firstOf(base).slice(0, 7).replace('-', '_')}`;
    await service.sql(`drop table ${partition}`);
    await hooks().logExecutions({ executions: [execution] });
    expect(await partitionsOf('storage_hooks')).toBe(before + 1);
  });

  it('is refused while its partition is detached, and no other month is', async () => {
    const action = `${door} detached`;
    const [month, other] = [base + 8, base + 9];
    await audit().appendEvents({ events: [event(month, action), event(other, action)] });
    const partition = `storage_audit_${firstOf(month).slice(0, 7).replace('-', '_')}`;
    await service.sql(`alter table storage_audit detach partition ${partition}`);
    const [refused] = await Promise.all([
      failure(audit().appendEvent({ event: event(month, action) })),
      audit().appendEvent({ event: event(other, action) }),
    ]);
    expect(refused).toMatchObject({ reason: 'OVERLOADED' });
    expect(refused.message).toContain('removed');
    await service.sql(`drop table ${partition}`);
    await audit().appendEvent({ event: event(month, action) });
    expect(await eventsOf(action)).toBe(3);
  });

  it('holds the first and the last microsecond of its own', async () => {
    const action = `${door} edges`;
    const first = BigInt(Date.parse(firstOf(base + 7)) / 1000);
    const end = BigInt(Date.parse(firstOf(base + 6)) / 1000);
    const events = [
      { timestamp: { seconds: first, nanos: 0 }, action },
      { timestamp: { seconds: end - 1n, nanos: 999_999_999 }, action },
    ];
    await audit().appendEvents({ events });
    const rows = await service.sql<{ partition: string }>(
      'select distinct tableoid::regclass::text as partition from storage_audit where action = $1',
      [action],
    );
    const month = firstOf(base + 7)
      .slice(0, 7)
      .replace('-', '_');
    expect(rows).toEqual([{ partition: `storage_audit_${month}` }]);
  });
});

describe.each(doorNames)('a sealed month, through %s', (door) => {
  const month = door === 'gRPC' ? 50 : 51;

  it('refuses its events, and those of other months pass', async () => {
    const { audit } = service.doors[door];
    const action = `${door} sealed`;
    await audit.appendEvent({ event: event(month, action) });
    await service.sql('select stowage_close_month($1)', [firstOf(month)]);
    const outcomes = await Promise.allSettled(
      [month, 0, month, month + 2, 0].map((each) =>
        audit.appendEvent({ event: event(each, action) }),
      ),
    );
    expect(outcomes.map(({ status }) => status)).toEqual([
      'rejected',
      'fulfilled',
      'rejected',
      'fulfilled',
      'fulfilled',
    ]);
    const refused = await failure(audit.appendEvents({ events: [event(month, action)] }));
    expect(refused).toMatchObject({ reason: 'EVENT_TIME_OUT_OF_RANGE' });
    expect(refused.message).toContain('sealed');
    const mixed = audit.appendEvents({ events: [event(0, action), event(month, action)] });
    expect(await failure(mixed)).toMatchObject({ reason: 'EVENT_TIME_OUT_OF_RANGE' });
    expect(await eventsOf(action)).toBe(4);
  });

  it('takes them where late events are allowed, and is noted for a further seal', async () => {
    const { audit } = late.doors[door];
    const action = `${door} late`;
    await audit.appendEvent({ event: event(month, action) });
    await audit.appendEvents({ events: [event(month, action), event(0, action)] });
    expect(await eventsOf(action)).toBe(3);
    const noted = await service.sql(
      'select distinct range_start from audit_late_months where range_start = $1',
      [firstOf(month)],
    );
    expect(noted).toHaveLength(1);
    // The setting is of that server's transactions, not of the sessions.
    const refused = service.doors[door].audit.appendEvent({ event: event(month, action) });
    expect(await failure(refused)).toMatchObject({ reason: 'EVENT_TIME_OUT_OF_RANGE' });
  });
});
