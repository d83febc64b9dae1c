/**
 * The router: what it costs beside the round trip, what a token costs a read, what standbys add.
 * Limit of the first: the driver's pool alone. Work: leases.
 */

import { setImmediate } from 'node:timers/promises';
import { create, toBinary } from '@bufbuild/protobuf';
import pg from 'pg';
import { GetObjectRequestSchema } from '../../gen/stowage/v1/storage_read_pb.js';
import { createStowage } from '../../src/client/index.js';
import { parseConfig } from '../../src/config.js';
import type { Lane, Measures, Subject } from '../frame/lane.js';
import { openCountingProxy } from '../rig/counting-proxy.js';
import type { BenchDatabase } from '../rig/database.js';
import { GrpcCaller } from '../rig/grpc-caller.js';
import { callInFlight } from '../rig/in-flight.js';
import { fillObjects, objectKey, PROJECT } from '../rig/objects.js';
import { readOwnWrites, replayWatch } from '../rig/own-writes.js';
import type { Rig } from '../rig/rig.js';
import { openRouteAndLease } from '../rig/route-and-lease.js';

const STANDBYS = 2;
const OBJECTS = 10_000;
/** One of these many leases stands for a call of the throughput, and for a write that is read. */
const LEASES_PER_CALL = 20;
const LEASES_PER_WRITE = 500;
const LEASES_IN_A_ROW = 100;
const IN_FLIGHT = 32;
const PATH = '/stowage.v1.StorageService/GetObject';

export const router: Lane = {
  name: 'router',
  summary: 'route and lease alone; a read of an own write; reads with 0, 1 and 2 standbys',
  rowsDefault: 100_000,
  rows: [
    {
      ...{ name: 'route-and-lease', measure: 'cpuUs', unit: 'us', better: 'lower' },
      must: 10,
    },
    {
      ...{ name: 'route-and-lease.driver', measure: 'cpuUs', unit: 'us', better: 'lower' },
      against: 'driver',
    },
    {
      ...{ name: 'own-write.round-trips', subject: 'own-write', measure: 'tokenTrips' },
      ...{ unit: 'trips', better: 'lower', must: 1.05 },
    },
    {
      ...{ name: 'own-write.on-standby', subject: 'own-write', measure: 'onStandby' },
      ...{ unit: 'share', better: 'higher', must: 0.95 },
    },
    {
      ...{ name: 'own-write.latency', subject: 'own-write', measure: 'tokenMs', unit: 'ms' },
      ...{ against: 'own-write', againstMeasure: 'plainMs', better: 'lower' },
    },
    {
      ...{ name: 'own-write.plain-round-trips', subject: 'own-write', measure: 'plainTrips' },
      ...{ unit: 'trips', better: 'lower' },
    },
    ...[0, 1, 2].map((standbys) => ({
      ...{ name: `reads-${standbys}`, subject: `reads-${standbys}`, measure: 'callsPerS' },
      ...{ unit: '/s', against: 'reads-0', better: 'higher' as const },
    })),
  ],
  setup,
};

async function setup(rig: Rig): Promise<Readonly<Record<string, Subject>>> {
  const database = await rig.startDatabase(STANDBYS);
  await fillObjects(await rig.connect(database.adminUrl), OBJECTS);
  await database.whenReplicated();
  return {
    ours: await routeAndLease(rig, database),
    driver: driverAlone(rig, database),
    'own-write': await ownWrites(rig, database),
    ...(await throughputs(rig, database)),
  };
}

/** Microseconds of CPU of each, in this process. */
async function timed(count: number, take: () => Promise<void>): Promise<Measures> {
  const begun = process.cpuUsage();
  for (let taken = 0; taken < count; taken += 1) {
    await take();
    // Else nothing would read a socket for as long as the loop runs, and the server, whose nodes
    // are behind proxies of this process, would find them silent.
    if (taken % LEASES_IN_A_ROW === 0) await setImmediate();
  }
  const { user, system } = process.cpuUsage(begun);
  return { cpuUs: (user + system) / count };
}

async function routeAndLease(rig: Rig, { serviceUrl }: BenchDatabase): Promise<Subject> {
  const { postgres } = parseConfig({ DATABASE_URL: serviceUrl });
  const path = await openRouteAndLease(postgres);
  rig.defer(() => path.close());
  return () => timed(rig.rows, () => path.take());
}

function driverAlone(rig: Rig, { primaryUrl }: BenchDatabase): Subject {
  const pool = new pg.Pool({ connectionString: primaryUrl, max: 1 });
  rig.defer(() => pool.end());
  return () => timed(rig.rows, async () => (await pool.connect()).release());
}

async function ownWrites(rig: Rig, database: BenchDatabase): Promise<Subject> {
  const { cluster } = database;
  const proxies = await Promise.all(cluster.nodes.map(({ port }) => openCountingProxy(port)));
  for (const proxy of proxies) rig.defer(() => proxy.close());
  const serviceUrl = database.urlAt(proxies.map(({ port }) => port));
  const server = await rig.startServer(database, { serviceUrl });
  const stowage = createStowage({ endpoints: server.grpc });
  rig.defer(async () => stowage.close());
  const whenReplayed = await replayWatch(rig, database);
  const count = Math.ceil(rig.rows / LEASES_PER_WRITE);
  return () => readOwnWrites({ stowage, proxies, whenReplayed }, count);
}

/** The same nodes each time, of which the server is told some. */
async function throughputs(
  rig: Rig,
  database: BenchDatabase,
): Promise<Readonly<Record<string, Subject>>> {
  const { primary, standbys } = database.cluster;
  const ports = [primary, ...standbys].map(({ port }) => port);
  const requests = Array.from({ length: Math.ceil(rig.rows / LEASES_PER_CALL) }, (_, n) => {
    const request = { project: PROJECT, objectKey: objectKey(1 + ((n * 7919) % OBJECTS)) };
    const bytes = toBinary(GetObjectRequestSchema, create(GetObjectRequestSchema, request));
    return Buffer.from(bytes);
  });
  const subjects: Record<string, Subject> = {};
  for (let count = 0; count <= STANDBYS; count += 1) {
    const serviceUrl = database.urlAt(ports.slice(0, 1 + count));
    const server = await rig.startServer(database, { serviceUrl });
    const caller = new GrpcCaller(server.grpc);
    rig.defer(() => caller.close());
    subjects[`reads-${count}`] = async () => {
      const call = (request: Buffer) => caller.unary(PATH, request);
      const { wallMs } = await callInFlight(requests, IN_FLIGHT, call);
      return { callsPerS: (requests.length / wallMs) * 1000 };
    };
  }
  return subjects;
}
