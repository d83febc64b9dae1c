// Executions of hooks through both doors: listed by each filter, and added up, beside a model.
import { randomInt, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HookStatistics } from '../../gen/stowage/v1/hook_execution_pb.js';
import {
  asPlanted,
  filterMessage,
  letThrough,
  type PlainFilter,
  type Planted,
  plantExecutions,
  secondsAgo,
} from '../support/executions.js';
import { createRandom } from '../support/random.js';
import { doorNames, failure, startService, strong, type TestService } from '../support/service.js';

const seed = randomInt(2 ** 31);
const random = createRandom(seed);
const freshness = strong;

const hookNames = ['erp_sync', 'erp_sync2', 'mail'];
const eventTypes = ['DOCUMENT_ARCHIVED', 'object.created', 'Größe'];
const DAY = 86_400;
/**
 * Few enough that some are of several executions, over four months; none within an hour of a whole
 * day ago, where windows begin.
 */
const times = Array.from({ length: 60 }, () =>
  secondsAgo(random.below(100) * DAY + 3600 + random.below(22 * 3600), random.below(1000)),
);

const rows: readonly Planted[] = Array.from({ length: 250 }, (_, n) => ({
  id: randomUUID(),
  timestamp: random.pick(times),
  hook_name: random.pick(hookNames),
  event_type: random.pick(eventTypes),
  success: random.below(4) > 0,
  ...(random.below(3) > 0 ? { object_key: `documents/${random.below(5)}` } : {}),
  ...(random.below(5) > 0 ? { execution_time: random.below(10_000) / 1000 } : {}),
  ...(random.below(2) > 0 ? { correlation_id: `order-${random.below(20)}` } : {}),
  ...(random.below(4) > 0 ? { response: { n } } : { error_message: `failed: ${n}` }),
  ...(random.below(4) > 0 ? { payload: { sent: { n: `${n}` } } } : {}),
}));

let service: TestService;

beforeAll(async () => {
  service = await startService();
  await plantExecutions(service, 'default', rows);
});

afterAll(async () => {
  await service[Symbol.asyncDispose]();
});

/** A filter that lets something through, of one field to all of them. */
function someFilter(): PlainFilter {
  const row = random.pick(rows);
  const [start, end] = [random.pick(times), random.pick(times)].sort() as [string, string];
  const columns = ['hook_name', 'event_type', 'object_key', 'success', 'correlation_id'] as const;
  const chosen = columns.filter((column) => row[column] !== undefined && random.below(3) === 0);
  return {
    ...Object.fromEntries(chosen.map((column) => [column, row[column]])),
    ...(random.below(3) === 0 ? { start } : {}),
    ...(random.below(3) === 0 ? { end } : {}),
  };
}

const filters: readonly PlainFilter[] = [
  {},
  { hook_name: 'erp_sync' },
  { event_type: 'Größe' },
  { object_key: 'documents/1' },
  { success: false },
  { correlation_id: 'order-1' },
  ...Array.from({ length: 15 }, someFilter),
];

