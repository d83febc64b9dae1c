/** A server of the product on a cluster whose nodes fail, and what a test sees of both. */

import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';
import { until } from '../../src/lib/wait.js';
import { type FailingCluster, useFailingCluster } from './failing-cluster.js';
import { objectOf } from './load.js';
import { type Figures, scrape } from './prometheus-text.js';
import { type Clients, type OpenServer, openServer } from './service.js';
import { openProxy, type TcpProxy } from './tcp-proxy.js';
import { recordTransitions, type Transitions } from './transitions.js';

/** What the tests of a file share; there once they run. */
export interface FailingService {
  readonly nodes: FailingCluster;
  /** The product's client: it sets request ids and carries tokens. */
  readonly storage: Clients['storage'];
  /** Calls as they are: no request id and no token that the test does not set. */
  readonly plain: Clients['storage'];
  readonly audit: Clients['audit'];
  readonly cluster: Clients['cluster'];
  /** What the server's metrics tell now. */
  figures(): Promise<Figures>;
  /** The address by which the server knows a node. */
  addressOf(name: string): string;
  readonly transitions: Transitions;
  /** The line to a node, where there are lines. */
  lineTo(name: string): TcpProxy;
  /** The letter of a node by what the server calls it; undefined for another. */
  nameOf(address: string): string | undefined;
  /** `http://127.0.0.1:port` of the HTTP door. */
  readonly httpUrl: string;
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
 * two standbys; after it every lease must come back.
 */
export function useFailingService(options: FailingServiceOptions = {}): FailingService {
  const nodes = useFailingCluster();
  const lines = new Map<string, TcpProxy>();
  let opened: Opened | undefined;
  const nameOf = (address: string): string | undefined => {
    const line = [...lines].find(([, { address: own }]) => own === address);
    return line?.[0] ?? nodes.nameOf(address);
  };
  beforeAll(async () => {
    const transitions = recordTransitions(nameOf);
    for (const { name } of options.hasLines === true ? nodes.cluster.nodes : []) {
      lines.set(name, await openProxy(`tcp://${nodes.addressOf(name)}`));
    }
    const addresses = nodes.cluster.nodes.map(
      ({ name }) => lines.get(name)?.address ?? nodes.addressOf(name),
    );
    await nodes.cluster.waitUntilCaughtUp();
    const environment = { ...QUICK, ...options.environment };
    opened = { transitions, server: await openServer(nodes.database, addresses, environment) };
  });
  beforeEach(async () => {
    await nodes.mend();
    await opened?.transitions.untilState(nodes.cluster.primary.name, 'primary');
    for (const { name } of nodes.cluster.standbys) {
      await opened?.transitions.untilState(name, 'standby');
    }
  });
  afterEach(async () => {
    for (const line of lines.values()) line.restore();
    if (opened !== undefined) await untilSettled(opened.server);
  });
  afterAll(async () => {
    await opened?.server[Symbol.asyncDispose]();
    opened?.transitions[Symbol.dispose]();
    for (const line of lines.values()) await line[Symbol.asyncDispose]();
  });
  return new HookedService(nodes, nameOf, lines, () => opened);
}

interface Opened {
  readonly server: OpenServer;
  readonly transitions: Transitions;
}

/** Resolves once no lease of the server is out and nobody waits for one: a leak fails the test. */
async function untilSettled({ doors }: OpenServer): Promise<void> {
  const isSettled = async () => {
    const { topology } = await doors.gRPC.cluster.getTopology({});
    const pools = topology?.nodes.flatMap((node) => [node.unaryPool, node.streamsPool]) ?? [];
    return pools.every((pool) => pool?.acquired === 0 && pool.waiting === 0);
  };
  await until(isSettled, { timeoutMs: 10_000, what: 'every lease is given back' });
}

class HookedService implements FailingService {
  readonly nodes: FailingCluster;
  readonly nameOf: FailingService['nameOf'];
  readonly #lines: ReadonlyMap<string, TcpProxy>;
  readonly #opened: () => Opened | undefined;

  constructor(
    nodes: FailingCluster,
    nameOf: FailingService['nameOf'],
    lines: ReadonlyMap<string, TcpProxy>,
    opened: () => Opened | undefined,
  ) {
    this.nodes = nodes;
    this.nameOf = nameOf;
    this.#lines = lines;
    this.#opened = opened;
  }

  get #there(): Opened {
    const opened = this.#opened();
    if (opened === undefined) throw new Error('the server is there once the tests run');
    return opened;
  }

  get storage(): Clients['storage'] {
    return this.#there.server.doors.gRPC.storage;
  }

  get plain(): Clients['storage'] {
    return this.#there.server.doors.HTTP.storage;
  }

  get audit(): Clients['audit'] {
    return this.#there.server.doors.HTTP.audit;
  }

  get cluster(): Clients['cluster'] {
    return this.#there.server.doors.gRPC.cluster;
  }

  figures(): Promise<Figures> {
    return scrape(this.#there.server.httpUrl);
  }

  addressOf(name: string): string {
    return this.#lines.get(name)?.address ?? this.nodes.addressOf(name);
  }

  get transitions(): Transitions {
    return this.#there.transitions;
  }

  lineTo(name: string): TcpProxy {
    const line = this.#lines.get(name);
    if (line === undefined) throw new Error(`there is no line to ${name}`);
    return line;
  }

  get httpUrl(): string {
    return this.#there.server.httpUrl;
  }

  async recordEverywhere(objectKey: string): Promise<void> {
    await this.storage.recordObject({ object: objectOf(objectKey) });
    await this.nodes.cluster.waitUntilCaughtUp();
  }
}
