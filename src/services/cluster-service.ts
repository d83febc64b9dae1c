/** ClusterService: the nodes as this server knows them, and what operators ask of them. */

import { ClusterService } from '../../gen/stowage/v1/cluster_service_pb.js';
import { fromMillis } from '../lib/timestamp.js';
import { drainNode, undrainNode } from '../store/node-drains.js';
import type { ClusterStore } from '../store/store.js';
import { defineService, type Handlers, type ServiceDefinition, scopedCall } from './handler.js';
import { healthMessage } from './health-messages.js';
import { changeMessage, topologyMessage } from './topology-messages.js';

/** ClusterService over a store. */
export function clusterService(store: ClusterStore): ServiceDefinition {
  const { cluster, health, heartbeatMs } = store;
  const handlers = {
    getTopology: () => ({
      topology: topologyMessage(cluster.topology()),
      serverTime: fromMillis(Date.now()),
    }),

    async *watchTopology(_request, { signal }) {
      for await (const change of cluster.watch(signal, heartbeatMs)) yield changeMessage(change);
    },

    async getHealth() {
      return { report: healthMessage(await health.report()) };
    },

    async drainNode(request, context) {
      const { response, token } = await drainNode(store, scopedCall(context, {}), request);
      return { ...response, token };
    },

    async undrainNode(request, context) {
      const { response, token } = await undrainNode(store, scopedCall(context, {}), request);
      return { ...response, token };
    },

    async acceptTimeline({ timeline }, context) {
      await cluster.acceptTimeline(timeline, context.principal, context);
      return { topology: topologyMessage(cluster.topology()) };
    },
  } satisfies Handlers<typeof ClusterService>;
  return defineService(ClusterService, handlers);
}
