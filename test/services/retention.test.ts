// Retention at both doors: what leaves, what stays, who is told, and that nobody waits for it.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { PartitionSource } from '../../gen/stowage/v1/audit_retention_pb.js';
import { until } from '../../src/lib/wait.js';
import { sharedCluster } from '../support/cluster.js';
import { atDatabase, type TestConnection } from '../support/database.js';
import {
  dayOf,
  daysSince,
  fillMonth,
  forgetMonths,
  type Month,
  monthsAgo,
  told,
} from '../support/months.js';
import {
  doorNames,
  failure,
  openServer,
  startService,
  strong,
  type TestService,
} from '../support/service.js';

const { STORAGE_AUDIT, STORAGE_HOOKS, STORAGE_CHANGES } = PartitionSource;
const WAIT_MS = 20_000;

let service: TestService;
/** A session of the test's own, for what stands in the way. */
let holder: TestConnection;
/** When the test began. */
let since: Date | undefined;

beforeAll(async () => {
  service = await startService();
  holder = await service.database.connect();
});

beforeEach(async () => {
  const [row] = await service.sql<{ now: Date }>('select clock_timestamp() as now');
  since = row?.now;
});

afterEach(async () => {
  await holder.query('rollback');
  await forgetMonths(service);
});

afterAll(async () => {
  await service?.[Symbol.asyncDispose]();
});

const isThere = async (partition: string) => {
  const [row] = await service.sql('select to_regclass($1) is not null as there', [partition]);
  return row?.['there'];
};

const rowsOf = async ({ starts, ends }: Month) => {
  const [row] = await service.sql<{ rows: number }>(
    'select count(*)::int as rows from storage_audit where timestamp >= $1 and timestamp < $2',
    [starts, ends],
  );
  return row?.rows;
};

/** Resolves once a session waits for a lock with such a text. */
const untilWaits = (pattern: string) => {
  const isWaiting = async () => {
    const [row] = await service.sql<{ pid: number }>(
      `select pid from pg_stat_activity where datname = current_database()
       and wait_event_type = 'Lock' and query ilike $1`,
      [pattern],
    );
    return row?.pid;
  };
  return until(isWaiting, { timeoutMs: WAIT_MS, what: `${pattern} waits` });
};

const lease = async (month: Month, expires = '15 minutes', source = 'storage_audit') => {
  const [row] = await service.sql<{ expires_at: Date }>(
    `insert into export_leases (project_id, lease_id, source, range_start, range_end, principal,
       expires_at)
     values ('default', gen_random_uuid(), $1, $2, $3, 'somebody', now() + $4::interval)
     returning expires_at`,
    [source, month.starts, month.ends, expires],
  );
  return row?.expires_at;
};

const audited = async (partition: string) =>
  (
    await service.sql<{ action: string }>(
      `select action from storage_audit
       where metadata->>'partition' = $1 and timestamp > $2 order by timestamp`,
      [partition, since],
    )
  ).map(({ action }) => action);

