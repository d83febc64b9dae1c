// Maintenance jobs of AdminService on a real cluster: what they do, what they refuse, how they end.
import { randomUUID } from 'node:crypto';
import { Code, createClient } from '@connectrpc/connect';
import { createConnectTransport } from '@connectrpc/connect-node';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  type MaintenanceJob,
  MaintenanceKind,
  MaintenanceState,
} from '../../gen/stowage/v1/admin_maintenance_pb.js';
import { AdminService } from '../../gen/stowage/v1/admin_service_pb.js';
import { until } from '../../src/lib/wait.js';
import { sharedCluster } from '../support/cluster.js';
import { recordRuns } from '../support/job-runs.js';
import {
  type Admin,
  adminAt,
  LONG_INDEX,
  MaintainedService,
  WAIT_MS,
} from '../support/maintenance.js';
import { failure, openServer, type TestService } from '../support/service.js';

const { RUNNING, SUCCEEDED, FAILED, CANCELLED } = MaintenanceState;

let ground: MaintainedService;
let admin: Admin;
let service: TestService;

beforeAll(async () => {
  ground = await MaintainedService.start();
  ({ admin, service } = ground);
});

afterEach(async () => {
  await ground?.holder.query('rollback');
});

afterAll(async () => {
  await ground?.[Symbol.asyncDispose]();
});

const inPhase = (phase: string) => (job: MaintenanceJob) => job.phase === phase;

describe('vacuum', () => {
  it('removes dead rows, makes statistics where asked, is audited, by either door', async () => {
    const http = createConnectTransport({ baseUrl: service.httpUrl, httpVersion: '1.1' });
    for (const each of [admin, createClient(AdminService, http)]) {
      await service.sql('update maintained set text = text where id <= 100');
      const before = await ground.statisticsOf('maintained');
      expect(before.dead).toBeGreaterThanOrEqual(100);
      const { job } = await each.vacuum({ table: 'maintained', analyze: true });
      expect(job).toMatchObject({
        ...{ kind: MaintenanceKind.VACUUM, target: 'maintained', state: RUNNING },
        ...{ principal: 'anonymous', error: '' },
      });
      const ended = await ground.untilJob(job, undefined, each);
      expect(ended).toMatchObject({ state: SUCCEEDED, phase: '', error: '' });
      expect(ended.endedAt?.seconds).toBeGreaterThanOrEqual(ended.startedAt?.seconds ?? 0n);
      const after = await ground.statisticsOf('maintained');
      expect(after.dead).toBeLessThan(before.dead);
      expect(after.vacuums).toBe(before.vacuums + 1);
      expect(after.analyzes).toBe(before.analyzes + 1);
      expect(await ground.audited(job?.jobId)).toEqual([
        {
          ...{ user_id: 'anonymous', action: 'VACUUM_TABLE' },
          metadata: { job_id: job?.jobId, target: 'maintained' },
        },
      ]);
      const { jobs } = await each.listMaintenanceJobs({});
      expect(jobs[0]).toEqual(ended);
    }
  });

  it('keeps the space at the end of a table: giving it back keeps readers out', async () => {
    await service.sql('create table emptied as select 1');
    await service.sql('delete from emptied');
    const { job } = await admin.vacuum({ table: 'emptied' });
    expect(await ground.untilJob(job)).toMatchObject({ state: SUCCEEDED });
    const [size] = await service.sql("select pg_relation_size('emptied') > 0 as kept");
    expect(size).toEqual({ kept: true });
  });

  it('takes one partition after another', async () => {
    const { job } = await admin.vacuum({ table: 'storage_hooks' });
    const ended = await ground.untilJob(job);
    expect(ended).toMatchObject({ state: SUCCEEDED, unit: 'partitions', done: ended.total });
    const parts = await service.sql<{ name: string }>(
      `select relid::regclass::text as name from pg_partition_tree('storage_hooks') where isleaf`,
    );
    expect(ended.total).toBe(BigInt(parts.length));
    for (const { name } of parts) expect((await ground.statisticsOf(name)).vacuums).toBe(1);
    expect((await ground.statisticsOf('storage_hooks')).analyzes).toBe(0);
  });
});

