// Seals of closed months: how they are made, what keeps a month closed, and what VerifySeals finds.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  PartitionSource,
  SealVerdict,
  type VerifySealsResponse,
} from '../../gen/stowage/v1/audit_retention_pb.js';
import { sealMonthsJob } from '../../src/jobs/seal-months.js';
import { NEVER } from '../../src/lib/interruption.js';
import { fromMillis } from '../../src/lib/timestamp.js';
import { until } from '../../src/lib/wait.js';
import type { Router } from '../../src/postgres/router-api.js';
import type { RouterHandle } from '../../src/postgres/router-handle.js';
import { sharedCluster } from '../support/cluster.js';
import type { TestConnection } from '../support/database.js';
import { keeping } from '../support/keeping.js';
import { dayOf, daysSince, fillMonth, forgetMonths, type Month, told } from '../support/months.js';
import { startTestRouter } from '../support/router.js';
import { doorNames, startService, strong, type TestService } from '../support/service.js';

const { INTACT, DIFFERS, DROPPED, CUT } = SealVerdict;
const SEALED = { code: 'SW003' };

let service: TestService;
let router: RouterHandle;
/** A session as the service's own. */
let writer: TestConnection;

beforeAll(async () => {
  service = await startService();
  const url = service.database.serviceUrl ?? '';
  router = await startTestRouter({ url, nodes: sharedCluster().nodes });
  writer = await service.database.connect(url);
});

beforeEach(async () => {
  // Seals stay for ever: those of a test before are of months that were dropped.
  await service.sql('set session_replication_role = replica');
  await service.sql('delete from audit_seals');
  await service.sql('delete from audit_seal_parts');
  await service.sql('reset session_replication_role');
});

afterEach(() => forgetMonths(service));

afterAll(async () => {
  await router?.close();
  await service?.[Symbol.asyncDispose]();
});

interface SealRow extends Record<string, unknown> {
  readonly seal_number: number;
  readonly rows: number;
  readonly sha256: string;
}

const sealsOf = ({ starts }: Month) =>
  service.sql<SealRow>(
    `select seal_number, rows::int, encode(sha256, 'hex') as sha256 from audit_seals
     where range_start = $1 order by seal_number`,
    [starts],
  );

/** Runs the job until the month has so many seals: the server's own may be in its way. */
async function seal(month: Month, count = 1, own: Router = router): Promise<SealRow[]> {
  const isSealed = async () => {
    await sealMonthsJob({ router: own, keeping }).run(NEVER);
    const seals = await sealsOf(month);
    return seals.length >= count ? seals : undefined;
  };
  return until(isSealed, { timeoutMs: 20_000, what: `${month.partition} has ${count} seals` });
}

/** A month that is old enough. */
async function oldMonth(count: number, rows: number): Promise<Month> {
  const month = await fillMonth(service, count, rows);
  await service.sql(
    `update storage_partitions set made_at = made_at - interval '2 years' where partition = $1`,
    [month.partition],
  );
  return month;
}

const insert = (connection: Pick<TestConnection, 'query'>, at: Date, project = 'default') =>
  connection.query(
    `insert into storage_audit (project_id, timestamp, id, action)
     values ($2, $1, gen_random_uuid(), 'LATE')`,
    [at, project],
  );

async function insertLate(at: Date): Promise<void> {
  await writer.query('begin');
  await writer.query("set local stowage.late_events = 'on'");
  await insert(writer, at);
  await writer.query('commit');
}

const noteCount = async () => (await service.sql('select from audit_late_months')).length;

/** As somebody who owns the machine. */
async function tamper(text: string, values: readonly unknown[]): Promise<void> {
  await service.sql('set session_replication_role = replica');
  await service.sql(text, values);
  await service.sql('reset session_replication_role');
}

/** A router of a server that something happens to once, when it has read a month. */
function behindReading(happen: () => Promise<unknown>): Router {
  let hasHappened = false;
  return {
    run: (...args) => router.run(...args),
    transaction: (...args) => router.transaction(...args),
    async *stream(...args) {
      const served = yield* router.stream(...args);
      if (!hasHappened) await happen();
      hasHappened = true;
      return served;
    },
  };
}

async function verified(
  messages: AsyncIterable<VerifySealsResponse>,
): Promise<VerifySealsResponse[]> {
  const months: VerifySealsResponse[] = [];
  for await (const message of messages) if (message.partition !== '') months.push(message);
  return months;
}

