/** A whole server: router, schema check, jobs, services and both doors, in order. */

import type { Address, Config } from '../config.js';
import { StowageError } from '../errors.js';
import { ensurePartitions } from '../jobs/ensure-partitions.js';
import { createJobs } from '../jobs/jobs.js';
import { createMaintenance } from '../jobs/maintenance.js';
import { NEVER } from '../lib/interruption.js';
import { topologyChannel } from '../postgres/events.js';
import { createRouter } from '../postgres/router.js';
import type { Reloadable, RouterHandle, RouterOptions } from '../postgres/router-handle.js';
import type { ServiceDefinition } from '../services/handler.js';
import type { ServerVitals } from '../store/health/report.js';
import { HealthReporter } from '../store/health/reporter.js';
import type { Log } from '../telemetry/log.js';
import { createApi } from './api.js';
import { type ConnectDoor, openConnectDoor } from './connect.js';
import { startOnDatabase } from './database-wait.js';
import { type GrpcDoor, openGrpcDoor } from './grpc.js';
import { Health, type HealthSource } from './health.js';
import { type Outside, openOutside } from './outside.js';
import { healthPages, metricsPages, type PageServer, servePages } from './pages.js';
import { Pipeline } from './pipeline.js';
import { reflectionServices } from './reflection.js';
import { Reloader } from './reload.js';
import { closeInOrder } from './shutdown.js';
import { warmValidation } from './validation.js';
import type { Vitals } from './vitals.js';

/** A server that serves. */
export interface RunningServer {
  readonly grpcAddress: Address;
  readonly httpAddress: Address;
  /**
   * NOT_SERVING at once; running calls go on for the grace and then end with DRAINING; then all is
   * released. Another call waits for the first.
   */
  close(): Promise<void>;
  /**
   * Takes other nodes and another password; what came of it is published (`telemetry/events.ts`).
   * Never rejects: settings that `read` throws at stay as they were.
   */
  reload(read: () => Reloadable): Promise<void>;
}

/** What of the settings a server is made of. */
export type RunSettings = Pick<Config, 'postgres' | 'server' | 'telemetry' | 'admin' | 'keeping'>;

/** What a server is started with beside its settings. */
export interface StartOptions {
  /** Told in a sentence when the database does not answer yet; default: nobody is. */
  readonly onWaiting?: (sentence: string) => void;
  /** For tests that plant faults around the router. */
  readonly makeRouter?: typeof createRouter;
  /** The process's log, whose level callers may change; default: there is none. */
  readonly log?: Log;
  /** The program's version, as its health tells it; default: none. */
  readonly version?: string;
}

/**
 * Starts a server. The database must have been migrated.
 * @throws StowageError SCHEMA_MISMATCH; NO_NODE when no node answers for 60 s; Error when an
 *   address is taken
 */
export async function startServer(
  { postgres, server, admin, telemetry, keeping }: RunSettings,
  options: StartOptions = {},
): Promise<RunningServer> {
  const { onWaiting = () => undefined, makeRouter = createRouter, log, version = '' } = options;
  const router = makeRouter(postgres, {
    streamIdleTimeoutMs: server.streamIdleTimeoutMs,
    ...slowStatements(telemetry),
  });
  let outside: Outside | undefined;
  try {
    await startOnDatabase(router, onWaiting);
    // Rows of today must have their place before the first is taken.
    if (router.topology().hasPrimary) await ensurePartitions(router, NEVER);
    const pipeline = new Pipeline(server);
    outside = await openOutside(telemetry, { router, pipeline, log });
    const maintenance = createMaintenance(admin);
    const parts = { router, pipeline, outside, maintenance, keeping, log, version };
    const reloader = new Reloader(router, postgres, server.shutdownGraceMs);
    return { ...(await serve(server, parts)), reload: (read) => reloader.reload(read) };
  } catch (error) {
    await outside?.close();
    await router.close(0);
    throw error;
  }
}

