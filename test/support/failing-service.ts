/** A server of the product on a cluster whose nodes fail, and what a test sees of both. */

import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';
import { type FailingCluster, useFailingCluster } from './failing-cluster.js';
import { objectOf } from './load.js';
import { type Clients, type OpenServer, openServer } from './service.js';
import { openProxy, type TcpProxy } from './tcp-proxy.js';
import { recordTransitions, type Transitions } from './transitions.js';

/** What the tests of a file share; there once they run. */
export interface FailingService {
  readonly nodes: FailingCluster;
  readonly server: OpenServer;
  /** The product's client: it sets request ids and carries tokens. */
  readonly storage: Clients['storage'];
  /** Calls as they are: no request id and no token that the test does not set. */
  readonly plain: Clients['storage'];
  readonly cluster: Clients['cluster'];
  readonly transitions: Transitions;
  /** The line to a node, where there are lines. */
  lineTo(name: string): TcpProxy;
  /** The letter of a node by what the server calls it; undefined for another. */
  nameOf(address: string): string | undefined;
  /** Records an object, and resolves once every node has it. */
  recordEverywhere(objectKey: string): Promise<void>;
}

/** How the file wants it. */
export interface FailingServiceOptions {
  readonly environment?: Readonly<Record<string, string>>;
  /** The server reaches each node over a line that can be made to fail; default: directly. */
  readonly hasLines?: boolean;
}

/** Faults are seen early, and an answer that a busy machine delays is none. */
const QUICK = { STOWAGE_PROBE_INTERVAL_MS: '100', STOWAGE_PROBE_TIMEOUT_MS: '1000' };

/**
 * Registers the hooks. Before each test the cluster is mended, and the server knows a primary and
 * two standbys; after it no lease may be out.
 */
export function useFailingService(options: FailingServiceOptions = {}): FailingService {
  const nodes = useFailingCluster();
  const lines = new Map<string, TcpProxy>();
  let server: OpenServer | undefined;
  let transitions: Transitions | undefined;
  const nameOf = (address: string): string | undefined => {
    const line = [...lines].find(([, { address: own }]) => own === address);
    return line?.[0] ?? nodes.nameOf(address);
  };
  beforeAll(async () => {
    transitions = recordTransitions(nameOf);
    const addresses: string[] = [];
    for (const { name } of nodes.cluster.nodes) {
      const address = nodes.addressOf(name);
      if (options.hasLines === true) lines.set(name, await openProxy(`tcp://${address}`));
      addresses.push(lines.get(name)?.address ?? address);
    }
    await nodes.cluster.waitUntilCaughtUp();
    server = await openServer(nodes.database, addresses, { ...QUICK, ...options.environment });
  });
  beforeEach(async () => {
    await nodes.mend();
    await transitions?.untilState(nodes.cluster.primary.name, 'primary');
    for (const { name } of nodes.cluster.standbys) await transitions?.untilState(name, 'standby');
  });
  afterEach(() => {
    for (const line of lines.values()) line.restore();
  });
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
    transitions?.[Symbol.dispose]();
    for (const line of lines.values()) await line[Symbol.asyncDispose]();
  });
  const there = <T>(value: T | undefined): T => {
    if (value === undefined) throw new Error('the server is there once the tests run');
    return value;
  };
  return {
    nodes,
    get server() {
      return there(server);
    },
    get storage() {
      return there(server).doors.gRPC.storage;
    },
    get plain() {
      return there(server).doors.HTTP.storage;
    },
    get cluster() {
      return there(server).doors.gRPC.cluster;
    },
    get transitions() {
      return there(transitions);
    },
    lineTo: (name) => there(lines.get(name)),
    nameOf,
    recordEverywhere: async (objectKey) => {
      await there(server).doors.gRPC.storage.recordObject({ object: objectOf(objectKey) });
      await nodes.cluster.waitUntilCaughtUp();
    },
  };
}