describe('a seal', () => {
  it('is of a month that is over for long enough, once, by however many servers', async () => {
    const month = await oldMonth(15, 500);
    const young = await fillMonth(service, 14, 10);
    await Promise.all([1, 2, 3].map(() => sealMonthsJob({ router, keeping }).run(NEVER)));
    await seal(month);
    expect(await sealsOf(month)).toMatchObject([{ seal_number: 1, rows: 500 }]);
    expect(await sealsOf(young)).toEqual([]);
    await insert(writer, young.starts);
    const { partitions } = await service.doors.gRPC.audit.listPartitions({
      source: PartitionSource.STORAGE_AUDIT,
      freshness: strong,
    });
    const [made] = await sealsOf(month);
    expect(partitions[0]).toMatchObject({
      ...{ name: month.partition, seals: 1, sealedRows: 500n, sealedSha256: made?.sha256 },
      sealedAt: expect.anything(),
    });
    expect(partitions[1]).toMatchObject({ name: young.partition, seals: 0, sealedSha256: '' });
  });

  it('is made again by the recipe of the documentation', async () => {
    const month = await oldMonth(15, 700);
    const [made] = await seal(month);
    const columns =
      'textsend(project_id), timestamptz_send(timestamp), uuid_send(id), textsend(user_id), ' +
      'textsend(username), textsend(action), textsend(object_key), textsend(version_id), ' +
      'inet_send(ip_address), textsend(user_agent), boolsend(success), textsend(error_message), ' +
      'textsend(correlation_id), jsonb_send(metadata)';
    const parts = await service.sql<{ same: boolean }>(
      `with days as (
         select project_id, (timestamp at time zone 'UTC')::date as day, count(*) as rows,
           sha256(string_agg(int2send(14::int2) || (
             select string_agg(coalesce(int4send(length(v)) || v, int4send(-1)), '' order by n)
             from unnest(array[${columns}]) with ordinality as c (v, n)), ''
             order by timestamp, id)) as sha256
         from storage_audit where timestamp >= $1 and timestamp < $2 group by 1, 2
       )
       select p.rows = d.rows and p.sha256 = d.sha256 as same
       from days d full join audit_seal_parts p using (project_id, day)`,
      [month.starts, month.ends],
    );
    expect(parts.length).toBeGreaterThanOrEqual(56);
    expect(new Set(parts.map(({ same }) => same))).toEqual(new Set([true]));
    const [whole] = await service.sql(
      `select encode(sha256(string_agg(sha256, '' order by project_id, day)), 'hex') as sha256
       from audit_seal_parts`,
    );
    expect(whole).toEqual({ sha256: made?.sha256 });
  });

  it('keeps its month closed to every role', async () => {
    const month = await oldMonth(15, 10);
    await seal(month);
    const others = [writer, await service.database.connect()];
    for (const connection of others) {
      await expect(insert(connection, month.starts)).rejects.toMatchObject(SEALED);
    }
    const direct = `insert into ${month.partition} (project_id, timestamp, id, action)
                    values ('default', '${month.starts.toISOString()}', gen_random_uuid(), 'X')`;
    await expect(service.sql(direct)).rejects.toMatchObject(SEALED);
    await expect(service.sql('update audit_seals set rows = 1')).rejects.toThrow(/append-only/);
    await expect(service.sql('delete from audit_seal_parts')).rejects.toThrow(/append-only/);
    await expect(writer.query('delete from audit_seals')).rejects.toThrow(/permission denied/);
  });

  it('waits for those that write to the month', async () => {
    const month = await oldMonth(15, 10);
    await writer.query('begin');
    await insert(writer, month.starts);
    const sealing = seal(month);
    const isClosing = async () =>
      (
        await service.sql(
          `select from pg_stat_activity where datname = current_database()
           and wait_event_type = 'Lock' and query like '%stowage_close_month%'`,
        )
      ).length > 0;
    await until(isClosing, { timeoutMs: 20_000, what: 'the month is being closed' });
    await writer.query('commit');
    expect(await sealing).toMatchObject([{ rows: 11 }]);
  });

  it('is added where late events came, and none is changed', async () => {
    const month = await oldMonth(15, 10);
    const [first] = await seal(month);
    await insertLate(month.starts);
    expect(await noteCount()).toBe(1);
    const seals = await seal(month, 2);
    expect(seals).toMatchObject([first, { seal_number: 2, rows: 11 }]);
    expect(await noteCount()).toBe(0);
    await sealMonthsJob({ router, keeping }).run(NEVER);
    expect(await sealsOf(month)).toEqual(seals);
  });

  it('forgets no late event that comes while the month is read', async () => {
    const month = await oldMonth(15, 10);
    await seal(month);
    await insertLate(month.starts);
    const late = behindReading(() => insertLate(dayOf(month, 2)));
    expect(await seal(month, 2, late)).toMatchObject([{ rows: 10 }, { rows: 11 }]);
    expect(await noteCount()).toBe(1);
    expect(await seal(month, 3)).toMatchObject([{ rows: 10 }, { rows: 11 }, { rows: 12 }]);
    expect(await noteCount()).toBe(0);
  });
});