describe.each(doorNames)('retention through %s', (door) => {
  const audit = () => service.doors[door].audit;
  const apply = (retentionDays: number, how: object = {}) =>
    audit().applyRetention({ source: STORAGE_AUDIT, retentionDays, ...how });

  it('asks for confirm where today alone is kept, and takes two tables only', async () => {
    const refused = { reason: 'INVALID_REQUEST', violations: [{ field: 'confirm' }] };
    expect(await failure(told(apply(0)))).toMatchObject(refused);
    expect(await failure(told(apply(0, { dryRun: true })))).toMatchObject(refused);
    for (const source of [PartitionSource.UNSPECIFIED, STORAGE_CHANGES]) {
      const call = told(apply(10, { source }));
      expect(await failure(call)).toMatchObject({ violations: [{ field: 'source' }] });
    }
    const { summary } = await told(
      apply(0, { source: STORAGE_HOOKS, confirm: true, dryRun: true }),
    );
    expect(summary).toMatchObject({ dryRun: true, partitionsDropped: 0 });
  });

  it('drops whole months, deletes the first days of one, and is told and audited', async () => {
    const [older, old, cut, kept] = [
      await fillMonth(service, 16, 310),
      await fillMonth(service, 15, 620),
      await fillMonth(service, 14, 12_000),
      await fillMonth(service, 13, 300),
    ];
    const days = daysSince(dayOf(cut, 15));
    const dry = await told(apply(days, { dryRun: true }));
    const leaving = await rowsOf({ ...cut, ends: dayOf(cut, 15) });
    expect(dry.steps).toMatchObject([
      { partition: older.partition, dropped: true, rows: 310n },
      { partition: old.partition, dropped: true, rows: 620n },
      { partition: cut.partition, dropped: false, rows: BigInt(leaving ?? 0) },
    ]);
    expect(await rowsOf(old)).toBe(620);
    expect(await audited(old.partition)).toEqual([]);
    const { steps, summary } = await told(apply(days));
    expect(summary).toEqual({ ...dry.summary, dryRun: false });
    expect(summary).toMatchObject({ partitionsDropped: 2, rowsDropped: 930n });
    expect(summary?.bytesDropped).toBeGreaterThan(2n * 8192n);
    expect(summary?.before?.seconds).toBe(BigInt(dayOf(cut, 15).getTime() / 1000));
    const deleted = steps.filter(({ dropped }) => !dropped);
    expect(deleted.map(({ rows }) => rows)).toEqual([5000n, BigInt(leaving ?? 0) - 5000n]);
    for (const { partition } of [older, old]) {
      expect(await isThere(partition)).toBe(false);
      expect(await audited(partition)).toEqual(['DROP_PARTITION']);
    }
    expect(await audited(cut.partition)).toEqual(['DELETE_ROWS']);
    expect(await rowsOf({ ...cut, ends: dayOf(cut, 15) })).toBe(0);
    expect(await rowsOf(cut)).toBe(12_000 - (leaving ?? 0));
    expect(await rowsOf(kept)).toBe(300);
    const { partitions } = await audit().listPartitions({
      source: STORAGE_AUDIT,
      freshness: strong,
    });
    expect(partitions.map(({ name }) => name).slice(0, 2)).toEqual([cut.partition, kept.partition]);
    expect(partitions[0]?.deletedBefore).toEqual(summary?.before);
    const [last] = await service.sql(
      `select metadata from storage_audit where action = 'APPLY_RETENTION'
       order by timestamp desc limit 1`,
    );
    expect(last?.['metadata']).toMatchObject({ partitions_dropped: 2, rows_deleted: leaving });
    const again = await told(apply(days));
    expect(again.steps).toEqual([]);
  });

  it('spares what a running export needs unless it is forced', async () => {
    const [first, second] = [await fillMonth(service, 16, 20), await fillMonth(service, 15, 20)];
    await lease(second, '-1 second');
    await lease(second, '15 minutes', 'storage_hooks');
    await lease({ ...second, starts: second.ends, ends: new Date(second.ends.getTime() + 1) });
    const days = daysSince(second.ends);
    const expires = await lease(second);
    const refused = await failure(told(apply(days)));
    expect(refused).toMatchObject({
      reason: 'EXPORT_IN_PROGRESS',
      metadata: { partition: second.partition, expires_at: expires?.toISOString() },
    });
    expect(await rowsOf(first)).toBe(20);
    expect((await told(apply(days, { dryRun: true }))).summary?.partitionsDropped).toBe(2);
    const { summary } = await told(apply(days, { force: true }));
    expect(summary?.partitionsDropped).toBe(2);
    const [noted] = await service.sql(
      `select dropped_at >= $2::timestamptz - interval '15 minutes'
         and dropped_at < clock_timestamp() as since
       from storage_partitions where partition = $1 order by made_at desc limit 1`,
      [second.partition, expires],
    );
    expect(noted).toEqual({ since: true });
  });

  it('lets everybody read and write while a detach waits for an old transaction', async () => {
    const month = await fillMonth(service, 15, 50);
    const other = await fillMonth(service, 14, 50);
    await service.waitUntilCaughtUp();
    await holder.query('begin');
    await holder.query('select from storage_audit limit 1');
    const retention = told(apply(daysSince(month.ends)));
    retention.catch(() => undefined);
    const pid = await untilWaits('alter table%concurrently');
    const readers = await Promise.all(
      sharedCluster().nodes.map(({ url }) => {
        const own = new URL(service.database.serviceUrl ?? '');
        own.port = new URL(url).port;
        return service.database.connect(own.href);
      }),
    );
    let calls = 0;
    for (const { starts, ends } of [month, other]) {
      for (const reader of readers) {
        await reader.query(
          'select count(*) from storage_audit where timestamp >= $1 and timestamp < $2',
          [starts, ends],
        );
        calls += 1;
      }
      const objectKey = `while/${door}/${starts.getTime()}`;
      await service.doors[door].storage.recordObject({
        object: { objectKey, size: 1n, storageBackend: 's3' },
      });
      await audit().listPartitions({ freshness: strong });
      calls += 2;
    }
    expect(calls).toBe(10);
    // All of that went by while it waited.
    expect(await untilWaits('alter table%concurrently')).toBe(pid);
    await holder.query('rollback');
    expect((await retention).steps).toMatchObject([{ partition: month.partition, dropped: true }]);
  });

  it('goes on where it was killed amid a detach, and behind one', async () => {
    const month = await fillMonth(service, 15, 50);
    await holder.query('begin');
    await holder.query('select from storage_audit limit 1');
    const first = failure(told(apply(daysSince(month.ends))));
    const detaching = await untilWaits('alter table%concurrently');
    await service.sql('select pg_terminate_backend($1)', [detaching]);
    expect(await first).toMatchObject({ reason: 'NO_PRIMARY' });
    await holder.query('rollback');
    const pending =
      'select inhdetachpending as pending from pg_inherits where inhrelid = $1::regclass';
    expect(await service.sql(pending, [month.partition])).toEqual([{ pending: true }]);
    // It has left for readers, and is told as what would be dropped.
    expect(await rowsOf(month)).toBe(0);
    const { partitions } = await audit().listPartitions({ freshness: strong });
    expect(partitions.map(({ name }) => name)).not.toContain(month.partition);
    const dry = await told(apply(daysSince(month.ends), { dryRun: true }));
    expect(dry.steps).toMatchObject([{ partition: month.partition, dropped: true }]);

    await holder.query('begin; lock table audit_late_months in exclusive mode');
    const second = failure(told(untilTurn()));
    const dropping = await untilWaits('%audit_late_months%where%');
    expect(await service.sql(pending, [month.partition])).toEqual([]);
    await service.sql('select pg_terminate_backend($1)', [dropping]);
    expect(await second).toMatchObject({ reason: 'NO_PRIMARY' });
    await holder.query('rollback');
    expect(await isThere(month.partition)).toBe(true);
    const third = await told(untilTurn());
    expect(third.steps).toMatchObject([{ partition: month.partition, dropped: true }]);
    expect(await isThere(month.partition)).toBe(false);

    /** The killed session's turn ends with its backend. */
    async function* untilTurn() {
      for (;;) {
        try {
          return yield* apply(daysSince(month.ends));
        } catch (error) {
          const refused = await failure(Promise.reject(error));
          if (refused.reason !== 'MAINTENANCE_RUNNING') throw error;
        }
      }
    }
  });

  it('stops amid a detach when its caller leaves, and frees its turn', async () => {
    const month = await fillMonth(service, 15, 50);
    await holder.query('begin');
    await holder.query('select from storage_audit limit 1');
    const leaving = new AbortController();
    const request = { source: STORAGE_AUDIT, retentionDays: daysSince(month.ends) };
    const left = failure(told(audit().applyRetention(request, { signal: leaving.signal })));
    await untilWaits('alter table%concurrently');
    const running = await failure(told(apply(request.retentionDays)));
    expect(running.reason).toBe('MAINTENANCE_RUNNING');
    leaving.abort();
    await left;
    const isFree = async () => {
      const sessions = await service.sql(
        `select from pg_stat_activity where datname = current_database()
         and application_name like 'stowage maintenance%'`,
      );
      return sessions.length === 0;
    };
    await until(isFree, { timeoutMs: WAIT_MS, what: 'the session has ended' });
    await holder.query('rollback');
    const { summary } = await told(apply(request.retentionDays));
    expect(summary?.partitionsDropped).toBe(1);
  });

  it('lists partitions of each table with sizes, on standbys too', async () => {
    await service.waitUntilCaughtUp();
    const eventual = { demand: { case: 'eventual', value: true } } as const;
    const { partitions } = await audit().listPartitions({ freshness: eventual });
    const kinds = partitions.map(({ source }) => source);
    expect(kinds).toEqual([...kinds].sort((a, b) => byName(a) - byName(b)));
    expect(kinds.filter((kind) => kind === STORAGE_CHANGES)).toHaveLength(8);
    const current = partitions.find(({ name }) => name === monthsAgo(0).partition);
    expect(current?.rangeStart?.seconds).toBe(BigInt(monthsAgo(0).starts.getTime() / 1000));
    expect(current?.rangeEnd?.seconds).toBe(BigInt(monthsAgo(0).ends.getTime() / 1000));
    expect(current?.sizeBytes).toBeGreaterThan(0n);
    expect(current?.seals).toBe(0);
    expect([current?.sealedAt, current?.deletedBefore]).toEqual([undefined, undefined]);
    await service.sql(`create table by_hand partition of storage_audit
                       for values from ('2001-01-01Z') to ('2001-02-01Z')`);
    const request = { source: STORAGE_AUDIT, freshness: strong };
    const { partitions: again } = await audit().listPartitions(request);
    expect(again[0]?.name).toBe('by_hand');
    expect(again[0]?.rangeEnd?.seconds).toBe(BigInt(Date.UTC(2001, 1) / 1000));
    await service.sql('drop table by_hand');
  });
});