describe.each(doorNames)(`executions through %s (seed ${seed})`, (door) => {
  const hooks = () => service.doors[door].hooks;

  const newProject = async (name: string) => {
    const project = `${name}-${door.toLowerCase()}`;
    await service.doors[door].projects.createProject({ project: { project } });
    return project;
  };

  async function listed(filter: PlainFilter, orderBy: string): Promise<Planted[]> {
    const all: Planted[] = [];
    const request = { filter: filterMessage(filter), orderBy, pageSize: 40, freshness };
    let pageToken = '';
    do {
      const page = await hooks().listExecutions({ ...request, pageToken });
      expect(page.scanLimited).toBe(false);
      all.push(...page.executions.map(asPlanted));
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    return all;
  }

  it('lists those that a filter lets through, in both directions of time', async () => {
    for (const filter of filters) {
      const wanted = letThrough(rows, filter);
      const text = JSON.stringify(filter);
      expect(await listed(filter, 'timestamp'), text).toEqual(wanted);
      expect(await listed(filter, 'timestamp desc'), text).toEqual(wanted.toReversed());
    }
  });

  it('lists the newest hundred where nothing is asked for', async () => {
    const page = await hooks().listExecutions({ freshness });
    const newest = letThrough(rows, {}).toReversed().slice(0, 100);
    expect(page.executions.map(asPlanted)).toEqual(newest);
  });

  it('binds a page to its arguments', async () => {
    const request = { filter: { hookName: 'erp_sync' }, pageSize: 1, freshness };
    const { nextPageToken: pageToken } = await hooks().listExecutions(request);
    expect((await hooks().listExecutions({ ...request, pageToken })).executions).toHaveLength(1);
    const others = [
      { ...request, filter: { hookName: 'mail' } },
      { ...request, filter: { hookName: 'erp_sync', success: true } },
      { ...request, orderBy: 'timestamp' },
      { ...request, project: await newProject('bound') },
    ];
    for (const other of others) {
      const refused = await failure(hooks().listExecutions({ ...other, pageToken }));
      expect(refused).toMatchObject({ reason: 'PAGE_TOKEN_INVALID' });
    }
  });

  it('ends a page at 1 MiB of what was sent and answered', async () => {
    const project = await newProject('large');
    const text = 'x'.repeat(60_000);
    const large = Array.from({ length: 24 }, (_, n) => ({
      ...{ id: randomUUID(), timestamp: secondsAgo(n), hook_name: 'h', event_type: 'e' },
      ...{ success: true, response: { text }, payload: { text } },
    }));
    await plantExecutions(service, project, large);
    const request = { project, pageSize: 1000, freshness };
    const first = await hooks().listExecutions(request);
    expect(first.executions).toHaveLength(8);
    expect(first.scanLimited).toBe(false);
    const pageToken = first.nextPageToken;
    const second = await hooks().listExecutions({ ...request, pageToken });
    expect(second.executions[0]?.id).toBe(large[8]?.id);
  });

  it('says that it has looked at enough, and goes on behind it', async () => {
    const project = await newProject('scanned');
    await service.sql(
      `insert into storage_hooks (project_id, timestamp, id, hook_name, event_type, success)
       select $1, now() - make_interval(secs => n), gen_random_uuid(), 'h',
         case n when 10500 then 'rare' else 'common' end, true
       from generate_series(1, 10500) as n`,
      [project],
    );
    for (const hookName of ['', 'h']) {
      const request = { project, filter: { hookName, eventType: 'rare' }, freshness };
      const first = await hooks().listExecutions(request);
      expect(first).toMatchObject({ executions: [], scanLimited: true });
      const pageToken = first.nextPageToken;
      const second = await hooks().listExecutions({ ...request, pageToken });
      expect(second.executions.map(({ eventType }) => eventType)).toEqual(['rare']);
      expect(second).toMatchObject({ nextPageToken: '', scanLimited: false });
    }
  });

  it('refuses bad arguments and names them', async () => {
    const at = (seconds: bigint) => ({ seconds, nanos: 0 });
    const attempts = [
      [{ orderBy: 'hook_name' }, 'order_by'],
      [{ pageSize: 1001 }, 'page_size'],
      [{ filter: { hookName: 'a b' } }, 'filter.hook_name'],
      [{ filter: { startTime: at(10n), endTime: at(9n) } }, 'filter.end_time'],
    ] as const;
    for (const [request, field] of attempts) {
      const refused = await failure(hooks().listExecutions(request));
      expect(refused).toMatchObject({ reason: 'INVALID_REQUEST' });
      expect(refused.violations.map((violation) => violation.field)).toEqual([field]);
    }
    for (const request of [{ hours: 8785 }, { hookName: 'a b' }]) {
      const refused = await failure(hooks().getHookStatistics(request));
      expect(refused).toMatchObject({ reason: 'INVALID_REQUEST' });
    }
    const lost = { project: 'none-such', freshness };
    for (const call of [hooks().listExecutions, hooks().getHookStatistics]) {
      expect(await failure(call(lost))).toMatchObject({ reason: 'PROJECT_NOT_FOUND' });
    }
  });

  it('tells at once what was logged, in a list and in both kinds of statistics', async () => {
    const project = await newProject('logged');
    const execution = {
      hookName: 'erp_sync',
      eventType: 'DOCUMENT_ARCHIVED',
      objectKey: 'documents/invoice-2024-001.pdf',
      executionTime: 0.342,
      success: true,
      response: { status: 'synced', erp_id: 'INV-2024-001' },
    };
    const { id } = await hooks().logExecution({ project, execution });
    const { executions } = await hooks().listExecutions({ project, freshness });
    expect(executions).toMatchObject([{ ...execution, id }]);
    const { statistics } = await hooks().getHookStatistics({ project, hours: 24, freshness });
    const times = { avgExecutionTime: 0.342, p50ExecutionTime: 0.342, p99ExecutionTime: 0.342 };
    expect(statistics).toMatchObject([
      { hookName: 'erp_sync', totalExecutions: 1n, successful: 1n, failed: 0n, ...times },
    ]);
    const { storage } = service.doors[door];
    const all = await storage.getStatistics({ project, freshness });
    expect(all.hookExecutions24h?.value).toBe(1n);
  });

  it('adds up a day by hook and kind of event', async () => {
    const project = await newProject('example');
    const success = { hook_name: 'erp_sync', event_type: 'DOCUMENT_ARCHIVED', success: true };
    const failed = { ...success, success: false };
    const lastRun = secondsAgo(5);
    const lastError = secondsAgo(7);
    const told = 'x'.repeat(600);
    await plantExecutions(service, project, [
      { ...success, id: randomUUID(), timestamp: lastRun, execution_time: 0.342 },
      { ...success, id: randomUUID(), timestamp: secondsAgo(6), execution_time: 1 },
      { ...failed, id: randomUUID(), timestamp: lastError, error_message: told },
      { ...failed, id: randomUUID(), timestamp: secondsAgo(8), error_message: 'older' },
      // Outside: yesterday's, and one that is ahead of the clock.
      { ...success, id: randomUUID(), timestamp: secondsAgo(DAY + 60), execution_time: 100 },
      { ...success, id: randomUUID(), timestamp: secondsAgo(-1800), execution_time: 100 },
    ]);
    const { statistics, limited } = await hooks().getHookStatistics({ project, freshness });
    expect(limited).toBe(false);
    expect(statistics).toHaveLength(1);
    expect(statistics[0]).toMatchObject({
      ...{ hookName: 'erp_sync', eventType: 'DOCUMENT_ARCHIVED' },
      ...{ totalExecutions: 4n, successful: 2n, failed: 2n, lastError: told.slice(0, 512) },
    });
    expect(statistics[0]?.avgExecutionTime).toBeCloseTo(0.671, 12);
    const at = (time: { seconds: bigint; nanos: number } | undefined) =>
      new Date(Number(time?.seconds) * 1000 + (time?.nanos ?? 0) / 1e6).toISOString();
    expect(at(statistics[0]?.lastRunAt).slice(0, 23)).toBe(lastRun.slice(0, 23));
    expect(at(statistics[0]?.lastErrorAt).slice(0, 23)).toBe(lastError.slice(0, 23));
  });

  it('adds up as a model does, in any window, for one hook and one kind', async () => {
    const requests = [
      { hours: 8784, hookName: '', eventType: '' },
      { hours: 24 * 30, hookName: 'erp_sync', eventType: '' },
      { hours: 24 * 60, hookName: '', eventType: 'Größe' },
      { hours: 24 * 90, hookName: 'mail', eventType: 'object.created' },
    ];
    for (const request of requests) {
      const { statistics } = await hooks().getHookStatistics({ ...request, freshness });
      const start = secondsAgo(request.hours * 3600);
      const inside = letThrough(rows, {
        start,
        ...(request.hookName === '' ? {} : { hook_name: request.hookName }),
        ...(request.eventType === '' ? {} : { event_type: request.eventType }),
      });
      expect(statistics.map(plain)).toEqual(model(inside));
    }
  });

  it('tells of the thousand with the most executions', async () => {
    const project = await newProject('many');
    await service.sql(
      `insert into storage_hooks (project_id, timestamp, id, hook_name, event_type, success)
       select $1, now() - make_interval(secs => n), gen_random_uuid(),
         'h' || to_char(n % 1001, 'FM0000'), 'e', true
       from generate_series(1, 2001) as n`,
      [project],
    );
    const { statistics } = await hooks().getHookStatistics({ project, freshness });
    expect(statistics).toHaveLength(1000);
    const names = statistics.map(({ hookName }) => hookName);
    expect(names).toEqual([...names].sort());
    // The one that has one execution; the others have two.
    expect(names).not.toContain('h0000');
  });
});

/** The linear interpolation of `percentile_cont`. */
function percentile(sorted: readonly number[], share: number): number | undefined {
  const at = share * (sorted.length - 1);
  const [low, high] = [sorted[Math.floor(at)], sorted[Math.ceil(at)]];
  return low === undefined || high === undefined ? undefined : low + (high - low) * (at % 1);
}

const rounded = (value: number | undefined) => value && Number(value.toFixed(9));

function model(inside: readonly Planted[]) {
  const nameOf = (row: Planted) => `${row.hook_name} ${row.event_type}`;
  return [...new Set(inside.map(nameOf))]
    .sort((left, right) => Buffer.compare(Buffer.from(left), Buffer.from(right)))
    .map((name) => {
      const group = inside.filter((row) => nameOf(row) === name);
      const times = group.flatMap((row) => row.execution_time ?? []).sort((a, b) => a - b);
      const total = times.reduce((sum, time) => sum + time, 0);
      const failures = group.filter(({ success }) => !success);
      return {
        name,
        counts: [group.length, group.length - failures.length, failures.length],
        average: times.length === 0 ? undefined : rounded(total / times.length),
        percentiles: [0.5, 0.95, 0.99].map((share) => rounded(percentile(times, share))),
        lastError: failures.at(-1)?.error_message ?? '',
      };
    });
}

function plain(told: HookStatistics) {
  const percentiles = [told.p50ExecutionTime, told.p95ExecutionTime, told.p99ExecutionTime];
  return {
    name: `${told.hookName} ${told.eventType}`,
    counts: [told.totalExecutions, told.successful, told.failed].map(Number),
    average: rounded(told.avgExecutionTime),
    percentiles: percentiles.map(rounded),
    lastError: told.lastError,
  };
}
