// Every write appends its own event in its own commit, unless the setting says otherwise.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sharedCluster } from '../support/cluster.js';
import {
  type Clients,
  doorNames,
  type OpenServer,
  openServer,
  startService,
  type TestService,
} from '../support/service.js';

let service: TestService;
/** On the same database, with STOWAGE_AUDIT_MUTATIONS=false. */
let silent: OpenServer;

beforeAll(async () => {
  service = await startService();
  const nodes = sharedCluster().nodes.map(({ host, port }) => `${host}:${port}`);
  silent = await openServer(service.database, nodes, { STOWAGE_AUDIT_MUTATIONS: 'false' });
});

afterAll(async () => {
  await silent?.[Symbol.asyncDispose]();
  await service[Symbol.asyncDispose]();
});

interface Ground {
  readonly clients: Clients;
  readonly project: string;
  readonly requestId: string;
}

type Write = (ground: Ground) => Promise<unknown>;

const object = (objectKey: string) => ({ objectKey, storageBackend: 's3', etag: 'e' });

/** In an order in which each finds what it needs, with the events that it appends. */
const writes: readonly (readonly [action: string, events: number, write: Write])[] = [
  [
    'CREATE_PROJECT',
    1,
    ({ clients, project, requestId }) =>
      clients.projects.createProject({ project: { project }, requestId }),
  ],
  [
    'UPDATE_PROJECT',
    1,
    ({ clients, project, requestId }) =>
      clients.projects.updateProject({
        ...{ project: { project, name: 'Atlas' }, updateMask: { paths: ['name'] }, requestId },
      }),
  ],
  [
    'RECORD_OBJECT',
    1,
    ({ clients, project, requestId }) =>
      clients.storage.recordObject({ project, object: object('a'), requestId }),
  ],
  [
    'RECORD_OBJECT',
    2,
    ({ clients, project, requestId }) => {
      const requests = [{ object: object('b') }, { object: object('c') }];
      return clients.storage.batchRecordObjects({ project, requests, requestId });
    },
  ],
  [
    'RECORD_OBJECT',
    2,
    async ({ clients, project, requestId }) => {
      async function* batches() {
        yield { project, objects: [object('d'), object('e')], requestId };
      }
      for await (const _ of clients.storage.ingestObjects(batches()));
    },
  ],
  [
    'UPDATE_OBJECT',
    1,
    ({ clients, project, requestId }) =>
      clients.storage.updateObject({
        ...{ project, object: { objectKey: 'a', owner: 'ada' }, requestId },
        updateMask: { paths: ['owner'] },
      }),
  ],
  [
    'DELETE_OBJECT',
    1,
    ({ clients, project, requestId }) =>
      clients.storage.deleteObject({ project, objectKey: 'a', requestId }),
  ],
  [
    'UNDELETE_OBJECT',
    1,
    ({ clients, project, requestId }) =>
      clients.storage.undeleteObject({ project, objectKey: 'a', requestId }),
  ],
  [
    'MOVE_OBJECT',
    2,
    ({ clients, project, requestId }) =>
      clients.storage.moveObject({
        ...{ project, sourceKey: 'a', destinationKey: 'z', requestId },
      }),
  ],
  [
    'DRAIN_NODE',
    1,
    async ({ clients, requestId }) => {
      const { topology } = await clients.cluster.getTopology({});
      await clients.cluster.drainNode({ node: topology?.primary ?? '', requestId });
      await clients.cluster.undrainNode({ node: topology?.primary ?? '' });
    },
  ],
  [
    'DELETE_PROJECT',
    1,
    ({ clients, project, requestId }) => clients.projects.deleteProject({ project, requestId }),
  ],
];

const eventsOf = (requestId: string) =>
  service.sql<{ action: string }>(
    `select action, user_id, username, ip_address::text, success,
            user_agent ~ '^[a-z-]+/' as has_agent, timestamp <= now() as has_happened
     from storage_audit where correlation_id = $1`,
    [requestId],
  );

describe.each(doorNames)('writes through %s', (door) => {
  it('are in the audit trail, with who did them, from where, and their request id', async () => {
    const project = `audited-${door.toLowerCase()}`;
    for (const [action, count, write] of writes) {
      const requestId = randomUUID();
      await write({ clients: service.doors[door], project, requestId });
      const told = await eventsOf(requestId);
      const event = {
        ...{ action, user_id: 'anonymous', username: 'anonymous', ip_address: '127.0.0.1/32' },
        ...{ success: true, has_agent: true, has_happened: true },
      };
      expect(told).toEqual(Array(count).fill(event));
      // A repeat is answered as before, and has not happened again.
      await write({ clients: service.doors[door], project, requestId });
      expect(await eventsOf(requestId)).toHaveLength(count);
    }
  });

  it('are told by the id of their call where they have none of their own', async () => {
    let callId = '';
    const { projects } = service.doors[door];
    const onHeader = (headers: Headers) => (callId = headers.get('x-request-id') ?? '');
    const project = { project: `nameless-${door.toLowerCase()}` };
    const given = randomUUID();
    await projects.createProject({ project }, { onHeader, headers: { 'x-request-id': given } });
    expect(callId).toBe(given);
    // The product's client sets a request id wherever its caller left it out.
    if (door === 'HTTP') expect(await eventsOf(callId)).toHaveLength(1);
  });

  it('are not in it where the setting says so', async () => {
    const project = `silent-${door.toLowerCase()}`;
    for (const [action, , write] of writes) {
      const requestId = randomUUID();
      await write({ clients: silent.doors[door], project, requestId });
      expect(await eventsOf(requestId), action).toEqual([]);
    }
    const [left] = await service.sql(
      `select (select count(*)::int from storage_audit where project_id = $1) as events,
              (select count(*)::int from storage_changes where project_id = $1) as changes`,
      [project],
    );
    // A drain is of no project.
    const changes = writes.reduce((sum, [, events]) => sum + events, -1);
    expect(left).toEqual({ events: 0, changes });
    // What callers append is not the service's own.
    await silent.doors[door].audit.appendEvent({ event: { action: project } });
    const [appended] = await service.sql('select from storage_audit where action = $1', [project]);
    expect(appended).toBeDefined();
  });
});
