// Drained nodes, as every server of a database obeys them: they get no new calls.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { NodeState } from '../../gen/stowage/v1/cluster_pb.js';
import { createStowage, type Stowage } from '../../src/client/index.js';
import { parseConfig } from '../../src/config.js';
import { until } from '../../src/lib/wait.js';
import { type RunningServer, startServer } from '../../src/server/run.js';
import { sharedCluster } from '../support/cluster.js';
import { startService, type TestService } from '../support/service.js';

const WAIT_MS = 10_000;
const eventual = { demand: { case: 'eventual', value: true } } as const;
const nameOf = ({ host, port }: { host: string; port: number }) => `${host}:${port}`;

let service: TestService;
let second: RunningServer;
let others: Stowage;

beforeAll(async () => {
  service = await startService();
  const login = new URL(service.database.serviceUrl ?? '');
  second = await startServer(
    parseConfig({
      POSTGRES_HOST: sharedCluster().nodes.map(nameOf).join(','),
      POSTGRES_DB: service.database.name,
      POSTGRES_USER: login.username,
      POSTGRES_PASSWORD: login.password,
      STOWAGE_GRPC_ADDRESS: '127.0.0.1:0',
      STOWAGE_HTTP_ADDRESS: '127.0.0.1:0',
    }),
  );
  others = createStowage({ endpoints: `127.0.0.1:${second.grpcAddress.port}` });
});

afterAll(async () => {
  others?.close();
  await second?.close();
  await service?.[Symbol.asyncDispose]();
});

type Clients = Pick<Stowage, 'cluster' | 'projects'>;

/** Which node served a read that any may serve. */
async function servedBy({ projects }: Clients): Promise<string> {
  let header = '';
  await projects.getProject(
    { project: 'default', freshness: eventual },
    {
      onHeader: (headers) => {
        header = headers.get('stowage-served-by') ?? '';
      },
    },
  );
  return /^node=([^;]+);/.exec(header)?.[1] ?? '';
}

async function stateOf({ cluster }: Clients, node: string): Promise<NodeState | undefined> {
  const { topology } = await cluster.getTopology({});
  return topology?.nodes.find(({ name }) => name === node)?.state;
}

describe('a drained standby', () => {
  it('gets no new call from any server, within a probe, until it is undrained', async () => {
    const servers: readonly Clients[] = [service.doors.gRPC, others];
    const [, standby] = sharedCluster().nodes;
    const node = nameOf(standby ?? { host: '', port: 0 });
    const served = async (server: Clients) => (await servedBy(server)) === node;
    const isServing = () =>
      Promise.all(
        servers.map((server) =>
          until(() => served(server), { timeoutMs: WAIT_MS, what: `${node} serves a read` }),
        ),
      );
    await isServing();
    await service.doors.gRPC.cluster.drainNode({ node });
    const drainedMs = performance.now();
    for (const server of servers) {
      const isDraining = async () => (await stateOf(server, node)) === NodeState.DRAINING;
      await until(isDraining, { timeoutMs: WAIT_MS, what: 'the server obeys' });
    }
    // A probe comes each 500 ms; the rest is for a machine that has other things to do.
    expect(performance.now() - drainedMs).toBeLessThan(3_000);
    for (const server of servers) {
      const nodes = await Promise.all(Array.from({ length: 40 }, () => servedBy(server)));
      expect(nodes).not.toContain(node);
    }
    await others.cluster.undrainNode({ node });
    await isServing();
  });
});
