/** A whole server: router, schema check, jobs, services and both doors, in order. */

import type { Address, Config } from '../config.js';
import { StowageError } from '../errors.js';
import { ensurePartitions } from '../jobs/ensure-partitions.js';
import { createJobs } from '../jobs/jobs.js';
import { NEVER } from '../lib/interruption.js';
import { topologyChannel } from '../postgres/events.js';
import { createRouter } from '../postgres/router.js';
import type { Reloadable, RouterHandle, RouterOptions } from '../postgres/router-handle.js';
import { createServices } from '../services/index.js';
import type { Log } from '../telemetry/log.js';
import type { Traces } from '../telemetry/traces.js';
import { openConnectDoor } from './connect.js';
import { startOnDatabase } from './database-wait.js';
import { openGrpcDoor } from './grpc.js';
import { Health, type HealthSource } from './health.js';
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
  settings: RunSettings,
  options: StartOptions = {},
): Promise<RunningServer> {
  const traces = await tracesOf(settings.telemetry, options.log);
  try {
    const { close, ...server } = await start(settings, options);
    // Last, for the spans of the last calls.
    return { ...server, close: () => close().finally(() => traces?.stop()) };
  } catch (error) {
    await traces?.stop();
    throw error;
  }
}

/** Loaded only where they are wanted: that takes 80 ms, which is much for a command. */
async function tracesOf(
  { traceRatio: ratio, otlp, serviceName }: RunSettings['telemetry'],
  log: Log | undefined,
): Promise<Traces | undefined> {
  if (ratio === undefined || otlp === undefined) return undefined;
  const { startTraces } = await import('../telemetry/traces.js');
  return startTraces({ serviceName, ratio, otlp }, log?.logger);
}

async function start(
  { postgres, server, telemetry }: RunSettings,
  { onWaiting = () => undefined, makeRouter = createRouter, log }: StartOptions,
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
    return { ...(await serve(router, server, log)), reload: (read) => reloader.reload(read) };
  } catch (error) {
    await router.close(0);
    throw error;
  }
}

async function serve(
  router: RouterHandle,
  settings: RunSettings['server'],
  log: Log | undefined,
): Promise<Omit<RunningServer, 'reload'>> {
  // A watch never ends by itself and loses nothing: no shutdown waits for it.
  const stopping = new AbortController();
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
    logLevel: {
      get: () => log?.level ?? 'silent',
      set: (level, by) => log?.setLevel(level, by),
    },
  });
  const health = new Health(
    healthSource(router),
    api.map(({ descriptor }) => descriptor.typeName),
  );
  const known = [...api, health.service()];
  const services = [...known, ...reflectionServices(known.map(({ descriptor }) => descriptor))];
  warmValidation(services.flatMap(({ descriptor }) => descriptor.methods));
  const pipeline = new Pipeline(settings);
  const grpc = await named('STOWAGE_GRPC_ADDRESS', settings.grpcAddress, () =>
    openGrpcDoor(settings, services, pipeline),
  );
  const connect = await named('STOWAGE_HTTP_ADDRESS', settings.httpAddress, () =>
    openConnectDoor(settings, services, pipeline, health),
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
      closing ??= closeInOrder({ health, doors: [grpc, connect], pipeline, jobs, router, graceMs });
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
