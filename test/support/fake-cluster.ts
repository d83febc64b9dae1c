/** A cluster that a test moves, and both doors of a server over it: no database is behind them. */

import { parseConfig, type ServerSettings } from '../../src/config.js';
import { StowageError } from '../../src/errors.js';
import type { TopologyEvent } from '../../src/postgres/events.js';
import type { TopologySnapshot } from '../../src/postgres/router-handle.js';
import { type TopologySource, watchTopology } from '../../src/postgres/topology-watch.js';
import { openConnectDoor } from '../../src/server/connect.js';
import { openGrpcDoor } from '../../src/server/grpc.js';
import { Health } from '../../src/server/health.js';
import { Pipeline } from '../../src/server/pipeline.js';
import { clusterService } from '../../src/services/cluster-service.js';
import type { ClusterStore } from '../../src/store/store.js';
import { SettableHealth } from './doors.js';
import { pagesOver, reporterOver } from './health.js';
import { topologyOf } from './topology-snapshots.js';

/** What the service sees of a router. */
export class FakeCluster implements TopologySource {
  /** Who is told of transitions. */
  readonly listeners = new Set<(event: TopologyEvent) => void>();
  /** What was accepted, as `timeline by`. */
  readonly accepted: string[] = [];
  #topology: TopologySnapshot;

  constructor(fields: Partial<TopologySnapshot> = {}) {
    this.#topology = topologyOf(fields);
  }

  topology(): TopologySnapshot {
    return this.#topology;
  }

  subscribe(listener: (event: TopologyEvent) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Becomes another one, and tells nobody. */
  become(fields: Partial<TopologySnapshot>): void {
    this.#topology = { ...this.#topology, ...fields };
  }

  /** Becomes another one, and tells of it. */
  move(event: Omit<TopologyEvent, 'cause'>, fields: Partial<TopologySnapshot> = {}): void {
    this.become(fields);
    for (const listener of this.listeners) listener({ ...event, cause: undefined });
  }

  watch(signal: AbortSignal, heartbeatMs: number) {
    return watchTopology(this, signal, heartbeatMs);
  }

  /** As the router: where no node claims the timeline it is not found. */
  async acceptTimeline(timeline: number, by: string): Promise<void> {
    if (!this.#topology.nodes.some((node) => node.timeline === timeline)) {
      throw new StowageError('TIMELINE_NOT_FOUND');
    }
    this.accepted.push(`${timeline} ${by}`);
    this.#topology = { ...this.#topology, timeline, epoch: this.#topology.epoch + 1 };
  }
}

/** Both doors over a fake cluster. */
export interface ClusterDoors extends AsyncDisposable {
  /** `127.0.0.1:port` of door 1. */
  readonly grpc: string;
  /** `127.0.0.1:port` of door 2. */
  readonly http: string;
}

/** Opens the doors, on free ports where `settings` say nothing else. */
export async function openClusterDoors(
  cluster: FakeCluster,
  settings: Partial<ServerSettings> = {},
): Promise<ClusterDoors> {
  const free = { host: '127.0.0.1', port: 0 };
  const standard = { ...parseConfig({}).server, grpcAddress: free, httpAddress: free };
  const server = { ...standard, ...settings };
  const { streamHeartbeatMs: heartbeatMs } = server;
  const topology = () => cluster.topology();
  const reporter = reporterOver(topology);
  const store = { cluster, health: reporter, heartbeatMs } as unknown as ClusterStore;
  const services = [clusterService(store)];
  const pipeline = new Pipeline(server);
  const grpc = await openGrpcDoor(server, services, pipeline);
  const health = new Health(new SettableHealth(), []);
  const pages = pagesOver(health, topology, server.authToken);
  const connect = await openConnectDoor(server, services, pipeline, pages);
  return {
    grpc: `127.0.0.1:${grpc.address.port}`,
    http: `127.0.0.1:${connect.address.port}`,
    async [Symbol.asyncDispose]() {
      await pipeline.drain(0);
      await Promise.all([grpc.close(), connect.close()]);
    },
  };
}