describe('analyze', () => {
  it('makes statistics of a table in partitions and of each of them', async () => {
    const { job } = await admin.analyze({ table: 'storage_hooks' });
    expect(job?.kind).toBe(MaintenanceKind.ANALYZE);
    const ended = await ground.untilJob(job);
    expect(ended).toMatchObject({ state: SUCCEEDED, unit: 'partitions', done: ended.total });
    expect(await ground.audited(job?.jobId)).toMatchObject([{ action: 'ANALYZE_TABLE' }]);
    const [row] = await service.sql(
      `select count(*)::int as count, count(last_analyze)::int as analyzed
       from pg_stat_user_tables where relname like 'storage\\_hooks%'`,
    );
    expect(row).toEqual({ count: Number(ended.total) + 1, analyzed: Number(ended.total) + 1 });
  });
});

describe('reindex', () => {
  it('builds an index anew beside the old one', async () => {
    const [before] = await ground.indexesLike('projects_pkey');
    const { job } = await admin.reindexConcurrently({ index: 'projects_pkey' });
    expect(job?.kind).toBe(MaintenanceKind.REINDEX);
    expect(await ground.untilJob(job)).toMatchObject({ state: SUCCEEDED });
    const [after, ...others] = await ground.indexesLike('projects_pkey%');
    expect(after).toMatchObject({ name: 'projects_pkey', valid: true });
    expect(after?.file).not.toBe(before?.file);
    expect(others).toEqual([]);
    expect(await ground.audited(job?.jobId)).toMatchObject([{ action: 'REINDEX_INDEX' }]);
  });

  it('takes the partitions of an index one after another', async () => {
    const parts = async () =>
      service.sql<{ name: string; file: string }>(
        `select relname as name, relfilenode::text as file
         from pg_partition_tree('storage_audit_user') join pg_class on oid = relid
         where isleaf order by relname`,
      );
    const before = await parts();
    const { job } = await admin.reindexConcurrently({ index: 'storage_audit_user' });
    const total = BigInt(before.length);
    const is = { state: SUCCEEDED, unit: 'partitions', done: total, total };
    expect(await ground.untilJob(job)).toMatchObject(is);
    const after = await parts();
    expect(after.map(({ name }) => name)).toEqual(before.map(({ name }) => name));
    const isKept = after.map(({ file }, at) => file === before[at]?.file);
    expect(new Set(isKept)).toEqual(new Set([false]));
  });
});

describe('progress', () => {
  it.each([
    { command: 'vacuum', phase: 'scanning heap' },
    { command: 'analyze', phase: 'acquiring sample rows' },
  ] as const)('of $command is told in blocks', async ({ command, phase }) => {
    const name = service.database.name;
    await service.sql(`alter database ${name} set vacuum_cost_delay = 100`);
    await service.sql(`alter database ${name} set vacuum_cost_limit = 1`);
    try {
      const { job } = await admin[command]({ table: 'maintained' });
      const seen = await ground.untilJob(job, (each) => each.phase === phase && each.total > 0n);
      expect(seen).toMatchObject({ state: RUNNING, unit: 'blocks' });
      expect(seen.done).toBeLessThan(seen.total);
      const { job: ended } = await admin.cancelMaintenanceJob({ jobId: job?.jobId ?? '' });
      expect(ended).toMatchObject({ state: CANCELLED, error: '', phase: '' });
    } finally {
      await service.sql(`alter database ${name} reset all`);
    }
  });

  it('of a reindex names what it waits for', async () => {
    await ground.hold('row exclusive');
    const { job } = await admin.reindexConcurrently({ index: 'maintained_pkey' });
    const seen = await ground.untilJob(job, inPhase('waiting for writers before build'));
    expect(seen).toMatchObject({ state: RUNNING, unit: '', total: 0n });
    await ground.holder.query('rollback');
    expect(await ground.untilJob(job)).toMatchObject({ state: SUCCEEDED });
  });
});

