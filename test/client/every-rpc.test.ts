// Every RPC of every service, called through the client at both doors and answered. What each does
// at its edges is tested beside its handler.
import type { DescMethod } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type MaintenanceJob,
  MaintenanceState,
} from '../../gen/stowage/v1/admin_maintenance_pb.js';
import {
  AdminService,
  AuditService,
  ClusterService,
  createStowage,
  type DuplicateGroup,
  HookService,
  LogLevel,
  ProjectService,
  RecordOutcome,
  StorageService,
  type Stowage,
  VersionService,
} from '../../src/client/index.js';
import { until } from '../../src/lib/wait.js';
import { appendRows } from '../support/append-rows.js';
import { auditReadRows } from '../support/audit-read-rows.js';
import { exportRows } from '../support/export-rows.js';
import { hookRows } from '../support/hook-rows.js';
import { failure, startService, type TestService } from '../support/service.js';
import { versionRows } from '../support/version-rows.js';

let service: TestService;

beforeAll(async () => {
  service = await startService();
});

afterAll(async () => {
  await service?.[Symbol.asyncDispose]();
});

const doors = { 'door 1': () => service.grpcTarget, 'door 2': () => service.httpUrl };

/** What a row works with: a project of its own with some objects in it. */
interface Ground {
  readonly stowage: Stowage;
  readonly project: string;
}

type Row = (ground: Ground) => Promise<unknown>;

const etag = 'd41d8cd98f00b204e9800998ecf8427e';

const object = (objectKey: string, fields: object = {}) => ({
  objectKey,
  size: 1024n,
  etag,
  storageBackend: 's3',
  contentType: 'application/pdf',
  metadata: { owner: 'Größe & Söhne' },
  ...fields,
});

/** What is recorded before each row runs. */
const planted = [
  object('docs/a/отчёт.pdf'),
  object('docs/b/invoice.pdf'),
  object('docs/c.pdf', { size: 7n, etag: 'another' }),
];

async function collect<T>(messages: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const message of messages) all.push(message);
  return all;
}

