/**
 * What the search index costs an ingest: IngestObjects of absent objects, a thousand a batch,
 * against the same where rows of the index are dropped and their words not computed. Work: objects.
 */

import type pg from 'pg';
import type { Lane, Subject } from '../frame/lane.js';
import { GrpcCaller } from '../rig/grpc-caller.js';
import { encodeBatches, ingestedObjects } from '../rig/ingested-objects.js';
import { fillObjects } from '../rig/objects.js';
import type { Rig } from '../rig/rig.js';
import { sendBatches } from '../rig/send-batches.js';

const BATCH_SIZE = 1000;
/** In the place of the function that parts an object into its words. */
const NO_WORDS = `
  create or replace function stowage_search_vector(
    object_key text, content_type text, metadata jsonb
  ) returns tsvector
    language sql immutable parallel safe
    as $$ select ''::tsvector $$`;

export const searchCost: Lane = {
  name: 'search-cost',
  summary: 'IngestObjects with the search index, against rows of the index dropped',
  rowsDefault: 50_000,
  rows: [
    {
      ...{ name: 'rate', measure: 'rowsPerS', unit: 'rows/s', against: 'dropped' },
      better: 'higher',
    },
  ],
  setup,
};

async function setup(rig: Rig): Promise<Readonly<Record<string, Subject>>> {
  const database = await rig.startDatabase();
  const admin = await rig.connect(database.adminUrl);
  rig.progress(`recording ${rig.rows} objects`);
  await fillObjects(admin, rig.rows);
  const setIndexed = await makeSwitch(admin);
  await database.whenReplicated();
  const server = await rig.startServer(database);
  const caller = new GrpcCaller(server.grpc);
  rig.defer(() => caller.close());
  let turn = 0;
  const ingest = (isIndexed: boolean) => async () => {
    turn += 1;
    const objects = ingestedObjects(`scan-${String(turn).padStart(4, '0')}`, rig.rows);
    const batches = encodeBatches(objects, BATCH_SIZE);
    await setIndexed(isIndexed);
    await admin.query(`select gin_clean_pending_list('storage_search_words')`);
    await admin.query('checkpoint');
    const begun = performance.now();
    await sendBatches(caller, batches);
    return { rowsPerS: (rig.rows / (performance.now() - begun)) * 1000 };
  };
  return { ours: ingest(true), dropped: ingest(false) };
}

/** Gives what turns the work of the index on and off. */
async function makeSwitch(admin: pg.Client): Promise<(isIndexed: boolean) => Promise<void>> {
  const { rows } = await admin.query<{ words: string }>(
    `select pg_get_functiondef('stowage_search_vector(text, text, jsonb)'::regprocedure) as words`,
  );
  await admin.query(`
    create function bench_drop_row() returns trigger language plpgsql
      as $$ begin return null; end $$;
    create trigger bench_drop_row before insert on storage_search
      for each row execute function bench_drop_row()`);
  return async (isIndexed) => {
    await admin.query(isIndexed ? (rows[0]?.words ?? '') : NO_WORDS);
    const verb = isIndexed ? 'disable' : 'enable';
    await admin.query(`alter table storage_search ${verb} trigger bench_drop_row`);
  };
}
