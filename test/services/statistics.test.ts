// Figures of a project through both doors; test/postgres/statistics.test.ts has those estimated.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../../src/lib/wait.js';
import { doorNames, failure, startService, strong, type TestService } from '../support/service.js';

let service: TestService;

beforeAll(async () => {
  service = await startService();
});

afterAll(async () => {
  await service[Symbol.asyncDispose]();
});

const exactly = (value: bigint) => ({ value, exact: true });

describe.each(doorNames)('statistics through %s', (door) => {
  const clients = () => service.doors[door];

  async function makeProject(name: string): Promise<string> {
    const project = `${door.toLowerCase()}-${name}`;
    await clients().projects.createProject({ project: { project, name } });
    return project;
  }

  it('count live objects by backend, versions, and the events of a day', async () => {
    const { storage } = clients();
    const project = await makeProject('counted');
    const objects = [
      { objectKey: 'a', size: 5n, storageBackend: 's3' },
      { objectKey: 'b', size: 7n, storageBackend: 's3' },
      { objectKey: 'c', size: 11n, storageBackend: 'Ärger' },
      { objectKey: 'd', size: 13n, storageBackend: '云' },
      { objectKey: 'gone', size: 17n, storageBackend: 'local' },
    ];
    await storage.batchRecordObjects({ project, requests: objects.map((object) => ({ object })) });
    await storage.deleteObject({ project, objectKey: 'gone' });
    await service.sql(
      `insert into storage_hooks (project_id, id, hook_name, event_type, success, timestamp)
       select $1, gen_random_uuid(), 'h', 'e', true, now() + age * interval '1 hour'
       from unnest(array[0, 0, 0, 2]) age`,
      [project],
    );
    const found = await storage.getStatistics({ project, freshness: strong });
    expect(found).toMatchObject({
      backends: [
        { storageBackend: 's3', objects: exactly(2n), bytes: exactly(12n) },
        { storageBackend: 'Ärger', objects: exactly(1n), bytes: exactly(11n) },
        { storageBackend: '云', objects: exactly(1n), bytes: exactly(13n) },
      ],
      objects: exactly(4n),
      bytes: exactly(36n),
      versions: exactly(6n),
      // That the project was made is one of them.
      auditEvents24h: exactly(7n),
      hookExecutions24h: exactly(3n),
    });
    expect(found.backends).toHaveLength(3);
  });

  it('are zero, exactly, of a project that holds nothing', async () => {
    const project = await makeProject('empty');
    const found = await clients().storage.getStatistics({ project, freshness: strong });
    expect(found.backends).toEqual([]);
    for (const figure of [found.objects, found.bytes, found.versions, found.hookExecutions24h]) {
      expect(figure).toMatchObject(exactly(0n));
    }
  });

  it('tell of the first thousand backends, and add up all of them', async () => {
    const project = await makeProject('backends');
    await service.sql(
      `insert into storage_objects (project_id, object_key, id, size, storage_backend)
       select $1, 'k' || n, gen_random_uuid(), 9223372036854775807, 'b' || lpad(n::text, 4, '0')
       from generate_series(1, 1200) n`,
      [project],
    );
    const found = await clients().storage.getStatistics({ project, freshness: strong });
    expect(found.backends).toHaveLength(1000);
    expect(found.backends.at(-1)?.storageBackend).toBe('b1000');
    expect(found.objects).toMatchObject(exactly(1200n));
    // As much as a number can say.
    const most = { value: 2n ** 63n - 1n, exact: false };
    expect(found.bytes).toMatchObject(most);
    expect(found.backends[0]).toMatchObject({ objects: exactly(1n), bytes: most });
  });

  it('are read from a standby as well', async () => {
    const project = await makeProject('standby');
    await service.waitUntilCaughtUp();
    let servedBy = '';
    const onHeader = (headers: Headers) => {
      servedBy = headers.get('stowage-served-by') ?? '';
    };
    const freshness = { demand: { case: 'eventual', value: true } } as const;
    // Standbys that a busy machine keeps from answering a probe are passed by for a moment.
    const isStandby = async () => {
      await clients().storage.getStatistics({ project, freshness }, { onHeader });
      return servedBy.includes('role=standby');
    };
    await until(isStandby, { timeoutMs: 10_000, what: 'a standby tells them' });
  });

  it('are not to be had of a project that is not there', async () => {
    const { storage, projects } = clients();
    const project = await makeProject('deleted');
    await projects.deleteProject({ project });
    for (const missing of [project, 'nowhere']) {
      const attempt = storage.getStatistics({ project: missing, freshness: strong });
      expect(await failure(attempt)).toMatchObject({ reason: 'PROJECT_NOT_FOUND' });
    }
  });
});