describe('cancel', () => {
  it('ends a job that waits for a lock, once, with a row of the audit trail', async () => {
    await ground.hold('share update exclusive');
    const { job } = await admin.vacuum({ table: 'maintained' });
    const jobId = job?.jobId ?? '';
    await ground.untilJob(job, inPhase('waiting for a lock'));
    const { vacuums } = await ground.statisticsOf('maintained');
    const { job: ended } = await admin.cancelMaintenanceJob({ jobId });
    expect(ended).toMatchObject({ state: CANCELLED, error: '' });
    const again = await admin.cancelMaintenanceJob({ jobId: jobId.toUpperCase() });
    expect(again.job).toEqual(ended);
    const actions = (await ground.audited(jobId)).map(({ action }) => action);
    expect(actions).toEqual(['VACUUM_TABLE', 'CANCEL_MAINTENANCE']);
    expect((await ground.statisticsOf('maintained')).vacuums).toBe(vacuums);
  });

  it.each([
    { mode: 'row exclusive', phase: 'waiting for writers before build', isDone: false },
    // The new index is in the old one's place already, under another oid.
    { mode: 'access share', phase: 'waiting for readers before marking dead', isDone: true },
  ])('ends a reindex that is $phase with nothing left of it', async ({ mode, phase, isDone }) => {
    const before = await ground.indexesLike('maintained%');
    await ground.hold(mode);
    const { job } = await admin.reindexConcurrently({ index: 'maintained_pkey' });
    await ground.untilJob(job, inPhase(phase));
    const cancelling = admin.cancelMaintenanceJob({ jobId: job?.jobId ?? '' });
    // What is left is dropped behind the holder too.
    const isDropping = async () => {
      const waiting = await service.sql(
        `select from pg_stat_activity where datname = current_database()
         and query like 'drop index%' and wait_event_type = 'Lock'`,
      );
      return waiting.length > 0;
    };
    await until(isDropping, { timeoutMs: WAIT_MS, what: 'the remains are being dropped' });
    await ground.holder.query('rollback');
    await cancelling;
    expect(await ground.untilJob(job)).toMatchObject({ state: CANCELLED, error: '' });
    const after = await ground.indexesLike('maintained%');
    expect(after.map(({ file: _, ...rest }) => rest)).toEqual(
      before.map(({ file: _, ...rest }) => rest),
    );
    const isKept = after.every(({ file }, at) => file === before[at]?.file);
    expect(isKept).toBe(!isDone);
  });
});

describe('a job whose session is lost', () => {
  it('has failed with a sentence, and the next reindex drops what it has left', async () => {
    const ends = recordRuns('reindex');
    const [before] = await ground.indexesLike(LONG_INDEX);
    await ground.hold('row exclusive');
    const { job } = await admin.reindexConcurrently({ index: LONG_INDEX });
    await ground.untilJob(job, inPhase('waiting for writers before build'));
    const [session] = await ground.sessionsOf(job?.jobId ?? '');
    await service.sql('select pg_terminate_backend($1)', [session?.pid]);
    const ended = await ground.untilJob(job);
    expect(ended).toMatchObject({
      state: FAILED,
      error:
        'The session on the primary was lost; begin the job again once there is a primary. ' +
        'An invalid index may be left of it; the next reindex of the same index drops it.',
    });
    ends.stop();
    expect(ends.runs).toMatchObject([{ outcome: 'failed', failures: 1, error: expect.any(Error) }]);
    await ground.holder.query('rollback');
    const left = (await ground.indexesLike('maintained\\__%')).filter(({ valid }) => !valid);
    expect(left.map(({ name }) => name)).toEqual([expect.stringMatching(/ü_ccnew$/)]);
    const begun = async () =>
      admin.reindexConcurrently({ index: LONG_INDEX }).catch(() => undefined);
    // The lost session's lock goes with its backend.
    const again = await until(begun, { timeoutMs: WAIT_MS, what: 'the table is free' });
    expect(await ground.untilJob(again.job)).toMatchObject({ state: SUCCEEDED });
    const after = await ground.indexesLike('maintained\\__%');
    expect(after.map(({ valid }) => valid)).toEqual([true, true]);
    expect(after.find(({ name }) => name === LONG_INDEX)?.file).not.toBe(before?.file);
  });
});