/** As the tables are called. */
const byName = (source: PartitionSource) =>
  [STORAGE_AUDIT, STORAGE_CHANGES, STORAGE_HOOKS].indexOf(source);

describe('readers', () => {
  it('of a month that leaves, and of another one, never fail on any node', async () => {
    const months: Month[] = [];
    for (const count of [20, 19, 18, 17, 16]) months.push(await fillMonth(service, count, 400));
    const kept = await fillMonth(service, 13, 400);
    await service.waitUntilCaughtUp();
    const isOver = new AbortController();
    let reads = 0;
    const read = async (connection: TestConnection) => {
      while (!isOver.signal.aborted) {
        for (const { starts, ends } of [...months, kept]) {
          await connection.query(
            `select count(*) from storage_audit where project_id = 'default'
             and timestamp >= $1 and timestamp < $2`,
            [starts, ends],
          );
          reads += 1;
        }
      }
    };
    const connections = await Promise.all(
      sharedCluster().nodes.map(({ url }) =>
        service.database.connect(atDatabase(url, service.database.name)),
      ),
    );
    const reading = Promise.all(connections.map(read));
    reading.catch(() => undefined);
    const { audit } = service.doors.gRPC;
    const days = daysSince(months.at(-1)?.ends ?? new Date());
    const { summary } = await told(
      audit.applyRetention({ source: STORAGE_AUDIT, retentionDays: days }),
    );
    expect(summary?.partitionsDropped).toBe(5);
    await service.waitUntilCaughtUp();
    isOver.abort();
    await reading;
    expect(reads).toBeGreaterThan(0);
    expect(await rowsOf(kept)).toBe(400);
  });
});

describe('a server without a login of the owner', () => {
  it('tells what would go and removes nothing', async () => {
    const month = await fillMonth(service, 15, 10);
    const nodes = sharedCluster().nodes.map(({ host, port }) => `${host}:${port}`);
    await using bare = await openServer(service.database, nodes, { STOWAGE_ADMIN_URL: '' });
    const { audit } = bare.doors.gRPC;
    const request = { source: STORAGE_AUDIT, retentionDays: daysSince(month.ends) };
    const { summary } = await told(audit.applyRetention({ ...request, dryRun: true }));
    expect(summary?.partitionsDropped).toBe(1);
    const refused = await failure(told(audit.applyRetention(request)));
    expect(refused.reason).toBe('MAINTENANCE_UNAVAILABLE');
    expect(await rowsOf(month)).toBe(10);
  });
});
