/**
 * What being seen from outside costs a unary call: GetObject on servers that differ in metrics,
 * traces and logs alone. Limit: a server that tells nothing, and the same once more, which shows
 * what differs by chance. Work: calls, 16 in flight.
 */

import { create, toBinary } from '@bufbuild/protobuf';
import { GetObjectRequestSchema } from '../../gen/stowage/v1/storage_read_pb.js';
import type { Lane, RowSpec, Subject } from '../frame/lane.js';
import { startCollector } from '../rig/collector.js';
import { GrpcCaller } from '../rig/grpc-caller.js';
import { callInFlight } from '../rig/in-flight.js';
import { fillObjects, objectKey, PROJECT } from '../rig/objects.js';
import type { Rig } from '../rig/rig.js';
import type { BenchServer } from '../rig/server.js';
import { unheardUs } from '../rig/unheard.js';

const OBJECTS = 20_000;
const IN_FLIGHT = 16;
const PATH = '/stowage.v1.StorageService/GetObject';
/** How many calls' worth of events one look at them takes. */
const UNHEARD_CALLS = 200_000;

/** The CPU of a server a call, beside that of the one that tells nothing. */
const cpu = (subject: string, bounds: Pick<RowSpec, 'must' | 'aim'> = {}): RowSpec => ({
  ...{ name: `${subject}.cpu`, subject, measure: 'cpuUs', unit: 'us', against: 'silent' },
  ...{ better: 'lower', ...bounds },
});

export const telemetry: Lane = {
  name: 'telemetry',
  summary: 'GetObject, 16 in flight; cpu is that of the server, a call',
  rowsDefault: 5_000,
  repetitionsDefault: 9,
  rows: [
    cpu('metrics', { must: 1.05 }),
    cpu('unheard', { must: 0.01 }),
    cpu('again'),
    cpu('info'),
    cpu('usual'),
    cpu('traced-0'),
    cpu('traced-1'),
  ],
  setup,
};

async function setup(rig: Rig): Promise<Readonly<Record<string, Subject>>> {
  const database = await rig.startDatabase();
  rig.progress(`recording ${OBJECTS} objects`);
  await fillObjects(await rig.connect(database.adminUrl), OBJECTS);
  await database.whenReplicated();
  const collector = await startCollector();
  rig.defer(() => collector.close());
  const start = async (settings: Readonly<Record<string, string>>): Promise<Subject> => {
    const standard = { STOWAGE_METRICS: 'false', STOWAGE_LOG_LEVEL: 'warn' };
    const server = await rig.startServer(database, { settings: { ...standard, ...settings } });
    return subjectOf(rig, server);
  };
  const traced = (ratio: string) =>
    start({ STOWAGE_TRACE_RATIO: ratio, OTEL_EXPORTER_OTLP_ENDPOINT: collector.url });
  return {
    silent: await start({}),
    metrics: await start({ STOWAGE_METRICS: 'true' }),
    again: await start({}),
    info: await start({ STOWAGE_LOG_LEVEL: 'info' }),
    usual: await start({ STOWAGE_METRICS: 'true', STOWAGE_LOG_LEVEL: 'info' }),
    'traced-0': await traced('0'),
    'traced-1': await traced('1'),
    unheard: async () => ({ cpuUs: unheardUs(UNHEARD_CALLS) }),
  };
}

function subjectOf(rig: Rig, server: BenchServer): Subject {
  const caller = new GrpcCaller(server.grpc);
  rig.defer(() => caller.close());
  const requests = Array.from({ length: rig.rows }, (_, i) => {
    const key = objectKey(1 + ((i * 7919) % OBJECTS));
    const request = create(GetObjectRequestSchema, { project: PROJECT, objectKey: key });
    return Buffer.from(toBinary(GetObjectRequestSchema, request));
  });
  return async () => {
    const { cpuUs: before } = await server.child.usage();
    await callInFlight(requests, IN_FLIGHT, (request) => caller.unary(PATH, request));
    const { cpuUs: after } = await server.child.usage();
    return { cpuUs: (after - before) / requests.length };
  };
}