describe('a second job', () => {
  it('is refused on the same table by any server, and where two run already', async () => {
    await using second = await openServer(
      service.database,
      sharedCluster().nodes.map(({ host, port }) => `${host}:${port}`),
    );
    const others = adminAt(second.grpcTarget);
    await ground.hold('share update exclusive', 'maintained, storage_audit');
    const { job: first } = await admin.vacuum({ table: 'maintained' });
    const running = { reason: 'MAINTENANCE_RUNNING', metadata: { job_id: first?.jobId } };
    expect(await failure(admin.analyze({ table: 'maintained' }))).toMatchObject(running);
    const onIndex = others.reindexConcurrently({ index: 'maintained_pkey' });
    expect(await failure(onIndex)).toMatchObject(running);
    const { job: whole } = await admin.analyze({ table: 'storage_audit' });
    const [part] = await service.sql<{ name: string }>(
      `select relid::regclass::text as name from pg_partition_tree('storage_audit') where isleaf`,
    );
    expect(await failure(others.vacuum({ table: part?.name ?? '' }))).toMatchObject({
      metadata: { job_id: whole?.jobId },
    });
    const third = await failure(admin.vacuum({ table: 'projects' }));
    expect(third).toMatchObject(running);
    expect(third.message).toContain('2 maintenance jobs run on this server');
    const { job: elsewhere } = await others.vacuum({ table: 'projects' });
    expect(await ground.untilJob(elsewhere, undefined, others)).toMatchObject({ state: SUCCEEDED });
    const jobId = elsewhere?.jobId ?? '';
    const unknown = await failure(admin.getMaintenanceJob({ jobId }));
    expect(unknown.reason).toBe('MAINTENANCE_JOB_NOT_FOUND');
    for (const job of [first, whole]) {
      await admin.cancelMaintenanceJob({ jobId: job?.jobId ?? '' });
      expect(await ground.untilJob(job)).toMatchObject({ state: CANCELLED });
    }
  });
});

describe('a name', () => {
  beforeAll(async () => {
    await service.sql('create view seen as select 1 as one');
    await service.sql('create table extended ()');
    await service.sql('alter extension pg_trgm add table extended');
  });

  it('is taken as a name and never as SQL', async () => {
    const table = `o'dd"; drop table projects; --%I`;
    await service.sql(`create table "${table.replaceAll('"', '""')}" (id integer primary key)`);
    const { job } = await admin.vacuum({ table, analyze: true });
    expect(await ground.untilJob(job)).toMatchObject({ state: SUCCEEDED, target: table });
    expect(await ground.statisticsOf(table)).toMatchObject({ vacuums: 1, analyzes: 1 });
    await service.sql('select from projects');
  });

  it.each([
    ...['pg_class', 'pg_statistic', 'public.projects', '"projects"', 'PROJECTS', 'none'],
    ...['projects; select 1', "' or true --", 'projects_pkey', 'seen', 'extended', 'pg_toast.x'],
  ])('is refused where the schema has no such table: %s', async (table) => {
    // It is looked up in one place for both.
    const refused = table === 'seen' ? admin.analyze({ table }) : admin.vacuum({ table });
    expect(await failure(refused)).toMatchObject({ reason: 'RELATION_NOT_FOUND' });
    const index = table === 'projects_pkey' ? 'projects' : table;
    expect(await failure(admin.reindexConcurrently({ index }))).toMatchObject({
      reason: 'RELATION_NOT_FOUND',
      metadata: { index },
    });
  });

  it('of a job is refused where the server has none', async () => {
    const jobId = randomUUID();
    const refused = { reason: 'MAINTENANCE_JOB_NOT_FOUND', metadata: { job_id: jobId } };
    expect(await failure(admin.getMaintenanceJob({ jobId }))).toMatchObject(refused);
    expect(await failure(admin.cancelMaintenanceJob({ jobId }))).toMatchObject(refused);
  });
});

