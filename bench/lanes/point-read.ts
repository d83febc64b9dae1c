/**
 * GetObject through both doors. Limits: the same statement on a bare pool, and a call of grpc-js
 * that does nothing. Work: calls, 16 in flight.
 */

import http from 'node:http';
import { create, toBinary } from '@bufbuild/protobuf';
import pg from 'pg';
import { GetObjectRequestSchema } from '../../gen/stowage/v1/storage_read_pb.js';
import { getObject } from '../../src/store/object-reads.sql.js';
import type { Lane, Measures, Subject } from '../frame/lane.js';
import { median, quantile } from '../frame/statistics.js';
import { GrpcCaller } from '../rig/grpc-caller.js';
import { callInFlight } from '../rig/in-flight.js';
import { fillObjects, objectKey, PROJECT } from '../rig/objects.js';
import type { Rig } from '../rig/rig.js';

const OBJECTS = 20_000;
const IN_FLIGHT = 16;
/** As many as the server's own for unary calls. */
const POOL_CONNECTIONS = 14;
const PATH = '/stowage.v1.StorageService/GetObject';

type CpuUs = () => Promise<number>;

export const pointRead: Lane = {
  name: 'point-read',
  summary: 'GetObject, 16 in flight; cpu is that of the server, a call',
  rowsDefault: 10_000,
  rows: [
    {
      ...{ name: 'cpu', measure: 'cpuUs', unit: 'us', against: 'echo', better: 'lower' },
      ...{ must: 1.8, aim: 1.5 },
    },
    {
      ...{ name: 'cpu-of-parts', measure: 'cpuUs', unit: 'us', against: 'echo+pool' },
      better: 'lower',
    },
    { name: 'p50', measure: 'p50Ms', unit: 'ms', against: 'pool', better: 'lower' },
    { name: 'p99', measure: 'p99Ms', unit: 'ms', against: 'pool', better: 'lower' },
    { name: 'rate', measure: 'callsPerS', unit: '/s', against: 'pool', better: 'higher' },
    {
      ...{ name: 'door-2.cpu', subject: 'json', against: 'ours', measure: 'cpuUs', unit: 'us' },
      better: 'lower',
    },
    {
      ...{ name: 'door-2.p50', subject: 'json', against: 'ours', measure: 'p50Ms', unit: 'ms' },
      better: 'lower',
    },
    {
      ...{ name: 'pool.cpu', subject: 'pool', measure: 'cpuUs', unit: 'us', better: 'lower' },
      against: 'echo',
    },
  ],
  setup,
};

async function setup(rig: Rig): Promise<Readonly<Record<string, Subject>>> {
  const database = await rig.startDatabase();
  rig.progress(`recording ${OBJECTS} objects`);
  await fillObjects(await rig.connect(database.adminUrl), OBJECTS);
  await database.whenReplicated();
  const server = await rig.startServer(database);
  const caller = callerOf(rig, server.grpc);
  const requests = keys(rig.rows).map((key) => encodeRequest(key));
  const sample = await caller.unary(PATH, encodeRequest(objectKey(1)));
  const echo = await rig.startPeer(new URL('../peers/echo-server.ts', import.meta.url), {
    ECHO_BYTES: String(sample.length),
  });
  const echoCaller = callerOf(rig, echo.grpc);
  const serverCpuUs = async () => (await server.child.usage()).cpuUs;
  const echoCpuUs = async () => (await echo.child.usage()).cpuUs;
  return {
    ours: () => measured(requests, serverCpuUs, (request) => caller.unary(PATH, request)),
    echo: () =>
      measured(requests, echoCpuUs, (request) => echoCaller.unary('/bench.Echo/Echo', request)),
    pool: poolSubject(rig, database.primaryUrl),
    json: jsonSubject(rig, server.http, serverCpuUs),
  };
}

function keys(calls: number): string[] {
  return Array.from({ length: calls }, (_, i) => objectKey(1 + ((i * 7919) % OBJECTS)));
}

function encodeRequest(key: string): Buffer {
  const request = create(GetObjectRequestSchema, { project: PROJECT, objectKey: key });
  return Buffer.from(toBinary(GetObjectRequestSchema, request));
}

function callerOf(rig: Rig, address: string): GrpcCaller {
  const caller = new GrpcCaller(address);
  rig.defer(() => caller.close());
  return caller;
}

async function measured<Request>(
  requests: readonly Request[],
  cpuUs: CpuUs,
  call: (request: Request) => Promise<unknown>,
): Promise<Measures> {
  const before = await cpuUs();
  const { wallMs, latenciesMs } = await callInFlight(requests, IN_FLIGHT, call);
  const used = (await cpuUs()) - before;
  return {
    cpuUs: used / requests.length,
    p50Ms: median(latenciesMs),
    p99Ms: quantile(latenciesMs, 0.99),
    callsPerS: (requests.length / wallMs) * 1000,
  };
}

/** In this process: its CPU is that of pg and of the loop that calls it. */
function poolSubject(rig: Rig, url: string): Subject {
  const pool = new pg.Pool({ connectionString: url, max: POOL_CONNECTIONS });
  rig.defer(() => pool.end());
  const cpuUs = async () => {
    const { user, system } = process.cpuUsage();
    return user + system;
  };
  const { name, text } = getObject;
  return () =>
    measured(keys(rig.rows), cpuUs, async (key) => {
      const { rowCount } = await pool.query({ name, text, values: [PROJECT, key] });
      if (rowCount !== 1) throw new Error(`${key} is not there`);
    });
}

/** Door 2 as `curl` uses it, on connections that are kept. */
function jsonSubject(rig: Rig, address: string, cpuUs: CpuUs): Subject {
  const agent = new http.Agent({ keepAlive: true, maxSockets: IN_FLIGHT });
  rig.defer(async () => agent.destroy());
  const call = (body: string) =>
    new Promise<void>((resolve, reject) => {
      const request = http.request(`http://${address}${PATH}`, {
        agent,
        method: 'POST',
        headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
      });
      request.on('error', reject);
      request.on('response', (response) => {
        response.resume();
        response.on('end', () => {
          if (response.statusCode === 200) resolve();
          else reject(new Error(`door 2 answered ${response.statusCode}`));
        });
      });
      request.end(body);
    });
  const bodies = keys(rig.rows).map((key) => JSON.stringify({ project: PROJECT, objectKey: key }));
  return () => measured(bodies, cpuUs, call);
}
