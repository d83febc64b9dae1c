// What the client's tokens are for: a program reads what it wrote, and standbys serve it meanwhile.
import { createClient as createConnectClient } from '@connectrpc/connect';
import { createGrpcTransport, Http2SessionManager } from '@connectrpc/connect-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createStowage, StorageService, type Stowage } from '../../src/client/index.js';
import { until } from '../../src/lib/wait.js';
import { describeCluster, startTestCluster, type TestCluster } from '../support/cluster.js';
import { failure, startService, type TestService } from '../support/service.js';

let test: TestCluster;
let service: TestService;

beforeAll(async () => {
  test = await startTestCluster();
  service = await startService({}, describeCluster(test.cluster));
}, 120_000);

afterAll(async () => {
  await service?.[Symbol.asyncDispose]();
  await test?.stop();
});

const standbys = () => test.cluster.standbys.map(({ name }) => name);

async function pauseReplay(): Promise<void> {
  for (const name of standbys()) await test.cluster.pauseReplay(name);
}

async function resumeReplay(): Promise<void> {
  for (const name of standbys()) await test.cluster.resumeReplay(name);
  await service.waitUntilCaughtUp();
}

/** Reads an object, and says which role served it. */
async function read({ storage }: Pick<Stowage, 'storage'>, project: string, objectKey: string) {
  let servedBy = '';
  const onHeader = (headers: Headers): void => {
    servedBy = headers.get('stowage-served-by') ?? '';
  };
  const { object } = await storage.getObject({ project, objectKey }, { onHeader });
  return { revision: object?.revision, role: /role=(\w+)/.exec(servedBy)?.[1] };
}

const object = (objectKey: string) => ({ objectKey, storageBackend: 'local', etag: objectKey });

describe.each(['grpcTarget', 'httpUrl'] as const)('a program at %s', (door) => {
  it('reads its own writes, from a standby as soon as one has them', async () => {
    await using stowage = createStowage({ endpoints: service[door] });
    const project = `own-${door.toLowerCase()}`;
    await stowage.projects.createProject({ project: { project } });
    await service.waitUntilCaughtUp();
    await pauseReplay();
    try {
      await stowage.storage.recordObject({ project, object: object('a') });
      expect(await read(stowage, project, 'a')).toEqual({ revision: 1n, role: 'primary' });
      const keys: string[] = [];
      for await (const { objects } of stowage.storage.streamObjects({ project })) {
        keys.push(...objects.map(({ objectKey }) => objectKey));
      }
      expect(keys).toEqual(['a']);
      const { projects } = await stowage.projects.listProjects({ pageSize: 1000 });
      expect(projects.map((each) => each.project)).toContain(project);
    } finally {
      await resumeReplay();
    }
    const isStandby = async () => (await read(stowage, project, 'a')).role === 'standby';
    await until(isStandby, { timeoutMs: 10_000, what: 'a standby serves the read' });
  });
});

describe('a program without the tokens', () => {
  it('misses its own write on a standby that is behind', async () => {
    const session = new Http2SessionManager(`http://${service.grpcTarget}`);
    const storage = createConnectClient(
      StorageService,
      createGrpcTransport({
        baseUrl: `http://${service.grpcTarget}`,
        sessionManager: session,
      }),
    );
    await pauseReplay();
    try {
      await storage.recordObject({ object: object('b') });
      expect(await failure(read({ storage }, '', 'b'))).toMatchObject({
        reason: 'OBJECT_NOT_FOUND',
      });
    } finally {
      await resumeReplay();
      session.abort();
    }
  });
});

describe('two calls at once', () => {
  it('leave the token of the later write, whichever answer comes last', async () => {
    await using stowage = createStowage({ endpoints: service.grpcTarget });
    await pauseReplay();
    try {
      const keys = Array.from({ length: 20 }, (_, index) => `many/${index}`);
      await Promise.all(keys.map((key) => stowage.storage.recordObject({ object: object(key) })));
      for (const key of keys) {
        expect(await read(stowage, '', key)).toEqual({ revision: 1n, role: 'primary' });
      }
    } finally {
      await resumeReplay();
    }
  });
});
