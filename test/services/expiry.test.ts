// `purge_at` obeyed, as callers of both doors see it; test/postgres/expiry.test.ts has the job.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expireObjectsJob } from '../../src/jobs/expire-objects.js';
import { NEVER } from '../../src/lib/interruption.js';
import { until } from '../../src/lib/wait.js';
import type { RouterHandle } from '../../src/postgres/router-handle.js';
import { sharedCluster } from '../support/cluster.js';
import { keeping } from '../support/keeping.js';
import { startTestRouter } from '../support/router.js';
import { doorNames, failure, startService, strong, type TestService } from '../support/service.js';

let service: TestService;
/** The job's own: the server of the tests runs the same job, but when it wants. */
let router: RouterHandle;

beforeAll(async () => {
  service = await startService();
  const url = service.database.serviceUrl ?? '';
  router = await startTestRouter({ url, nodes: sharedCluster().nodes });
});

afterAll(async () => {
  await router?.close();
  await service[Symbol.asyncDispose]();
});

/** Runs the job until nothing of the project is due: a run of the server's may be in its way. */
async function expire(project: string): Promise<void> {
  const isDone = async () => {
    await expireObjectsJob({ router: router, keeping }).run(NEVER);
    const due = await service.sql(
      'select from storage_objects where project_id = $1 and purge_at < now()',
      [project],
    );
    return due.length === 0;
  };
  await until(isDone, { timeoutMs: 10_000, what: 'nothing is due' });
}

const at = (seconds: number) => ({
  seconds: BigInt(Math.floor(Date.now() / 1000) + seconds),
  nanos: 0,
});

describe.each(doorNames)('expiry through %s', (door) => {
  const clients = () => service.doors[door];

  it('takes what is due, live or deleted, and nothing else', async () => {
    const { projects, storage } = clients();
    const project = `${door.toLowerCase()}-due`;
    await projects.createProject({ project: { project, name: project } });
    const record = (objectKey: string, purgeAt?: ReturnType<typeof at>) =>
      storage.recordObject({
        project,
        object: { objectKey, size: 1n, storageBackend: 's3', ...(purgeAt && { purgeAt }) },
      });
    await record('fällig/live', at(-1));
    await record('fällig/deleted', at(-1));
    await record('later', at(3600));
    await record('never');
    await storage.deleteObject({ project, objectKey: 'fällig/deleted' }).catch(async (error) => {
      // The server's own job may have been quicker.
      expect(await failure(Promise.reject(error))).toMatchObject({ reason: 'OBJECT_NOT_FOUND' });
    });
    await expire(project);
    const request = { project, showDeleted: true, freshness: strong };
    const { objects } = await storage.listObjects(request);
    expect(objects.map(({ objectKey }) => objectKey)).toEqual(['later', 'never']);
    const read = storage.getObject({ ...request, objectKey: 'fällig/live' });
    expect(await failure(read)).toMatchObject({ reason: 'OBJECT_NOT_FOUND' });
    const purged = await service.sql(
      `select c.actor, c.revision::int, a.action, a.user_id
       from storage_changes c join storage_audit a using (project_id, object_key)
       where project_id = $1 and object_key = 'fällig/live' and kind = 'object.purged'
         and action = 'PURGE_OBJECT'`,
      [project],
    );
    expect(purged).toEqual([
      { actor: 'stowage', revision: 2, action: 'PURGE_OBJECT', user_id: 'stowage' },
    ]);
    const [versions] = await service.sql(
      `select count(*)::int from storage_versions where project_id = $1`,
      [project],
    );
    expect(versions).toEqual({ count: 2 });
  });

  it('goes on in a project that is deleted', async () => {
    const { projects, storage } = clients();
    const project = `${door.toLowerCase()}-deleted`;
    await projects.createProject({ project: { project, name: project } });
    const object = { objectKey: 'k', size: 1n, storageBackend: 's3', purgeAt: at(3600) };
    await storage.recordObject({ project, object });
    await projects.deleteProject({ project });
    await service.sql('update storage_objects set purge_at = now() where project_id = $1', [
      project,
    ]);
    await expire(project);
    const left = await service.sql(
      `select 'object' from storage_objects where project_id = $1
       union all select 'version' from storage_versions where project_id = $1`,
      [project],
    );
    expect(left).toEqual([]);
  });
});