const storageRows: Record<keyof typeof StorageService.method, Row> = {
  async recordObject({ stowage, project }) {
    const answer = await stowage.storage.recordObject({ project, object: object('新/🗂️.txt') });
    expect(answer).toMatchObject({
      outcome: RecordOutcome.CREATED,
      object: { objectKey: '新/🗂️.txt', revision: 1n },
    });
    expect(answer.token).not.toBe('');
  },
  async batchRecordObjects({ stowage, project }) {
    const requests = ['x', 'y'].map((key) => ({ object: object(key) }));
    const { results } = await stowage.storage.batchRecordObjects({ project, requests });
    expect(results.map(({ revision }) => revision)).toEqual([1n, 1n]);
  },
  async ingestObjects({ stowage, project }) {
    async function* batches() {
      yield { project, position: '1', objects: [object('i/1'), object('i/2')] };
      yield { position: '2', objects: [object('i/3'), planted[0] ?? {}] };
    }
    const answers = await collect(stowage.storage.ingestObjects(batches()));
    expect(answers).toMatchObject([
      { batch: 1n, resumePosition: '1', created: 2n },
      { batch: 2n, resumePosition: '2', created: 1n, unchanged: 1n },
    ]);
  },
  async getObject({ stowage, project }) {
    const answer = await stowage.storage.getObject({ project, objectKey: 'docs/c.pdf' });
    expect(answer.object).toMatchObject({ size: 7n, metadata: { owner: 'Größe & Söhne' } });
  },
  async batchGetObjects({ stowage, project }) {
    const objectKeys = ['docs/c.pdf', 'docs/none'];
    const answer = await stowage.storage.batchGetObjects({ project, objectKeys });
    expect(answer.objects.map(({ objectKey }) => objectKey)).toEqual(['docs/c.pdf']);
    expect(answer.missingObjectKeys).toEqual(['docs/none']);
  },
  async listObjects({ stowage, project }) {
    const prefix = 'docs/';
    const answer = await stowage.storage.listObjects({ project, prefix, delimiter: '/' });
    expect(answer.objects.map(({ objectKey }) => objectKey)).toEqual(['docs/c.pdf']);
    expect(answer.folders).toEqual(['docs/a/', 'docs/b/']);
  },
  async streamObjects({ stowage, project }) {
    const messages = await collect(stowage.storage.streamObjects({ project, prefix: 'docs/' }));
    expect(messages.flatMap(({ objects }) => objects)).toHaveLength(3);
    expect(messages.at(-1)?.summary?.items).toBe(3n);
  },
  async getUsage({ stowage, project }) {
    const answer = await stowage.storage.getUsage({ project, prefix: 'docs/', delimiter: '/' });
    expect(answer).toMatchObject({ objects: 3n, bytes: 2055n, truncated: false });
    expect(answer.folders.map(({ folder }) => folder)).toEqual(['docs/a/', 'docs/b/']);
  },
  async searchObjects({ stowage, project }) {
    const { hits } = await stowage.storage.searchObjects({ project, query: 'invoice' });
    expect(hits.map((hit) => hit.object?.objectKey)).toEqual(['docs/b/invoice.pdf']);
  },
  async updateObject({ stowage, project }) {
    const answer = await stowage.storage.updateObject({
      project,
      object: { objectKey: 'docs/c.pdf', storageBackend: 's3', owner: 'bob' },
      updateMask: { paths: ['owner'] },
    });
    expect(answer.object).toMatchObject({ owner: 'bob', size: 7n, revision: 2n });
  },
  async deleteObject({ stowage, project }) {
    const objectKey = 'docs/c.pdf';
    const answer = await stowage.storage.deleteObject({ project, objectKey });
    expect(answer.object?.deletedAt).toBeDefined();
  },
  async batchDeleteObjects({ stowage, project }) {
    const requests = ['docs/c.pdf', 'docs/b/invoice.pdf'].map((objectKey) => ({ objectKey }));
    const { results } = await stowage.storage.batchDeleteObjects({ project, requests });
    expect(results.map(({ deleted }) => deleted)).toEqual([true, true]);
  },
  async undeleteObject({ stowage, project }) {
    const objectKey = 'docs/c.pdf';
    await stowage.storage.deleteObject({ project, objectKey });
    const answer = await stowage.storage.undeleteObject({ project, objectKey });
    expect(answer.object).toMatchObject({ objectKey, revision: 3n });
    expect(answer.object?.deletedAt).toBeUndefined();
  },
  async moveObject({ stowage, project }) {
    const [sourceKey, destinationKey] = ['docs/c.pdf', 'moved/ç.pdf'];
    const answer = await stowage.storage.moveObject({ project, sourceKey, destinationKey });
    expect(answer.object).toMatchObject({ objectKey: destinationKey, size: 7n });
  },
  async movePrefix({ stowage, project }) {
    const [sourcePrefix, destinationPrefix] = ['docs/', 'papers/'];
    const answer = await stowage.storage.movePrefix({ project, sourcePrefix, destinationPrefix });
    expect(answer).toMatchObject({ moved: 3n, resumeToken: '' });
  },
  async purgeObjects({ stowage, project }) {
    const request = { project, prefix: 'docs/', force: true, dryRun: true };
    expect(await stowage.storage.purgeObjects(request)).toMatchObject({ objects: 3n, more: false });
  },
  async findDuplicates({ stowage, project }) {
    const messages = await collect(stowage.storage.findDuplicates({ project }));
    const groups: DuplicateGroup[] = messages.flatMap((message) => message.groups);
    expect(groups).toMatchObject([{ etag, size: 1024n, objects: 2n }]);
    expect(messages.at(-1)?.summary?.items).toBe(1n);
  },
  async getStatistics({ stowage, project }) {
    const answer = await stowage.storage.getStatistics({ project });
    expect(answer.backends.map(({ storageBackend }) => storageBackend)).toEqual(['s3']);
    expect(answer.objects?.value).toBe(3n);
  },
};

const projectRows: Record<keyof typeof ProjectService.method, Row> = {
  async createProject({ stowage, project }) {
    const made = { project: `${project}-2`, name: 'Проект' };
    const answer = await stowage.projects.createProject({ project: made });
    expect(answer.project).toMatchObject({ ...made, revision: 1n });
  },
  async getProject({ stowage, project }) {
    expect((await stowage.projects.getProject({ project })).project).toMatchObject({ project });
  },
  async listProjects({ stowage, project }) {
    const { projects } = await stowage.projects.listProjects({ pageSize: 1000 });
    expect(projects.map((each) => each.project)).toContain(project);
  },
  async updateProject({ stowage, project }) {
    const answer = await stowage.projects.updateProject({
      project: { project, progress: 40 },
      updateMask: { paths: ['progress'] },
    });
    expect(answer.project).toMatchObject({ progress: 40, revision: 2n });
  },
  async deleteProject({ stowage, project }) {
    const answer = await stowage.projects.deleteProject({ project });
    expect(answer.project?.deletedAt).toBeDefined();
  },
};

