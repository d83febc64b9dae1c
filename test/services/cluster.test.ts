// ClusterService at both doors, over the shared cluster, whose nodes are all there.
import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { Code, createClient } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Health } from '../../gen/grpc/health/v1/health_pb.js';
import { ServerReflection } from '../../gen/grpc/reflection/v1/reflection_pb.js';
import { FenceReason, NodeState } from '../../gen/stowage/v1/cluster_pb.js';
import { deferred } from '../../src/lib/deferred.js';
import { toIsoMicros } from '../../src/lib/timestamp.js';
import { until } from '../../src/lib/wait.js';
import { sharedCluster } from '../support/cluster.js';
import {
  type DoorName,
  doorNames,
  failure,
  startService,
  type TestService,
} from '../support/service.js';

/** So quick that a test may wait for some. */
const HEARTBEAT_MS = 20;

let service: TestService;
const nodeNames = () => sharedCluster().nodes.map(({ host, port }) => `${host}:${port}`);

beforeAll(async () => {
  service = await startService({ STOWAGE_STREAM_HEARTBEAT_MS: String(HEARTBEAT_MS) });
});

afterAll(async () => {
  await service?.[Symbol.asyncDispose]();
});

/** The topology once the nodes are in these states; a drain may have been taken back just now. */
function untilStates(door: DoorName, wanted: readonly (keyof typeof NodeState)[]) {
  const asked = async () => {
    const answer = await service.doors[door].cluster.getTopology({});
    const states = answer.topology?.nodes.map(({ state }) => NodeState[state]);
    return isDeepStrictEqual(states, wanted) ? answer : undefined;
  };
  return until(asked, { timeoutMs: 10_000, what: `the nodes are ${wanted.join(', ')}` });
}

const drains = () =>
  service.sql<{ node: string; drained_by: string }>('select node, drained_by from node_drains');

/** What the audit trail has of an operation with this id. */
const audited = (requestId: string) =>
  service.sql(
    `select project_id, user_id, action, object_key, version_id, success, metadata
     from storage_audit where correlation_id = $1`,
    [requestId],
  );