describe('a server', () => {
  it('adds no older seal behind one that another has made meanwhile', async () => {
    const month = await oldMonth(15, 10);
    await seal(month);
    await insertLate(month.starts);
    const slower = behindReading(async () => {
      await insertLate(dayOf(month, 2));
      await seal(month, 2);
    });
    await sealMonthsJob({ router: slower, keeping }).run(NEVER);
    expect(await sealsOf(month)).toMatchObject([{ rows: 10 }, { rows: 12 }]);
    expect(await noteCount()).toBe(0);
  });
});

describe.each(doorNames)('VerifySeals through %s', (door) => {
  const verify = (range: object = {}) => verified(service.doors[door].audit.verifySeals(range));

  it('finds intact what is intact, of the months that are asked for', async () => {
    const [older, month] = [await oldMonth(16, 300), await oldMonth(15, 200)];
    await seal(older);
    await seal(month);
    await service.waitUntilCaughtUp();
    expect(await verify()).toMatchObject([
      { partition: older.partition, verdict: INTACT, sealNumber: 1, sealedRows: 300n },
      { partition: month.partition, verdict: INTACT, foundRows: 200n, differences: [] },
    ]);
    const at = (time: Date) => fromMillis(time.getTime());
    const late = await verify({ startTime: at(older.ends) });
    expect(late.map(({ partition }) => partition)).toEqual([month.partition]);
    const early = await verify({ endTime: at(older.ends) });
    expect(early.map(({ partition }) => partition)).toEqual([older.partition]);
    const left = await service.sql(
      `select from pg_stat_activity where datname = current_database() and state like 'idle in%'`,
    );
    expect(left).toEqual([]);
  });

  it('names by project and day what was altered, removed or added', async () => {
    const month = await oldMonth(15, 620);
    await seal(month);
    const [third, fourth, fifth] = [3, 4, 5].map((day) => dayOf(month, day));
    const one = `ctid = (select ctid from ${month.partition} where project_id = $1
                 and timestamp >= $2 and timestamp < $2::timestamptz + '1 day' limit 1)`;
    await tamper(`update ${month.partition} set user_agent = 'x' where ${one}`, ['größer', third]);
    await tamper(`delete from ${month.partition} where ${one}`, ['default', fourth]);
    await tamper(
      `insert into storage_audit (project_id, timestamp, id, action)
       values ('another', $1, gen_random_uuid(), 'FORGED')`,
      [fifth],
    );
    await service.waitUntilCaughtUp();
    const day = (time: Date | undefined) => fromMillis(time?.getTime() ?? 0);
    expect(await verify()).toMatchObject([
      {
        ...{ verdict: DIFFERS, sealedRows: 620n, foundRows: 620n },
        differences: [
          { project: 'another', day: day(fifth), sealedRows: 0n, foundRows: 1n },
          { project: 'default', day: day(fourth), sealedRows: 10n, foundRows: 9n },
          { project: 'größer', day: day(third), sealedRows: 10n, foundRows: 10n },
        ],
      },
    ]);
  });

  it('is not fooled by parts that were altered with the rows', async () => {
    const month = await oldMonth(15, 31);
    await seal(month);
    await tamper(`delete from audit_seal_parts where day = $1::timestamptz::date`, [
      dayOf(month, 2),
    ]);
    await tamper(`delete from storage_audit where timestamp >= $1 and timestamp < $2`, [
      dayOf(month, 2),
      dayOf(month, 3),
    ]);
    await service.waitUntilCaughtUp();
    expect(await verify()).toMatchObject([{ verdict: DIFFERS, differences: [] }]);
  });

  it('tells a month that retention has dropped, or cut, from one that was altered', async () => {
    const [old, cut] = [await oldMonth(16, 62), await oldMonth(15, 620)];
    await seal(old);
    await seal(cut);
    const retentionDays = daysSince(dayOf(cut, 10));
    const source = PartitionSource.STORAGE_AUDIT;
    await told(service.doors[door].audit.applyRetention({ source, retentionDays }));
    await service.waitUntilCaughtUp();
    const found = await verify();
    expect(found).toMatchObject([
      { partition: old.partition, verdict: DROPPED, sealedRows: 62n, foundRows: 0n },
      { partition: cut.partition, verdict: CUT, sealedRows: 620n, differences: [] },
    ]);
    await tamper('delete from storage_audit where timestamp >= $1 and timestamp < $2', [
      dayOf(cut, 10),
      dayOf(cut, 11),
    ]);
    await service.waitUntilCaughtUp();
    const again = await verify();
    expect(again[1]?.verdict).toBe(DIFFERS);
    expect(again[1]?.differences.map(({ day }) => day?.seconds)).toEqual([
      BigInt(dayOf(cut, 10).getTime() / 1000),
      BigInt(dayOf(cut, 10).getTime() / 1000),
    ]);
  });
});