/** A job of AdminService, when it is done: each server runs two at a time. */
async function done({ stowage }: Ground, job: MaintenanceJob | undefined): Promise<MaintenanceJob> {
  const asked = async () => {
    const { job: now } = await stowage.admin.getMaintenanceJob({ jobId: job?.jobId ?? '' });
    return now?.state === MaintenanceState.RUNNING ? undefined : now;
  };
  return until(asked, { timeoutMs: 20_000, what: 'the job is done' });
}

/** AdminService: what it does for the database. */
const maintenanceRows = {
  async vacuum(ground) {
    const { job } = await ground.stowage.admin.vacuum({ table: 'projects', analyze: true });
    expect(await done(ground, job)).toMatchObject({ state: MaintenanceState.SUCCEEDED });
  },
  async analyze(ground) {
    const { job } = await ground.stowage.admin.analyze({ table: 'projects' });
    expect(await done(ground, job)).toMatchObject({ state: MaintenanceState.SUCCEEDED });
  },
  async reindexConcurrently(ground) {
    const index = 'projects_pkey';
    const { job } = await ground.stowage.admin.reindexConcurrently({ index });
    expect(await done(ground, job)).toMatchObject({ state: MaintenanceState.SUCCEEDED });
  },
  async getMaintenanceJob(ground) {
    const { job } = await ground.stowage.admin.analyze({ table: 'timelines' });
    expect(await done(ground, job)).toMatchObject({ target: 'timelines' });
  },
  async listMaintenanceJobs({ stowage }) {
    const { jobs } = await stowage.admin.listMaintenanceJobs({});
    expect(jobs.map(({ target }) => target)).toContain('projects_pkey');
  },
  async cancelMaintenanceJob(ground) {
    const admin = ground.stowage.admin;
    const { job } = await admin.analyze({ table: 'timelines' });
    const ended = await done(ground, job);
    const answer = await admin.cancelMaintenanceJob({ jobId: ended.jobId });
    expect(answer.job).toEqual(ended);
  },
} satisfies Partial<Record<keyof typeof AdminService.method, Row>>;

const clusterRows: Record<keyof typeof ClusterService.method, Row> = {
  async getTopology({ stowage }) {
    const { topology } = await stowage.cluster.getTopology({});
    expect(topology).toMatchObject({ canRead: true, canWrite: true });
  },
  async watchTopology({ stowage }) {
    for await (const { topology, transition } of stowage.cluster.watchTopology({})) {
      expect(topology?.nodes).toHaveLength(3);
      expect(transition).toBeUndefined();
      break;
    }
  },
  async getHealth({ stowage }) {
    const { report } = await stowage.cluster.getHealth({});
    expect(report).toMatchObject({ canRead: true, canWrite: true });
    expect(report?.nodes).toHaveLength(3);
  },
  async drainNode({ stowage }) {
    const { topology } = await stowage.cluster.getTopology({});
    // The primary goes on with what only it can take, so that the other rows are not disturbed.
    const answer = await stowage.cluster.drainNode({ node: topology?.primary ?? '' });
    expect(answer.token).not.toBe('');
  },
  async undrainNode({ stowage }) {
    const { topology } = await stowage.cluster.getTopology({});
    const answer = await stowage.cluster.undrainNode({ node: topology?.primary ?? '' });
    expect(answer.token).not.toBe('');
  },
  async acceptTimeline({ stowage }) {
    const refused = await failure(stowage.cluster.acceptTimeline({ timeline: 1_000_000 }));
    expect(refused).toMatchObject({ reason: 'TIMELINE_NOT_FOUND' });
  },
};

