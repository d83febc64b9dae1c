/**
 * IngestObjects of absent objects, a thousand a batch. Limit: COPY of the same rows into the same
 * five tables with the same indexes, in one transaction. Naive peer: a loop of statements a row.
 * Work: objects.
 */

import type pg from 'pg';
import type { Lane, Measures, Subject } from '../frame/lane.js';
import { copiedTables } from '../rig/copied-rows.js';
import { copyIn } from '../rig/copy.js';
import { GrpcCaller } from '../rig/grpc-caller.js';
import { encodeBatches, ingestedObjects } from '../rig/ingested-objects.js';
import { fillObjects } from '../rig/objects.js';
import type { Rig } from '../rig/rig.js';
import { recordRowByRow } from '../rig/row-loop.js';
import { sendBatches } from '../rig/send-batches.js';

const BATCH_SIZE = 1000;
/** The loop gets fewer rows: what counts is its rate. */
const LOOP_SHARE = 25;

export const ingest: Lane = {
  name: 'ingest',
  summary: 'IngestObjects of absent objects, 1000 a batch; cpu is that of the server, a row',
  rowsDefault: 50_000,
  rows: [
    {
      ...{ name: 'rate', measure: 'rowsPerS', unit: 'rows/s', against: 'copy', better: 'higher' },
      ...{ must: 0.4, aim: 0.5 },
    },
    {
      ...{ name: 'naive', measure: 'rowsPerS', unit: 'rows/s', against: 'loop', better: 'higher' },
      ...{ must: 10, aim: 15 },
    },
    {
      ...{ name: 'limit', subject: 'copy', measure: 'rowsPerS', unit: 'rows/s', against: 'loop' },
      better: 'higher',
    },
    { name: 'cpu', measure: 'cpuUs', unit: 'us', better: 'lower' },
  ],
  setup,
};

async function setup(rig: Rig): Promise<Readonly<Record<string, Subject>>> {
  const database = await rig.startDatabase();
  const admin = await rig.connect(database.adminUrl);
  // Neither empty nor never analyzed: no table in use is.
  rig.progress(`recording ${rig.rows} objects`);
  await fillObjects(admin, rig.rows);
  await database.whenReplicated();
  const server = await rig.startServer(database);
  const caller = new GrpcCaller(server.grpc);
  rig.defer(() => caller.close());
  const plain = await rig.connect(database.primaryUrl);
  let turn = 0;
  /** Keys of its own for each turn; what the last one left to be written is not measured. */
  const prepare = async (count: number) => {
    turn += 1;
    await admin.query('checkpoint');
    return ingestedObjects(`scan-${String(turn).padStart(4, '0')}`, count);
  };
  return {
    copy: async () => {
      const tables = copiedTables(await prepare(rig.rows));
      return timed(rig.rows, () => copyTables(plain, tables));
    },
    ours: async () => {
      const batches = encodeBatches(await prepare(rig.rows), BATCH_SIZE);
      const before = await server.child.usage();
      const measures = await timed(rig.rows, () => sendBatches(caller, batches));
      const after = await server.child.usage();
      return { ...measures, cpuUs: (after.cpuUs - before.cpuUs) / rig.rows };
    },
    loop: async () => {
      const objects = await prepare(Math.ceil(rig.rows / LOOP_SHARE));
      return timed(objects.length, () => recordRowByRow(plain, objects, BATCH_SIZE));
    },
  };
}

async function timed(rows: number, work: () => Promise<void>): Promise<Measures> {
  const begun = performance.now();
  await work();
  return { rowsPerS: (rows / (performance.now() - begun)) * 1000 };
}

async function copyTables(
  client: pg.Client,
  tables: ReturnType<typeof copiedTables>,
): Promise<void> {
  await client.query('begin');
  for (const { into, frames } of tables) await copyIn(client, into, frames);
  await client.query('commit');
}