interface Parts {
  readonly log: Log | undefined;
  readonly router: RouterHandle;
  readonly pipeline: Pipeline;
  readonly outside: Outside;
  readonly maintenance: ReturnType<typeof createMaintenance>;
  readonly keeping: RunSettings['keeping'];
  readonly version: string;
}

async function serve(
  settings: RunSettings['server'],
  { router, pipeline, outside, maintenance, keeping, log, version }: Parts,
): Promise<Omit<RunningServer, 'reload'>> {
  const stopping = new AbortController();
  const { signal } = stopping;
  const reporter = new HealthReporter({
    cluster: router,
    server: () => serverVitals(outside.vitals, version, pipeline, signal),
    signal,
  });
  const { streamHeartbeatMs: heartbeatMs, authToken } = settings;
  const told = { log, heartbeatMs, stopping: signal };
  const api = createApi({ router, reporter, maintenance, keeping, ...told });
  const health = new Health(
    healthSource(router),
    api.map(({ descriptor }) => descriptor.typeName),
  );
  const known = [...api, health.service()];
  const services = [...known, ...reflectionServices(known.map(({ descriptor }) => descriptor))];
  warmValidation(services.flatMap(({ descriptor }) => descriptor.methods));
  const pages = servePages(
    { ...healthPages(health, reporter), ...(outside.metrics && metricsPages(outside.metrics)) },
    authToken,
  );
  const doors = await openDoors(settings, services, pipeline, pages);
  const jobs = createJobs(router, keeping);
  jobs.start();
  let closing: Promise<void> | undefined;
  const [grpc, connect] = doors;
  return {
    grpcAddress: grpc.address,
    httpAddress: connect.address,
    close: () => {
      const { shutdownGraceMs: graceMs } = settings;
      stopping.abort(new StowageError('DRAINING'));
      const parts = { health, doors, pipeline, jobs, maintenance, router, outside, graceMs };
      closing ??= closeInOrder(parts);
      return closing;
    },
  };
}

async function openDoors(
  settings: RunSettings['server'],
  services: readonly ServiceDefinition[],
  pipeline: Pipeline,
  pages: PageServer,
): Promise<readonly [GrpcDoor, ConnectDoor]> {
  const grpc = await named('STOWAGE_GRPC_ADDRESS', settings.grpcAddress, () =>
    openGrpcDoor(settings, services, pipeline),
  );
  const connect = await named('STOWAGE_HTTP_ADDRESS', settings.httpAddress, () =>
    openConnectDoor(settings, services, pipeline, pages),
  ).catch(async (error: unknown) => {
    await grpc.close(0);
    throw error;
  });
  return [grpc, connect];
}

function serverVitals(
  vitals: Vitals,
  version: string,
  pipeline: Pipeline,
  stopping: AbortSignal,
): ServerVitals {
  const { unary: unaryCalls, stream: streams } = pipeline.inFlightByKind();
  return { ...vitals.now(), version, unaryCalls, streams, isDraining: stopping.aborted };
}

function slowStatements({
  slowStatementMs: thresholdMs,
  slowStatementParameters: withParameters,
}: RunSettings['telemetry']): Pick<RouterOptions, 'slowStatements'> {
  return thresholdMs === 0 ? {} : { slowStatements: { thresholdMs, withParameters } };
}

function healthSource(router: RouterHandle): HealthSource {
  return {
    canRead: () => router.topology().canRead,
    canWrite: () => router.topology().hasPrimary,
    onChange: (listener) => {
      const subscriber = () => listener();
      topologyChannel.subscribe(subscriber);
      return () => {
        topologyChannel.unsubscribe(subscriber);
      };
    },
  };
}

/** Says which setting to change when an address cannot be had. */
async function named<T>(key: string, { host, port }: Address, open: () => Promise<T>): Promise<T> {
  try {
    return await open();
  } catch (error) {
    const isTaken = String(error).includes('EADDRINUSE');
    const reason = isTaken ? 'is taken by another program' : `cannot be had: ${String(error)}`;
    throw new Error(`${host}:${port} ${reason}; set ${key} to another address`, { cause: error });
  }
}
