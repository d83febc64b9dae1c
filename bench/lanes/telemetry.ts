/**
 * GetObject with metrics and without. Limit: the same server that counts nothing. Work: calls, 16
 * in flight; the servers take turns.
 */

import type { Lane, Subject } from '../frame/lane.js';
import { fillObjects } from '../rig/objects.js';
import { callerOf, encodeRequest, keys, measured, OBJECTS, PATH } from '../rig/point-reads.js';
import type { Rig } from '../rig/rig.js';

export const telemetry: Lane = {
  name: 'telemetry',
  summary: 'GetObject with metrics and without; cpu is that of the server, a call',
  rowsDefault: 10_000,
  repetitionsDefault: 9,
  rows: [
    {
      ...{ name: 'metrics.cpu', measure: 'cpuUs', unit: 'us', against: 'off', better: 'lower' },
      ...{ must: 1.05, aim: 1.03 },
    },
    { name: 'metrics.p50', measure: 'p50Ms', unit: 'ms', against: 'off', better: 'lower' },
  ],
  setup,
};

async function setup(rig: Rig): Promise<Readonly<Record<string, Subject>>> {
  const database = await rig.startDatabase();
  rig.progress(`recording ${OBJECTS} objects`);
  await fillObjects(await rig.connect(database.adminUrl), OBJECTS);
  await database.whenReplicated();
  const requests = keys(rig.rows).map((key) => encodeRequest(key));
  const subject = async (environment: Readonly<Record<string, string>>): Promise<Subject> => {
    const server = await rig.startServer(database, { environment });
    const caller = callerOf(rig, server.grpc);
    const cpuUs = async () => (await server.child.usage()).cpuUs;
    return () => measured(requests, cpuUs, (request) => caller.unary(PATH, request));
  };
  return { ours: await subject({}), off: await subject({ STOWAGE_METRICS: 'false' }) };
}
