/** A whole server on a database of its own in the shared cluster, with clients of both doors. */
import { type Client, ConnectError, createClient, type Transport } from '@connectrpc/connect';
import { createConnectTransport, Http2SessionManager } from '@connectrpc/connect-node';
import { AdminService } from '../../gen/stowage/v1/admin_service_pb.js';
import { AuditService } from '../../gen/stowage/v1/audit_service_pb.js';
import { NodeState } from '../../gen/stowage/v1/cluster_pb.js';
import { ClusterService } from '../../gen/stowage/v1/cluster_service_pb.js';
import { HookService } from '../../gen/stowage/v1/hook_service_pb.js';
import { ProjectService } from '../../gen/stowage/v1/project_service_pb.js';
import { StorageService } from '../../gen/stowage/v1/storage_service_pb.js';
import { VersionService } from '../../gen/stowage/v1/version_service_pb.js';
import { CallError, createStowage, toStowageError } from '../../src/client/index.js';
import { parseConfig } from '../../src/config.js';
import { until } from '../../src/lib/wait.js';
import { type RunningServer, type StartOptions, startServer } from '../../src/server/run.js';
import { type SharedCluster, sharedCluster } from './cluster.js';
import { atDatabase, createTestDatabase, openConnection, type TestDatabase } from './database.js';

/** The two doors, each by one of its protocols. */
export const doorNames = ['gRPC', 'HTTP'] as const;
export type DoorName = (typeof doorNames)[number];

/** What a read asks for that must see the write before it. */
export const strong = { demand: { case: 'strong', value: true } } as const;

/** Typed clients of one door. */
export interface Clients {
  readonly storage: Client<typeof StorageService>;
  readonly versions: Client<typeof VersionService>;
  readonly audit: Client<typeof AuditService>;
  readonly hooks: Client<typeof HookService>;
  readonly projects: Client<typeof ProjectService>;
  readonly cluster: Client<typeof ClusterService>;
  readonly admin: Client<typeof AdminService>;
}

/** A running server and the ways to it. */
export interface OpenServer extends AsyncDisposable {
  /** gRPC on door 1 by the product's client; Connect with JSON over HTTP/2 on door 2. */
  readonly doors: Readonly<Record<DoorName, Clients>>;
  readonly server: RunningServer;
  /** `http://127.0.0.1:port` of the HTTP door. */
  readonly httpUrl: string;
  /** `127.0.0.1:port` of the gRPC door. */
  readonly grpcTarget: string;
}

/** A running server on a database of its own. */
export interface TestService extends OpenServer {
  readonly database: TestDatabase;
  /** Runs SQL on the primary as the superuser. */
  sql<Row extends Record<string, unknown>>(
    text: string,
    values?: readonly unknown[],
  ): Promise<Row[]>;
  /**
   * Resolves once every standby has replayed what the primary had flushed at the call, and the
   * server takes it for one that may be read.
   */
  waitUntilCaughtUp(): Promise<void>;
}

/**
 * Starts a server on a migrated database.
 * @param nodes `host:port` of each.
 * @param environment is laid over the settings that a test needs.
 * @param options what it is started with beside its settings.
 */
export async function openServer(
  database: TestDatabase,
  nodes: readonly string[],
  environment: Readonly<Record<string, string>> = {},
  options: StartOptions = {},
): Promise<OpenServer> {
  const service = new URL(database.serviceUrl ?? '');
  const config = parseConfig({
    POSTGRES_HOST: nodes.join(','),
    POSTGRES_DB: database.name,
    POSTGRES_USER: service.username,
    POSTGRES_PASSWORD: service.password,
    STOWAGE_ADMIN_URL: database.url,
    STOWAGE_GRPC_ADDRESS: '127.0.0.1:0',
    STOWAGE_HTTP_ADDRESS: '127.0.0.1:0',
    ...environment,
  });
  const server = await startServer(config, options);
  const grpcTarget = `127.0.0.1:${server.grpcAddress.port}`;
  const httpUrl = `http://127.0.0.1:${server.httpAddress.port}`;
  const stowage = createStowage({ endpoints: grpcTarget });
  const sessionManager = new Http2SessionManager(httpUrl);
  return {
    doors: {
      gRPC: stowage,
      HTTP: clientsOf(
        createConnectTransport({
          baseUrl: httpUrl,
          httpVersion: '2',
          useBinaryFormat: false,
          sessionManager,
        }),
      ),
    },
    server,
    httpUrl,
    grpcTarget,
    async [Symbol.asyncDispose]() {
      stowage.close();
      sessionManager.abort();
      await server.close();
    },
  };
}