describe.each(doorNames)('ClusterService through %s', (door) => {
  const cluster = () => service.doors[door].cluster;

  it('tells every node with its role, place and pools', async () => {
    const { topology, serverTime } = await untilStates(door, ['PRIMARY', 'STANDBY', 'STANDBY']);
    const [database] = await service.sql<{ id: string; flushed: string; started: string }>(
      `select (select system_identifier::text from pg_control_system()) as id,
              pg_current_wal_flush_lsn()::text as flushed,
              to_char(pg_postmaster_start_time() at time zone 'UTC',
                      'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as started`,
    );
    const names = nodeNames();
    expect(topology?.nodes.map(({ name }) => name)).toEqual(names);
    expect(topology).toMatchObject({ primary: names[0], timeline: 1, canRead: true });
    expect(topology).toMatchObject({ canWrite: true, systemIdentifier: database?.id });
    const [primary, standby] = topology?.nodes ?? [];
    const startedAt = primary?.startedAt;
    expect(startedAt && toIsoMicros(startedAt)).toBe(database?.started);
    expect(primary).toMatchObject({ lagMs: 0, fenceReason: FenceReason.UNSPECIFIED });
    expect(primary).toMatchObject({ drained: false, unaryPool: { sizeMax: 13 } });
    expect(standby?.lsn).toMatch(/^[0-9A-F]+\/[0-9A-F]+$/);
    expect(standby?.streamsPool).toMatchObject({ sizeMax: 5, waiting: 0 });
    expect(Math.abs(Number(serverTime?.seconds) * 1000 - Date.now())).toBeLessThan(60_000);
  });

  it('drains a node once, by whom, with one row of the audit trail, and undrains it', async () => {
    const [, node = ''] = nodeNames();
    const requestId = randomUUID();
    const first = await cluster().drainNode({ node, requestId });
    expect(first.token).not.toBe('');
    expect(await drains()).toEqual([{ node, drained_by: 'anonymous' }]);
    expect((await cluster().drainNode({ node, requestId })).token).not.toBe('');
    const again = randomUUID();
    await cluster().drainNode({ node, requestId: again });
    expect(await drains()).toHaveLength(1);
    const row = { project_id: 'default', user_id: 'anonymous', action: 'DRAIN_NODE' };
    const rest = { object_key: null, version_id: null, success: true, metadata: { node } };
    expect(await audited(requestId)).toEqual([{ ...row, ...rest }]);
    expect(await audited(again)).toEqual([]);
    const undrainId = randomUUID();
    expect((await cluster().undrainNode({ node, requestId: undrainId })).token).not.toBe('');
    expect(await drains()).toEqual([]);
    expect(await audited(undrainId)).toEqual([{ ...row, action: 'UNDRAIN_NODE', ...rest }]);
  });

  it('answers a repeated drain as before, and does not drain anew what is undrained', async () => {
    const [, , node = ''] = nodeNames();
    const requestId = randomUUID();
    await cluster().drainNode({ node, requestId });
    await cluster().undrainNode({ node });
    await cluster().drainNode({ node, requestId });
    expect(await drains()).toEqual([]);
    const reused = await failure(cluster().drainNode({ node: nodeNames()[0] ?? '', requestId }));
    expect(reused).toMatchObject({ reason: 'REQUEST_ID_REUSED' });
    const other = await failure(cluster().undrainNode({ node, requestId }));
    expect(other).toMatchObject({ reason: 'REQUEST_ID_REUSED' });
  });

  it('drains no node that it does not know, and undrains it only if it is drained', async () => {
    const node = 'nowhere.example:5432';
    const requestId = randomUUID();
    const refused = await failure(cluster().drainNode({ node, requestId }));
    expect(refused).toMatchObject({ reason: 'NODE_NOT_FOUND', metadata: { node } });
    expect(await drains()).toEqual([]);
    expect(await audited(requestId)).toEqual([]);
    await service.sql('insert into node_drains (node) values ($1)', [node]);
    await cluster().undrainNode({ node });
    expect(await drains()).toEqual([]);
    const mistyped = await failure(cluster().undrainNode({ node }));
    expect(mistyped).toMatchObject({ reason: 'NODE_NOT_FOUND', metadata: { node } });
    for (const bad of ['', 'x'.repeat(301)]) {
      const invalid = await failure(cluster().undrainNode({ node: bad }));
      expect(invalid).toMatchObject({ reason: 'INVALID_REQUEST' });
    }
  });

  it('streams the topology first and then at an even pace, until its caller leaves', async () => {
    const controller = new AbortController();
    const { signal } = controller;
    const pauses: number[] = [];
    const watch = async () => {
      let lastMs: number | undefined;
      for await (const message of cluster().watchTopology({}, { signal })) {
        expect(message.topology?.nodes.map(({ name }) => name)).toEqual(nodeNames());
        const { seconds = 0n, nanos = 0 } = message.serverTime ?? {};
        const timeMs = Number(seconds) * 1000 + nanos / 1e6;
        if (lastMs === undefined) expect(message.transition).toBeUndefined();
        else if (message.transition === undefined) pauses.push(timeMs - lastMs);
        lastMs = timeMs;
        if (pauses.length === 3) controller.abort();
      }
    };
    expect(await failure(watch())).toMatchObject({ code: Code.Canceled });
    expect(Math.min(...pauses)).toBeGreaterThanOrEqual(HEARTBEAT_MS - 2);
  });

  it('ends every watch with DRAINING as soon as the server stops', async () => {
    await using stopping = await startService({ STOWAGE_SHUTDOWN_GRACE_MS: '60000' });
    const watching = deferred<void>();
    const watch = async () => {
      for await (const { topology } of stopping.doors[door].cluster.watchTopology({})) {
        expect(topology?.nodes).toHaveLength(3);
        watching.resolve();
      }
    };
    const ended = failure(watch());
    await watching.promise;
    // Within the grace: the time limit of the test is half of it.
    await stopping.server.close();
    expect(await ended).toMatchObject({ reason: 'DRAINING', retry: 'elsewhere' });
  });
});

describe('a server with ClusterService', () => {
  it('lists it in its health and its reflection', async () => {
    const baseUrl = `http://${service.grpcTarget}`;
    const transport = createGrpcTransport({ baseUrl });
    const { statuses } = await createClient(Health, transport).list({});
    expect(statuses['stowage.v1.ClusterService']).toBeDefined();
    const messageRequest = { case: 'listServices', value: '' } as const;
    async function* ask() {
      yield { messageRequest };
    }
    const listed: string[] = [];
    for await (const { messageResponse } of createClient(
      ServerReflection,
      transport,
    ).serverReflectionInfo(ask())) {
      if (messageResponse.case !== 'listServicesResponse') continue;
      listed.push(...messageResponse.value.service.map(({ name }) => name));
    }
    expect(listed).toContain('stowage.v1.ClusterService');
  });
});