describe('a server', () => {
  const waited = Code.DeadlineExceeded;
  const nodes = () => sharedCluster().nodes.map(({ host, port }) => `${host}:${port}`);

  it.each([
    ['no login of the owner', () => ''],
    ['a login that owns nothing', () => service.database.serviceUrl ?? ''],
  ])('with %s begins nothing', async (_, url) => {
    await using bare = await openServer(service.database, nodes(), { STOWAGE_ADMIN_URL: url() });
    const others = adminAt(bare.grpcTarget);
    for (const call of [
      () => others.vacuum({ table: 'projects' }),
      () => others.analyze({ table: 'storage_audit' }),
      () => others.reindexConcurrently({ index: 'projects_pkey' }),
    ]) {
      const refused = await failure(call());
      expect(refused.reason).toBe('MAINTENANCE_UNAVAILABLE');
      expect(refused.message).toContain('STOWAGE_ADMIN_URL');
    }
    expect((await others.listMaintenanceJobs({})).jobs).toEqual([]);
  });

  it('whose owner cannot log in tells no address and no word of the database', async () => {
    const url = new URL(service.database.url);
    url.password = 'hunter2';
    const environment = { STOWAGE_ADMIN_URL: url.href };
    await using shut = await openServer(service.database, nodes(), environment);
    const refused = await failure(adminAt(shut.grpcTarget).vacuum({ table: 'projects' }));
    expect(refused).toMatchObject({
      reason: 'NO_PRIMARY',
      message: "The login of STOWAGE_ADMIN_URL reached no primary; the server's log has why.",
    });
  });

  it('that stops cancels its jobs', async () => {
    const stopping = await openServer(service.database, nodes());
    await ground.hold('share update exclusive');
    const others = adminAt(stopping.grpcTarget);
    const { job } = await others.vacuum({ table: 'maintained' });
    await ground.untilJob(job, inPhase('waiting for a lock'), others);
    const ends = recordRuns('vacuum');
    await stopping[Symbol.asyncDispose]();
    ends.stop();
    expect(ends.runs).toMatchObject([{ outcome: 'stopped' }]);
    const isGone = async () => (await ground.sessionsOf(job?.jobId ?? '')).length === 0;
    await until(isGone, { timeoutMs: WAIT_MS, what: 'the session has ended' });
  });

  it('begins nothing for a caller that did not wait for its turn', async () => {
    const { jobs: before } = await admin.listMaintenanceJobs({});
    await ground.hold('access exclusive', 'storage_hooks');
    const call = () => failure(admin.vacuum({ table: 'storage_hooks' }, { timeoutMs: 150 }));
    for (const _ of ['as many', 'as may run']) expect((await call()).code).toBe(waited);
    // Their places are free again, though the lock is there still.
    const isFree = async () => (await call()).code === waited;
    await until(isFree, { timeoutMs: WAIT_MS, what: 'there is a place' });
    expect((await admin.listMaintenanceJobs({})).jobs).toEqual(before);
  });

  it('begins nothing that the audit trail has not', async () => {
    const { jobs: before } = await admin.listMaintenanceJobs({});
    await ground.hold('exclusive', 'storage_audit');
    const call = admin.vacuum({ table: 'maintained' }, { timeoutMs: 500 });
    expect((await failure(call)).code).toBe(waited);
    const isGone = async () => (await ground.sessionsOf('%')).length === 0;
    await until(isGone, { timeoutMs: WAIT_MS, what: 'the session has ended' });
    await ground.holder.query('rollback');
    expect((await admin.listMaintenanceJobs({})).jobs).toEqual(before);
    const { job } = await admin.vacuum({ table: 'maintained' });
    expect(await ground.untilJob(job)).toMatchObject({ state: SUCCEEDED });
  });
});
