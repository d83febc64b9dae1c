/** Calls of GetObject, many in flight, and what they cost the process that serves them. */

import { create, toBinary } from '@bufbuild/protobuf';
import { GetObjectRequestSchema } from '../../gen/stowage/v1/storage_read_pb.js';
import type { Measures } from '../frame/lane.js';
import { median, quantile } from '../frame/statistics.js';
import { GrpcCaller } from './grpc-caller.js';
import { callInFlight } from './in-flight.js';
import { objectKey, PROJECT } from './objects.js';
import type { Rig } from './rig.js';

export const OBJECTS = 20_000;
export const IN_FLIGHT = 16;
export const PATH = '/stowage.v1.StorageService/GetObject';

/** What the process that serves has used until now. */
export type CpuUs = () => Promise<number>;

/** As many keys as calls, spread over the objects. */
export function keys(calls: number): string[] {
  return Array.from({ length: calls }, (_, i) => objectKey(1 + ((i * 7919) % OBJECTS)));
}

/** The bytes of a call. */
export function encodeRequest(key: string): Buffer {
  const request = create(GetObjectRequestSchema, { project: PROJECT, objectKey: key });
  return Buffer.from(toBinary(GetObjectRequestSchema, request));
}

/** A caller that the rig closes. */
export function callerOf(rig: Rig, address: string): GrpcCaller {
  const caller = new GrpcCaller(address);
  rig.defer(() => caller.close());
  return caller;
}

/** Calls once for each request. */
export async function measured<Request>(
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
