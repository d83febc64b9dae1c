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
import { createServices } from '../services/index.js';
import type { Log } from '../telemetry/log.js';
import type { Metrics } from '../telemetry/metrics.js';
import { openConnectDoor } from './connect.js';
import { startOnDatabase } from './database-wait.js';
import { openGrpcDoor } from './grpc.js';
import { Health, type HealthSource } from './health.js';
import { MetricsPage } from './metrics-page.js';
import { Pipeline } from './pipeline.js';
import { reflectionServices } from './reflection.js';
import { Reloader } from './reload.js';
import { closeInOrder } from './shutdown.js';
import { warmValidation } from './validation.js';

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
export type RunSettings = Pick<Config, 'postgres' | 'server' | 'telemetry' | 'admin'>;

/** What a server is started with beside its settings. */
export interface StartOptions {
  /** Told in a sentence when the database does not answer yet; default: nobody is. */
  readonly onWaiting?: (sentence: string) => void;
  /** For tests that plant faults around the router. */
  readonly makeRouter?: typeof createRouter;
  /** The process's log, whose level callers may change; default: there is none. */
  readonly log?: Log;
}

/**
 * Starts a server. The database must have been migrated.
 * @throws StowageError SCHEMA_MISMATCH; NO_NODE when no node answers for 60 s; Error when an
 *   address is taken
 */
export async function startServer(
  { postgres, server, admin, telemetry }: RunSettings,
  { onWaiting = () => undefined, makeRouter = createRouter, log }: StartOptions = {},
): Promise<RunningServer> {
  const router = makeRouter(postgres, {
    streamIdleTimeoutMs: server.streamIdleTimeoutMs,
    ...slowStatements(telemetry),
  });
  try {
    await startOnDatabase(router, onWaiting);
    // Rows of today must have their place before the first is taken.
    if (router.topology().hasPrimary) await ensurePartitions(router, NEVER);
    const reloader = new Reloader(router, postgres, server.shutdownGraceMs);
    const pipeline = new Pipeline(server);
    const metrics = await metricsOf(telemetry, router, pipeline, log);
    try {
      const serving = await serve(router, pipeline, { ...server, admin }, log, metrics);
      return { ...serving, reload: (read) => reloader.reload(read) };
    } catch (error) {
      await metrics?.close();
      throw error;
    }
  } catch (error) {
    await router.close(0);
    throw error;
  }
}

/** Loaded only where they are wanted: that takes a moment, which is much for a command. */
async function metricsOf(
  settings: RunSettings['telemetry'],
  router: RouterHandle,
  pipeline: Pipeline,
  log: Log | undefined,
): Promise<Metrics | undefined> {
  if (!settings.metrics) return undefined;
  const { startMetrics } = await import('../telemetry/metrics.js');
  const sources = {
    topology: () => router.topology(),
    inFlight: () => pipeline.inFlightByKind(),
  };
  return startMetrics(settings, sources, log?.logger);
}

async function serve(
  router: RouterHandle,
  pipeline: Pipeline,
  settings: RunSettings['server'] & Pick<RunSettings, 'admin'>,
  log: Log | undefined,
  metrics: Metrics | undefined,
): Promise<Omit<RunningServer, 'reload'>> {
  // A watch never ends by itself and loses nothing: no shutdown waits for it.
  const stopping = new AbortController();
  const maintenance = createMaintenance(settings.admin);
  const api = createServices({
    router,
    cluster: {
      topology: () => router.topology(),
      acceptTimeline: (...args) => router.acceptTimeline(...args),
      inspect: (...args) => router.inspect(...args),
      watch: (signal, heartbeatMs) =>
        router.watch(AbortSignal.any([signal, stopping.signal]), heartbeatMs),
    },
    sealer: router.sealer,
    heartbeatMs: settings.streamHeartbeatMs,
    maintenance,
    logLevel: {
      get: () => log?.level ?? 'silent',
      set: (level) => {
        if (log !== undefined) log.level = level;
      },
    },
  });
  const health = new Health(
    healthSource(router),
    api.map(({ descriptor }) => descriptor.typeName),
  );
  const known = [...api, health.service()];
  const services = [...known, ...reflectionServices(known.map(({ descriptor }) => descriptor))];
  warmValidation(services.flatMap(({ descriptor }) => descriptor.methods));
  const grpc = await named('STOWAGE_GRPC_ADDRESS', settings.grpcAddress, () =>
    openGrpcDoor(settings, services, pipeline),
  );
  const page = metrics && new MetricsPage(metrics, settings.authToken);
  const connect = await named('STOWAGE_HTTP_ADDRESS', settings.httpAddress, () =>
    openConnectDoor(settings, services, pipeline, health, undefined, page),
  ).catch(async (error: unknown) => {
    await grpc.close(0);
    throw error;
  });
  const jobs = createJobs(router, settings);
  jobs.start();
  let closing: Promise<void> | undefined;
  return {
    grpcAddress: grpc.address,
    httpAddress: connect.address,
    close: () => {
      const { shutdownGraceMs: graceMs } = settings;
      stopping.abort(new StowageError('DRAINING'));
      const doors = [grpc, connect];
      const parts = { health, doors, pipeline, jobs, maintenance, router, metrics, graceMs };
      closing ??= closeInOrder(parts);
      return closing;
    },
  };
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
