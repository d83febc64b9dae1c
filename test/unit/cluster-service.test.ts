// ClusterService over a cluster of the test's own: every state, fence and figure as its message.
import { create, type DescMethod, type MessageShape } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { FenceReason, type Node, NodeState } from '../../gen/stowage/v1/cluster_pb.js';
import {
  type AcceptTimelineResponse,
  ClusterService,
  type GetTopologyResponse,
  type WatchTopologyResponse,
} from '../../gen/stowage/v1/cluster_service_pb.js';
import { StowageError } from '../../src/errors.js';
import { NEVER } from '../../src/lib/interruption.js';
import type {
  NodeSnapshot,
  TopologyChange,
  TopologySnapshot,
} from '../../src/postgres/router-handle.js';
import { clusterService } from '../../src/services/cluster-service.js';
import type { CallContext } from '../../src/services/handler.js';
import type { ClusterStore } from '../../src/store/store.js';
import { reporterOver } from '../support/health.js';
import { snapshotOf, topologyOf } from '../support/topology-snapshots.js';

const pool = { size: 4, idle: 3, acquired: 1, waiting: 0 };

type Cluster = ClusterStore['cluster'];

const unasked = () => {
  throw new Error('nobody asks for this');
};

/** Calls a method of the service; the answer as a message, of a stream the first ones. */
function serviceOver(cluster: Partial<Cluster>) {
  const whole: Cluster = {
    ...{ topology: unasked, watch: unasked, acceptTimeline: unasked, inspect: unasked },
    ...cluster,
  };
  const health = reporterOver(whole.topology);
  const store = { cluster: whole, health, heartbeatMs: 70 } as unknown as ClusterStore;
  const { methods } = clusterService(store);
  const context = { signal: NEVER, deadlineMs: 123, principal: 'ops' } as CallContext;
  const bound = (method: DescMethod) => methods.find((each) => each.method === method);
  return {
    async unary<Method extends DescMethod>(method: Method, request = {}) {
      const definition = bound(method);
      if (definition?.kind !== 'unary') throw new Error('not unary');
      const message = create(method.input, request);
      const answer = await definition.handler(message as never, context);
      return create(method.output, answer as never) as MessageShape<Method['output']>;
    },
    async *stream() {
      const method = ClusterService.method.watchTopology;
      const definition = bound(method);
      if (definition?.kind !== 'server_streaming') throw new Error('no stream');
      for await (const answer of definition.handler(create(method.input), context)) {
        yield create(method.output, answer as never) as WatchTopologyResponse;
      }
    },
  };
}

async function told(snapshot: TopologySnapshot) {
  const service = serviceOver({ topology: () => snapshot });
  const answer = await service.unary(ClusterService.method.getTopology);
  return (answer as GetTopologyResponse).topology;
}

async function toldNode(fields: Partial<NodeSnapshot>): Promise<Node | undefined> {
  return (await told(topologyOf({ nodes: [snapshotOf('a:5432', fields)] })))?.nodes[0];
}

