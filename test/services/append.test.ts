// What is appended through both doors: AppendEvent, AppendEvents, IngestEvents, LogExecution and
// LogExecutions, their keys, times and months.
import { randomUUID } from 'node:crypto';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { IngestEventsRequestSchema } from '../../gen/stowage/v1/audit_append_pb.js';
import { doorNames, failure, startService, type TestService } from '../support/service.js';

type IngestRequest = MessageInitShape<typeof IngestEventsRequestSchema>;

let service: TestService;

beforeAll(async () => {
  service = await startService();
});

afterAll(async () => {
  await service[Symbol.asyncDispose]();
});

/** The time so many days ago, at a whole second. */
function daysAgo(days: number) {
  return { seconds: BigInt(Math.floor(Date.now() / 1000) - days * 86_400), nanos: 0 };
}

/** Noon of the 15th, so many whole months ago: of one month whatever the day. */
function monthsAgo(months: number) {
  const now = new Date();
  const at = Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - months, 15, 12);
  return { seconds: BigInt(at / 1000), nanos: 0 };
}

async function* each<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items;
}

const countOf = async (table: string, column: string, value: string) => {
  const [row] = await service.sql<{ count: number }>(
    `select count(*)::int as count from ${table} where ${column} = $1`,
    [value],
  );
  return row?.count;
};

