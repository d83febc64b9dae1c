// Projects through both doors, and the wall between them.
import { randomUUID } from 'node:crypto';
import { toBinary } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ListProjectsResponseSchema } from '../../gen/stowage/v1/project_service_pb.js';
import { doorNames, failure, startService, strong, type TestService } from '../support/service.js';

let service: TestService;

beforeAll(async () => {
  service = await startService();
});

afterAll(async () => {
  await service[Symbol.asyncDispose]();
});

describe.each(doorNames)('projects through %s', (door) => {
  const clients = () => service.doors[door];
  const id = (name: string) => `${door.toLowerCase()}-${name}`;

  it('makes, reads and changes a project', async () => {
    const { projects } = clients();
    const project = { project: id('acme'), name: 'Acme', language: 'de', metadata: { a: 1 } };
    const requestId = randomUUID();
    const made = await projects.createProject({ project, requestId });
    expect(made.project).toMatchObject({ ...project, status: 'active', progress: 0, revision: 1n });
    expect((await projects.createProject({ project, requestId })).project).toEqual(made.project);
    expect(await failure(projects.createProject({ project }))).toMatchObject({
      reason: 'ALREADY_EXISTS',
    });
    const update = {
      project: { project: id('acme'), progress: 40, name: 'not in the mask' },
      updateMask: { paths: ['progress'] },
      ifRevision: 1n,
    };
    const changed = await projects.updateProject(update);
    expect(changed.project).toMatchObject({ progress: 40, name: 'Acme', revision: 2n });
    expect(changed.project?.metadata).toEqual({ a: 1 });
    expect(await failure(projects.updateProject(update))).toMatchObject({
      reason: 'REVISION_MISMATCH',
    });
    const read = await projects.getProject({ project: id('acme'), freshness: strong });
    expect(read.project).toEqual(changed.project);
  });

  it('refuses masks that name what cannot change', async () => {
    const { projects } = clients();
    for (const path of ['language', 'revision', 'nonsense']) {
      const project = { project: 'default', language: 'fr' };
      const attempt = projects.updateProject({ project, updateMask: { paths: [path] } });
      const refused = await failure(attempt);
      expect(refused).toMatchObject({ reason: 'INVALID_REQUEST' });
      expect(refused.violations.map(({ field }) => field)).toEqual(['update_mask']);
    }
  });

  it('keeps projects apart', async () => {
    const { projects, storage } = clients();
    for (const name of ['one', 'two']) {
      await projects.createProject({ project: { project: id(name) } });
      const object = { objectKey: 'same', storageBackend: 's3', etag: name };
      await storage.recordObject({ project: id(name), object });
    }
    const read = await storage.getObject({
      project: id('two'),
      objectKey: 'same',
      freshness: strong,
    });
    expect(read.object?.etag).toBe('two');
    const listed = await storage.listObjects({ project: id('one'), freshness: strong });
    expect(listed.objects.map(({ etag }) => etag)).toEqual(['one']);
    const page = { pageSize: 1, freshness: strong };
    await storage.recordObject({
      project: id('one'),
      object: { objectKey: 'further', storageBackend: 's3' },
    });
    const { nextPageToken } = await storage.listObjects({ ...page, project: id('one') });
    const foreign = { ...page, project: id('two'), pageToken: nextPageToken };
    expect(await failure(storage.listObjects(foreign))).toMatchObject({
      reason: 'PAGE_TOKEN_INVALID',
    });
  });

  it('answers a repeat as before though the project is deleted', async () => {
    const { projects, storage } = clients();
    const project = id('repeat');
    await projects.createProject({ project: { project } });
    const object = { objectKey: 'a', storageBackend: 's3' };
    const request = { project, object, requestId: randomUUID() };
    const first = await storage.recordObject(request);
    await projects.deleteProject({ project });
    expect((await storage.recordObject(request)).object).toEqual(first.object);
    const fresh = storage.recordObject({ ...request, requestId: randomUUID() });
    expect(await failure(fresh)).toMatchObject({ reason: 'PROJECT_NOT_FOUND' });
  });

  it('deletes a project softly', async () => {
    const { projects, storage } = clients();
    const project = id('gone');
    await projects.createProject({ project: { project } });
    await storage.recordObject({ project, object: { objectKey: 'a', storageBackend: 's3' } });
    const stream = async (resumeToken: string) => {
      let last = '';
      const request = { project, resumeToken, freshness: strong };
      for await (const part of storage.streamObjects(request)) last = part.resumeToken;
      return last;
    };
    const resumeToken = await stream('');
    const requestId = randomUUID();
    const deleted = await projects.deleteProject({ project, requestId });
    expect(deleted.project?.deletedAt).toBeDefined();
    const repeated = await projects.deleteProject({ project, requestId });
    expect(repeated.project).toEqual(deleted.project);
    const gone = { reason: 'PROJECT_NOT_FOUND' };
    const record = { project, object: { objectKey: 'b', storageBackend: 's3' } };
    expect(await failure(storage.recordObject(record))).toMatchObject(gone);
    expect(await failure(projects.deleteProject({ project }))).toMatchObject(gone);
    const read = { project, freshness: strong };
    const reads = [
      () => storage.getObject({ ...read, objectKey: 'a' }),
      () => storage.batchGetObjects({ ...read, objectKeys: ['a'] }),
      () => storage.listObjects(read),
      () => storage.listObjects({ ...read, storageBackend: 's3', showDeleted: true }),
      () => stream(''),
      () => stream(resumeToken),
    ];
    for (const each of reads) expect(await failure(each())).toMatchObject(gone);
    const kept = await projects.getProject({ project, freshness: strong });
    expect(kept.project?.deletedAt).toBeDefined();
    const ids = async (showDeleted: boolean) => {
      const page = await projects.listProjects({ pageSize: 1000, showDeleted, freshness: strong });
      return page.projects.map((each) => each.project);
    };
    expect(await ids(true)).toContain(project);
    expect(await ids(false)).not.toContain(project);
    expect(await failure(projects.deleteProject({ project: 'default' }))).toMatchObject({
      reason: 'INVALID_REQUEST',
    });
  });

  it('lists projects in pages', async () => {
    const { projects } = clients();
    const seen: string[] = [];
    let pageToken = '';
    do {
      const page = await projects.listProjects({ pageSize: 1, pageToken, freshness: strong });
      seen.push(...page.projects.map((each) => each.project));
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    expect(seen).toContain('default');
    expect(seen).toEqual([...new Set(seen)].sort());
    expect(await failure(projects.listProjects({ pageToken: 'x' }))).toMatchObject({
      reason: 'PAGE_TOKEN_INVALID',
    });
  });
});

describe('a page of projects', () => {
  it('ends at 1 MiB', async () => {
    await service.sql(
      `insert into projects (project_id, metadata)
       select 'wide-' || n, jsonb_build_object('text', repeat('x', 65000))
       from generate_series(1, 70) n`,
    );
    const seen: string[] = [];
    let pageToken = '';
    do {
      const request = { pageSize: 1000, pageToken, freshness: strong };
      const page = await service.doors.gRPC.projects.listProjects(request);
      expect(toBinary(ListProjectsResponseSchema, page).length).toBeLessThan(1.1 * 1024 * 1024);
      seen.push(...page.projects.map(({ project }) => project));
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    expect(seen.filter((project) => project.startsWith('wide-'))).toHaveLength(70);
  });
});