/**
 * Starts a server, by default on the shared cluster; `environment` is laid over the settings that a
 * test needs.
 */
export async function startService(
  environment: Readonly<Record<string, string>> = {},
  cluster: Pick<SharedCluster, 'nodes'> = sharedCluster(),
  options: StartOptions = {},
): Promise<TestService> {
  const primary = cluster.nodes.find(({ role }) => role === 'primary');
  if (primary === undefined) throw new Error('the shared cluster has no primary');
  const database = await createTestDatabase(primary.url);
  const nodes = cluster.nodes.map(({ host, port }) => `${host}:${port}`);
  const caughtUp = () => waitForStandbys(database, cluster);
  await caughtUp();
  const opened = await openServer(database, nodes, environment, options);
  const connection = await database.connect();
  return {
    ...opened,
    database,
    sql: (text, values) => connection.query(text, values),
    waitUntilCaughtUp: async () => {
      await caughtUp();
      await untilKnown(opened.doors.gRPC.cluster, cluster);
    },
    async [Symbol.asyncDispose]() {
      await opened[Symbol.asyncDispose]();
      await database.drop();
    },
  };
}

const clientsOf = (transport: Transport): Clients => ({
  storage: createClient(StorageService, transport),
  versions: createClient(VersionService, transport),
  audit: createClient(AuditService, transport),
  hooks: createClient(HookService, transport),
  projects: createClient(ProjectService, transport),
  cluster: createClient(ClusterService, transport),
  admin: createClient(AdminService, transport),
});

async function waitForStandbys(
  database: TestDatabase,
  { nodes }: Pick<SharedCluster, 'nodes'>,
): Promise<void> {
  const primary = await database.connect();
  const [row] = await primary.query<{ lsn: string }>('select pg_current_wal_flush_lsn() as lsn');
  for (const { url } of nodes.filter(({ role }) => role === 'standby')) {
    const standby = await openConnection(atDatabase(url, 'postgres'));
    const isThere = async () => {
      const [replayed] = await standby.query<{ there: boolean }>(
        'select pg_last_wal_replay_lsn() >= $1::pg_lsn as there',
        [row?.lsn],
      );
      return replayed?.there;
    };
    await until(isThere, { timeoutMs: 30_000, what: 'the standbys have caught up' });
    await standby.end();
  }
}

/** A standby that has come up, or was doubted for a moment, is read after its next probe only. */
async function untilKnown(
  { getTopology }: Clients['cluster'],
  { nodes }: Pick<SharedCluster, 'nodes'>,
): Promise<void> {
  const standbys = new Set(
    nodes.filter(({ role }) => role === 'standby').map(({ host, port }) => `${host}:${port}`),
  );
  const areKnown = async () => {
    const { topology } = await getTopology({});
    const ours = topology?.nodes.filter(({ name }) => standbys.has(name)) ?? [];
    return ours.every(({ state, doubted }) => READABLE.has(state) && !doubted);
  };
  await until(areKnown, { timeoutMs: 30_000, what: 'the server takes the standbys for such' });
}

const READABLE: ReadonlySet<NodeState> = new Set([
  NodeState.STANDBY,
  NodeState.LAGGING,
  NodeState.DRAINING,
]);

/** Resolves once a call of the RPC waits for a lock in the service's database. */
export async function untilWaiting(service: TestService, rpc: string): Promise<void> {
  const isWaiting = async () => {
    const waiting = await service.sql(
      `select from pg_stat_activity
       where datname = current_database() and wait_event_type = 'Lock'
         and application_name like '%/' || $1`,
      [rpc],
    );
    return waiting.length > 0;
  };
  await until(isWaiting, { timeoutMs: 20_000, what: `${rpc} waits for a lock` });
}

/** The typed error of a call that must fail. */
export async function failure(call: Promise<unknown>): Promise<CallError> {
  try {
    await call;
  } catch (error) {
    if (error instanceof ConnectError || error instanceof CallError) return toStowageError(error);
    throw error;
  }
  throw new Error('the call succeeded, though it must fail');
}