describe.each(doorNames)('events through %s', (door) => {
  const audit = () => service.doors[door].audit;
  const action = (name: string) => `${door} ${name}`;

  it('are kept with all they say', async () => {
    const id = randomUUID();
    const timestamp = { ...daysAgo(0), nanos: 123_456_789 };
    const event = {
      ...{ id, timestamp, userId: 'u-1', username: 'Åsa', action: action('all') },
      ...{ objectKey: 'docs/a.pdf', versionId: 'v7', ipAddress: '2001:DB8::1', userAgent: 'curl' },
      ...{ success: false, errorMessage: 'no "such" \\ bucket', correlationId: 'c-1' },
      metadata: { bytes: 12, nested: { list: [1, 'x', null] } },
    };
    const answer = await audit().appendEvent({ event });
    const cut = { seconds: timestamp.seconds, nanos: 123_456_000 };
    expect(answer).toMatchObject({ id, timestamp: cut });
    expect(answer.token).toMatch(/^[\w-]{59}$/);
    const rows = await service.sql(
      `select project_id, id::text, extract(microseconds from timestamp)::int % 1000000 as micros,
              user_id, username, object_key, version_id, ip_address::text, user_agent, success,
              error_message, correlation_id, metadata, xid is not null as has_xid
       from storage_audit where action = $1`,
      [action('all')],
    );
    expect(rows).toEqual([
      {
        ...{ project_id: 'default', id, micros: 123_456, user_id: 'u-1', username: 'Åsa' },
        ...{ object_key: 'docs/a.pdf', version_id: 'v7', ip_address: '2001:db8::1/128' },
        ...{ user_agent: 'curl', success: false, error_message: 'no "such" \\ bucket' },
        ...{ correlation_id: 'c-1', has_xid: true },
        metadata: { bytes: 12, nested: { list: [1, 'x', null] } },
      },
    ]);
  });

  it('get an id, the time and a success of their own, and null for what is left out', async () => {
    const before = Date.now();
    const answer = await audit().appendEvent({ event: { action: action('bare') } });
    expect(answer.id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7/);
    expect(Number(answer.timestamp?.seconds)).toBeGreaterThanOrEqual(Math.floor(before / 1000));
    const [row] = await service.sql(
      `select id::text, success, num_nulls(user_id, username, object_key, version_id, ip_address,
              user_agent, error_message, correlation_id, metadata) as nulls
       from storage_audit where action = $1`,
      [action('bare')],
    );
    expect(row).toEqual({ id: answer.id, success: true, nulls: 9 });
    // Who says why it failed need not say that it did.
    const event = { action: action('why'), errorMessage: 'no such bucket' };
    await audit().appendEvent({ event });
    const [failed] = await service.sql('select success from storage_audit where action = $1', [
      event.action,
    ]);
    expect(failed).toEqual({ success: false });
  });

  it('are kept once by their id and time, whichever call brings them', async () => {
    const event = { id: randomUUID().toUpperCase(), timestamp: daysAgo(1), action: action('once') };
    const first = await audit().appendEvent({ event });
    const again = await audit().appendEvent({ event: { ...event, userId: 'another' } });
    expect(again).toMatchObject({ id: first.id, timestamp: first.timestamp });
    const other = { action: action('once'), timestamp: daysAgo(2) };
    const many = await audit().appendEvents({ events: [event, other, event] });
    expect(many).toMatchObject({ appended: 1n, known: 2n });
    expect(many.ids).toEqual([first.id, many.ids[1], first.id]);
    expect(await countOf('storage_audit', 'action', action('once'))).toBe(2);
    expect(await countOf('storage_audit', 'user_id', 'another')).toBe(0);
  });

  it('are appended by hundreds in one commit, all or none', async () => {
    const event = { action: action('many') };
    const events = Array.from({ length: 1000 }, () => event);
    const { ids, appended, known, token } = await audit().appendEvents({ events });
    expect(new Set(ids).size).toBe(1000);
    expect([appended, known]).toEqual([1000n, 0n]);
    expect(token).toMatch(/^[\w-]{59}$/);
    const [row] = await service.sql(
      `select count(*)::int as count, count(distinct xid::text)::int as commits
       from storage_audit where action = $1`,
      [action('many')],
    );
    expect(row).toEqual({ count: 1000, commits: 1 });
    const bad = { action: action('none'), ipAddress: '10.0.0.256' };
    const refused = await failure(
      audit().appendEvents({ events: [{ action: action('none') }, bad] }),
    );
    expect(refused).toMatchObject({ reason: 'INVALID_REQUEST' });
    expect(refused.violations.map(({ field }) => field)).toEqual(['events[1].ip_address']);
    expect(await countOf('storage_audit', 'action', action('none'))).toBe(0);
  });

  it.each([
    '10.0.0',
    '10.0.0.0/8',
    '::1/128',
    'fe80::1%eth0',
    'localhost',
    ' 10.0.0.1',
    '01.2.3.4',
    '1::2::3',
  ])('refuse the address %j', async (ipAddress) => {
    const refused = await failure(audit().appendEvent({ event: { action: 'x', ipAddress } }));
    expect(refused).toMatchObject({ reason: 'INVALID_REQUEST' });
    expect(refused.violations.map(({ field }) => field)).toEqual(['event.ip_address']);
  });

  it('take every address that PostgreSQL takes as one', async () => {
    const addresses = [
      '10.0.0.1',
      '::',
      '::ffff:10.0.0.1',
      '2001:db8:0:0:0:0:0:1',
      '1:2:3:4:5:6:7::',
    ];
    const events = addresses.map((ipAddress) => ({ action: action('ip'), ipAddress }));
    expect(await audit().appendEvents({ events })).toMatchObject({ appended: 5n });
  });

  it('are refused with what their metadata break', async () => {
    const deep = Array.from({ length: 40 }).reduce<object>((inner) => ({ inner }), {});
    for (const metadata of [{ a: 'x\0y' }, { a: 'x'.repeat(70_000) }, deep]) {
      const event = { action: 'x', metadata: metadata as { a: string } };
      const refused = await failure(audit().appendEvent({ event }));
      expect(refused).toMatchObject({ reason: 'INVALID_REQUEST' });
      expect(refused.violations[0]?.field).toContain('event.metadata');
    }
  });

  it('are refused from more than ten years ago and from more than an hour ahead', async () => {
    for (const timestamp of [daysAgo(3_654), daysAgo(-1), monthsAgo(-24)]) {
      const single = audit().appendEvent({ event: { action: action('when'), timestamp } });
      const told = new Date(Number(timestamp.seconds) * 1000).toISOString();
      expect(await failure(single)).toMatchObject({
        reason: 'EVENT_TIME_OUT_OF_RANGE',
        metadata: { timestamp: told.replace('.000Z', '.000000Z') },
      });
      const events = [{ action: action('when') }, { action: action('when'), timestamp }];
      const refused = await failure(audit().appendEvents({ events }));
      expect(refused).toMatchObject({ reason: 'EVENT_TIME_OUT_OF_RANGE' });
      expect(refused.message).toContain('events[1].timestamp');
    }
    expect(await countOf('storage_audit', 'action', action('when'))).toBe(0);
    const soon = { seconds: BigInt(Math.floor(Date.now() / 1000) + 3_500), nanos: 0 };
    await audit().appendEvent({ event: { action: action('soon'), timestamp: soon } });
  });

  it('are refused for a project that is not there, or no longer', async () => {
    const event = { action: 'x' };
    const project = `gone-${door.toLowerCase()}`;
    const never = audit().appendEvent({ project, event });
    expect(await failure(never)).toMatchObject({ reason: 'PROJECT_NOT_FOUND' });
    const { projects } = service.doors[door];
    await projects.createProject({ project: { project } });
    await audit().appendEvents({ project, events: [event] });
    await projects.deleteProject({ project });
    const calls = [
      () => audit().appendEvent({ project, event }),
      () => audit().appendEvents({ project, events: [event] }),
    ];
    for (const call of calls) {
      expect(await failure(call())).toMatchObject({
        reason: 'PROJECT_NOT_FOUND',
        metadata: { project },
      });
    }
  });

  async function ingest(requests: readonly IngestRequest[]) {
    const acks = [];
    for await (const ack of audit().ingestEvents(each(requests))) acks.push(ack);
    return acks;
  }

  it('are acknowledged batch by batch, in order, with the sender’s position', async () => {
    const requests = [1, 2, 3].map((batch) => ({
      position: `line ${batch}`,
      events: Array.from({ length: 200 }, () => ({
        ...{ id: randomUUID(), timestamp: daysAgo(batch), action: action('stream') },
      })),
    }));
    expect(await ingest(requests)).toMatchObject(
      [1n, 2n, 3n].map((batch) => ({
        ...{ batch, resumePosition: `line ${batch}`, appended: 200n, known: 0n },
        token: expect.stringMatching(/^[\w-]{59}$/),
      })),
    );
    expect(await ingest(requests.slice(1))).toMatchObject([
      { batch: 1n, resumePosition: 'line 2', appended: 0n, known: 200n },
      { batch: 2n, resumePosition: 'line 3', appended: 0n, known: 200n },
    ]);
    const [row] = await service.sql(
      `select count(*)::int as count, count(distinct xid::text)::int as commits
       from storage_audit where action = $1`,
      [action('stream')],
    );
    expect(row).toEqual({ count: 600, commits: 3 });
    expect(await ingest([])).toEqual([]);
  });

  it('end their stream at the first bad batch, and keep those before', async () => {
    const event = { action: action('bad') };
    const bad = { action: '', userId: 'u' };
    const requests = [{ events: [event] }, { events: [event, bad] }, { events: [event] }];
    const refused = await failure(ingest(requests));
    expect(refused).toMatchObject({ reason: 'INVALID_REQUEST' });
    expect(refused.violations.map(({ field }) => field)).toEqual(['events[1].action']);
    expect(await countOf('storage_audit', 'action', action('bad'))).toBe(1);
    const moved = ingest([{ events: [event] }, { project: 'other', events: [event] }]);
    expect(await failure(moved)).toMatchObject({ reason: 'INVALID_REQUEST' });
  });
});