describe('ClusterService', () => {
  it('answers while no node was ever seen', async () => {
    const message = await told(topologyOf({ nodes: [snapshotOf('a:5432')] }));
    expect(message).toMatchObject({ primary: '', timeline: 0, systemIdentifier: '', epoch: 0n });
    expect(message).toMatchObject({ canRead: false, canWrite: false, history: [] });
    const [only] = message?.nodes ?? [];
    expect(only).toMatchObject({ lsn: '', timeline: 0, state: NodeState.UNKNOWN });
    expect(only?.lagBytes).toBeUndefined();
    expect(only?.lagMs).toBeUndefined();
    expect(only?.startedAt).toBeUndefined();
    expect(only?.answeredMsAgo).toBeUndefined();
  });

  it('has a state and a fence of its own for each of the router', async () => {
    const states = ['unknown', 'primary', 'standby', 'lagging', 'draining', 'unreachable'] as const;
    const seen = await Promise.all(states.map(async (state) => (await toldNode({ state }))?.state));
    expect(seen.map((state) => NodeState[state ?? 0]?.toLowerCase())).toEqual(states);
    const fences = ['other_cluster', 'former_primary', 'diverged', 'split_brain'] as const;
    for (const fence of fences) {
      const fenced = await toldNode({ state: 'fenced', fence });
      expect(fenced?.state).toBe(NodeState.FENCED);
      expect(FenceReason[fenced?.fenceReason ?? 0]?.toLowerCase()).toBe(fence);
    }
  });

  it('tells the figures of a node exactly', async () => {
    const message = await toldNode({
      ...{ timeline: 3, lsn: 0x1_2a00_00ffn, lagBytes: 2n ** 40n, lagMs: 12.5 },
      ...{ startedAt: '2026-03-01 09:00:00.123456+00', answeredMsAgo: 250 },
      ...{ isDrained: true, isDoubted: true },
    });
    expect(message).toMatchObject({
      ...{ timeline: 3, lsn: '1/2A0000FF', lagBytes: 2n ** 40n, lagMs: 12.5, answeredMsAgo: 250 },
      startedAt: { seconds: BigInt(Date.UTC(2026, 2, 1, 9) / 1000), nanos: 123_456_000 },
      ...{ drained: true, doubted: true },
      unaryPool: { ...pool, sizeMax: 14 },
      streamsPool: { ...pool, sizeMax: 5 },
    });
  });

  it('tells the present history, its newest 64 steps', async () => {
    const history = Array.from({ length: 70 }, (_, index) => ({
      ...{ timeline: index + 1, switchLsn: BigInt(index), recordedLsn: 0n },
      recordedAt: 1_772_355_600_123_456n,
    }));
    const identity = { primary: 'a:5432', timeline: 70, systemIdentifier: 2n ** 63n + 5n };
    const message = await told(topologyOf({ ...identity, history, epoch: 7, hasPrimary: true }));
    expect(message).toMatchObject({
      ...{ primary: 'a:5432', timeline: 70, systemIdentifier: '9223372036854775813' },
      ...{ epoch: 7n, canWrite: true, canRead: false },
    });
    expect(message?.history.map(({ timeline }) => timeline)).toEqual(
      Array.from({ length: 64 }, (_, index) => index + 7),
    );
    expect(message?.history[0]).toMatchObject({
      switchLsn: '0/6',
      recordedAt: { seconds: 1_772_355_600n, nanos: 123_456_000 },
    });
  });

  it('streams each transition with the topology after it, at the pace that is set', async () => {
    const atMs = 1_772_355_600_250;
    const transition = {
      node: 'b:1',
      from: 'standby',
      to: 'fenced',
      detail: 'diverged at 0/5',
      cause: new Error('secret'),
    } as const;
    const changes: TopologyChange[] = [
      { topology: topologyOf(), transition: undefined, atMs },
      { topology: topologyOf({ epoch: 1 }), transition, atMs },
    ];
    let asked: unknown;
    async function* watch(...given: readonly unknown[]) {
      asked = given;
      yield* changes;
    }
    const messages: WatchTopologyResponse[] = [];
    for await (const message of serviceOver({ watch }).stream()) messages.push(message);
    expect(asked).toEqual([NEVER, 70]);
    const time = { seconds: 1_772_355_600n, nanos: 250_000_000 };
    expect(messages).toMatchObject([
      { topology: { epoch: 0n }, serverTime: time },
      {
        topology: { epoch: 1n },
        transition: {
          ...{ node: 'b:1', fromState: NodeState.STANDBY, toState: NodeState.FENCED },
          ...{ detail: 'diverged at 0/5', time },
        },
      },
    ]);
    expect(messages[0]?.transition).toBeUndefined();
  });

  it('accepts a timeline for its caller, within its limits, and answers what is then', async () => {
    let epoch = 1;
    let asked: readonly unknown[] = [];
    const acceptTimeline: Cluster['acceptTimeline'] = async (timeline, by, limits) => {
      asked = [timeline, by, limits.signal, limits.deadlineMs];
      epoch += 1;
    };
    const service = serviceOver({ topology: () => topologyOf({ epoch }), acceptTimeline });
    const { acceptTimeline: method } = ClusterService.method;
    const answer = await service.unary(method, { timeline: 4 });
    expect(asked).toEqual([4, 'ops', NEVER, 123]);
    expect((answer as AcceptTimelineResponse).topology?.epoch).toBe(2n);
    const refusing = serviceOver({
      acceptTimeline: async () => {
        throw new StowageError('TIMELINE_NOT_FOUND');
      },
    });
    await expect(refusing.unary(method, { timeline: 5 })).rejects.toMatchObject({
      reason: 'TIMELINE_NOT_FOUND',
    });
  });
});
