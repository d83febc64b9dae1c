/** Streams and reads of a server whose standbys die or cancel them in the midst. */
import { crc32 } from 'node:zlib';
import { create, toBinary } from '@bufbuild/protobuf';
import { beforeAll, expect, it } from 'vitest';
import {
  type StreamObjectsResponse,
  StreamObjectsResponseSchema,
} from '../../gen/stowage/v1/storage_list_pb.js';
import { until } from '../../src/lib/wait.js';
import { statement } from '../../src/postgres/statement.js';
import { useFailingService } from '../support/failing-service.js';
import { settled, startTestRouter, testCall } from '../support/router.js';

const passGate = statement<{ passed: boolean }>({
  name: 'test-pass-gate',
  intent: 'read',
  text: 'select pg_advisory_xact_lock_shared(7) is not null as passed',
});

const test = useFailingService();
const { nodes } = test;

/** So many, and so large, that the first slice of a stream does not fit into the sockets. */
const OBJECTS = 5_000;
const FILLER_BYTES = 8_000;

beforeAll(async () => {
  const { name } = nodes.cluster.primary;
  await nodes.sql(
    name,
    `insert into storage_objects (project_id, object_key, id, size, version_id, storage_backend,
       metadata)
     select 'default', 'many/' || lpad(n::text, 8, '0'), gen_random_uuid(), n, 'v1', 'local',
       jsonb_build_object('filler', repeat('x', $2))
     from generate_series(1, $1) as n`,
    [OBJECTS, FILLER_BYTES],
  );
  await nodes.sql(name, 'create table churn as select n from generate_series(1, 1000) as n');
  await nodes.sql(name, 'vacuum churn');
  await nodes.cluster.waitUntilCaughtUp();
});

/** What a stream of all objects came to; every message's checksum is held against its items. */
interface Streamed {
  readonly keys: string[];
  /** The letters of the nodes in the order in which they served. */
  readonly servedBy: string[];
}

/** Reads the stream whole, and meets with `midway` once its node stands still for its reader. */
async function streamAll(midway: (servedBy: string) => Promise<void>): Promise<Streamed> {
  const keys: string[] = [];
  const servedBy: string[] = [];
  let total = 0;
  let summary: StreamObjectsResponse['summary'];
  for await (const message of test.storage.streamObjects({ prefix: 'many/' })) {
    const { objects, checkpoint } = message;
    const items = create(StreamObjectsResponseSchema, { objects });
    const bytes = toBinary(StreamObjectsResponseSchema, items);
    if (objects.length > 0) expect(message.crc32).toBe(crc32(bytes));
    total = crc32(bytes, total);
    const isFirst = keys.length === 0;
    keys.push(...objects.map(({ objectKey }) => objectKey));
    const node = test.nameOf(checkpoint?.node ?? '') ?? '';
    if (node !== servedBy.at(-1)) servedBy.push(node);
    if (isFirst) {
      await nodes.untilWaiting(node, 'ClientWrite');
      await midway(node);
    }
    summary = message.summary ?? summary;
  }
  expect(summary).toMatchObject({ items: BigInt(OBJECTS), crc32: total });
  return { keys, servedBy };
}

const allKeys = () =>
  Array.from({ length: OBJECTS }, (_, index) => `many/${String(index + 1).padStart(8, '0')}`);

/** Standbys cancel at once what stands in the way of replay. */
async function haveNoPatience(): Promise<void> {
  for (const { name } of nodes.cluster.standbys) {
    await nodes.alter(name, 'alter system set max_standby_streaming_delay = 0');
    const isTaken = async () => {
      const [row] = await nodes.sql<{ delay: string }>(
        name,
        "select current_setting('max_standby_streaming_delay') as delay",
      );
      return row?.delay === '0';
    };
    await until(isTaken, { timeoutMs: 20_000, what: `${name} has taken the setting in` });
  }
}

/** How many statements a node has cancelled for replay. */
async function conflictsOf(name: string): Promise<number> {
  const [row] = await nodes.sql<{ conflicts: string }>(
    name,
    `select confl_snapshot as conflicts from pg_stat_database_conflicts
     where datname = current_database()`,
  );
  return Number(row?.conflicts);
}

/**
 * Removes rows that an older snapshot could still see, until replay of that has come into conflict
 * with what the node reads: while any snapshot on the primary needs them, they stay.
 */
async function cancelReadsOf(name: string): Promise<void> {
  const { name: primary } = nodes.cluster.primary;
  const before = await conflictsOf(name);
  const isInConflict = async () => {
    await nodes.sql(primary, 'update churn set n = n');
    await nodes.sql(primary, 'vacuum churn');
    // Its commit brings the log to the disk, and so to the standbys.
    await nodes.sql(primary, 'insert into churn values (0)');
    const [row] = await nodes.sql<{ stands: boolean }>(
      name,
      `select pg_last_wal_receive_lsn() > pg_last_wal_replay_lsn() as stands`,
    );
    return row?.stands === true || (await conflictsOf(name)) > before;
  };
  await until(isInConflict, { timeoutMs: 20_000, what: `replay on ${name} is in conflict` });
}

it('ends a stream whole on another node when its own is killed', async () => {
  const told = test.transitions.mark();
  const { keys, servedBy } = await streamAll(async (node) => {
    await nodes.cluster.crash(node);
    await told.until(node, 'unreachable');
  });
  expect(keys).toEqual(allKeys());
  expect(servedBy).toHaveLength(2);
  const [killed = ''] = servedBy;
  expect(told.lines()).toEqual([`${killed}: standby > unreachable`]);
});

it('ends a stream whole when its node cancels it for replay', async () => {
  await haveNoPatience();
  const told = test.transitions.mark();
  let before = 0;
  const { keys, servedBy } = await streamAll(async (node) => {
    before = await conflictsOf(node);
    await cancelReadsOf(node);
  });
  expect(keys).toEqual(allKeys());
  const [cancelled = ''] = servedBy;
  const isCounted = async () => (await conflictsOf(cancelled)) > before;
  await until(isCounted, { timeoutMs: 20_000, what: 'the conflict is counted' });
  expect(told.lines()).toEqual([]);
});

it('reads elsewhere, and tells nobody, when a standby cancels a read for replay', async () => {
  await haveNoPatience();
  const target = {
    url: nodes.database.serviceUrl ?? '',
    nodes: nodes.cluster.nodes.map(({ port }) => ({ host: 'localhost', port })),
  };
  const router = await startTestRouter(target);
  const told = test.transitions.mark();
  const [name = ''] = nodes.cluster.standbys.map((standby) => standby.name);
  const before = await conflictsOf(name);
  // On this standby alone a read has to wait, however long; it sees what is removed meanwhile.
  const holder = await nodes.connect(name, 'superuser');
  await holder.query('select pg_advisory_lock(7)');
  const reads = Promise.all(Array.from({ length: 8 }, () => router.run(passGate, [], testCall())));
  await nodes.untilWaiting(name, 'advisory');
  await cancelReadsOf(name);
  expect(await reads).toEqual(Array.from({ length: 8 }, () => [{ passed: true }]));
  expect(told.lines()).toEqual([]);
  const isCounted = async () => (await conflictsOf(name)) > before;
  await until(isCounted, { timeoutMs: 20_000, what: 'the conflict is counted' });
  await holder.end();
  await settled(router);
  await router.close();
});