describe.each(doorNames)('executions through %s', (door) => {
  const hooks = () => service.doors[door].hooks;
  const event = (name: string) => `${door} ${name}`;

  it('are logged with all they say, and once', async () => {
    const execution = {
      ...{ id: randomUUID(), timestamp: daysAgo(1), hookName: 'thumbnails' },
      ...{ eventType: event('all'), objectKey: 'docs/a.pdf', executionTime: 0.25 },
      ...{ success: false, errorMessage: 'timed out', correlationId: 'c-2' },
      ...{ response: { status: 504 }, payload: { key: 'docs/a.pdf' } },
    };
    const { id, timestamp } = execution;
    const answer = await hooks().logExecution({ execution });
    expect(answer).toMatchObject({ id, timestamp });
    expect(answer.token).toMatch(/^[\w-]{59}$/);
    const executions = [execution, { hookName: 'thumbnails', eventType: event('all') }];
    const many = await hooks().logExecutions({ executions });
    expect(many).toMatchObject({ ids: [id, many.ids[1]], appended: 1n, known: 1n });
    const rows = await service.sql(
      `select id::text, hook_name, object_key, execution_time, success, error_message, response,
              payload, correlation_id
       from storage_hooks where event_type = $1 order by timestamp`,
      [event('all')],
    );
    expect(rows).toEqual([
      {
        ...{ id, hook_name: 'thumbnails', object_key: 'docs/a.pdf', execution_time: 0.25 },
        ...{ success: false, error_message: 'timed out', correlation_id: 'c-2' },
        ...{ response: { status: 504 }, payload: { key: 'docs/a.pdf' } },
      },
      {
        ...{ id: many.ids[1], hook_name: 'thumbnails', object_key: null, execution_time: null },
        ...{ success: true, error_message: null, correlation_id: null },
        ...{ response: null, payload: null },
      },
    ]);
  });

  it('are refused with what is wrong with them', async () => {
    const execution = { hookName: 'h', eventType: 'e' };
    const bad = [
      [{ ...execution, executionTime: -1 }, 'execution.execution_time'],
      [{ ...execution, hookName: 'a b' }, 'execution.hook_name'],
      [{ ...execution, payload: { a: '\0' } }, 'execution.payload.a'],
    ] as const;
    for (const [item, field] of bad) {
      const refused = await failure(hooks().logExecution({ execution: item }));
      expect(refused).toMatchObject({ reason: 'INVALID_REQUEST', violations: [{ field }] });
    }
    const project = 'no-such-project';
    const calls = [
      () => hooks().logExecution({ project, execution }),
      () => hooks().logExecutions({ project, executions: [execution] }),
    ];
    for (const call of calls) {
      expect(await failure(call())).toMatchObject({ reason: 'PROJECT_NOT_FOUND' });
    }
    const old = { ...execution, timestamp: daysAgo(3_654) };
    const late = hooks().logExecutions({ executions: [old] });
    expect(await failure(late)).toMatchObject({ reason: 'EVENT_TIME_OUT_OF_RANGE' });
  });
});