/** AdminService: what it tells of the database. */
const reportRows = {
  async getDatabaseStatistics({ stowage }) {
    const answer = await stowage.admin.getDatabaseStatistics({});
    expect(answer.database).toBe(service.database.name);
  },
  async getTableStatistics({ stowage }) {
    const { tables } = await stowage.admin.getTableStatistics({ limit: 1000 });
    expect(tables.map(({ table }) => table)).toContain('storage_objects');
  },
  async getIndexStatistics({ stowage }) {
    const { indexes } = await stowage.admin.getIndexStatistics({ limit: 1000 });
    expect(indexes.map(({ index }) => index)).toContain('storage_objects_pkey');
  },
  async getActivity({ stowage }) {
    const { sessions, total } = await stowage.admin.getActivity({ limit: 1 });
    expect(sessions).toHaveLength(1);
    expect(total).toBeGreaterThan(1);
  },
  async getStatementStatistics({ stowage }) {
    const answer = await stowage.admin.getStatementStatistics({});
    expect(answer).toMatchObject({ available: false, statements: [] });
    expect(answer.advice).toContain('create extension');
  },
  async getReplicationStatus({ stowage }) {
    const { links } = await stowage.admin.getReplicationStatus({});
    expect(links.filter(({ receiver }) => receiver !== '')).toHaveLength(2);
  },
  async getRiskySettings({ stowage }) {
    const { settings } = await stowage.admin.getRiskySettings({});
    expect(settings.filter(({ setting }) => setting === 'fsync')).toHaveLength(3);
  },
} satisfies Partial<Record<keyof typeof AdminService.method, Row>>;

/** AdminService: how much the server logs, which has no log here. */
const logRows = {
  async getLogLevel({ stowage }) {
    expect(await stowage.admin.getLogLevel({})).toMatchObject({ level: LogLevel.SILENT });
  },
  async setLogLevel({ stowage }) {
    const answer = await stowage.admin.setLogLevel({ level: LogLevel.DEBUG });
    expect(answer.formerLevel).toBe(LogLevel.SILENT);
  },
} satisfies Partial<Record<keyof typeof AdminService.method, Row>>;

/** AuditService: its partitions and seals. */
const retentionRows = {
  async listPartitions({ stowage }) {
    const { partitions } = await stowage.audit.listPartitions({ source: 1 });
    expect(partitions).toHaveLength(3);
  },
  async applyRetention({ stowage }) {
    const messages = await collect(stowage.audit.applyRetention({ source: 2, retentionDays: 90 }));
    expect(messages.at(-1)?.summary).toMatchObject({ partitionsDropped: 0, dryRun: false });
  },
  async verifySeals({ stowage }) {
    const messages = await collect(stowage.audit.verifySeals({}));
    expect(messages.filter(({ partition }) => partition !== '')).toEqual([]);
  },
} satisfies Partial<Record<keyof typeof AuditService.method, Row>>;

const adminRows = { ...reportRows, ...logRows, ...maintenanceRows };

const keepingRows = {
  ...appendRows,
  ...auditReadRows,
  ...exportRows,
  ...versionRows,
  ...hookRows,
  ...retentionRows,
};
const rows = { ...storageRows, ...projectRows, ...clusterRows, ...adminRows, ...keepingRows };

/** A row for each method of the descriptors: one that is missing has none, and fails. */
const cases = [
  ...[StorageService, VersionService, AuditService, HookService],
  ...[ProjectService, ClusterService, AdminService],
]
  .flatMap(({ methods }): DescMethod[] => methods)
  .map((method) => ({
    name: `${method.parent.name}/${method.name}`,
    row: rows[method.localName as never] as Row | undefined,
  }));

describe.each(Object.entries(doors))('at %s', (door, address) => {
  it.each(cases)('$name is answered', async ({ name, row }) => {
    await using stowage = createStowage({ endpoints: address() });
    const project = `${name}-${door}`.toLowerCase().replaceAll(/[^a-z0-9]/g, '-');
    await stowage.projects.createProject({ project: { project } });
    const requests = planted.map((each) => ({ object: each }));
    await stowage.storage.batchRecordObjects({ project, requests });
    expect(row).toBeDefined();
    await row?.({ stowage, project });
  });
});

describe('the rows', () => {
  it('are as many as the methods of the contract', () => {
    expect(Object.keys(rows)).toHaveLength(cases.length);
    expect(cases.filter(({ row }) => row === undefined)).toEqual([]);
  });
});
