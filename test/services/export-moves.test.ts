/** Streams of one moment whose node, range or time is taken from under them, seen at the store. */

import { fromBinary } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { ExportEventsResponseSchema } from '../../gen/stowage/v1/audit_read_pb.js';
import { ExportExecutionsResponseSchema } from '../../gen/stowage/v1/hook_execution_pb.js';
import { StreamVersionsResponseSchema } from '../../gen/stowage/v1/version_read_pb.js';
import { until } from '../../src/lib/wait.js';
import type { Call } from '../../src/postgres/call.js';
import { createRouter } from '../../src/postgres/router.js';
import type { RouterHandle } from '../../src/postgres/router-handle.js';
import { exportEvents } from '../../src/store/export-events.js';
import { exportExecutions } from '../../src/store/export-executions.js';
import type { Store } from '../../src/store/store.js';
import { streamAllVersions } from '../../src/store/stream-versions.js';
import { sharedCluster } from '../support/cluster.js';
import {
  atDatabase,
  createTestDatabase,
  openConnection,
  type TestConnection,
  type TestDatabase,
} from '../support/database.js';
import {
  type ExportKind,
  type ExportMessage,
  exportKinds,
  nameAt,
  plantRows,
  Tally,
} from '../support/exports.js';
import { keeping } from '../support/keeping.js';
import { settled, startTestRouter, testCall, testSettings } from '../support/router.js';

/** More than a first slice has, and more bytes of it than sockets hold. */
const PLACES = Array.from({ length: 5_200 }, (_, index) => index + 1);
const NAMES = PLACES.map(nameAt);
const WAIT = { timeoutMs: 20_000 };
/** Standbys serve, however late they are: a primary is not drained. */
const PATIENT = { freshnessWaitMs: 20_000 };

/** How each is opened at the store and read. */
const streams: Record<
  ExportKind['table'],
  (store: Store, call: Call, resumeToken: string) => AsyncGenerator<ExportMessage>
> = {
  async *storage_audit(store, call, resumeToken) {
    for await (const bytes of exportEvents(store, call, { resumeToken })) {
      yield fromBinary(ExportEventsResponseSchema, bytes);
    }
  },
  async *storage_hooks(store, call, resumeToken) {
    for await (const bytes of exportExecutions(store, call, { resumeToken })) {
      yield fromBinary(ExportExecutionsResponseSchema, bytes);
    }
  },
  async *storage_versions(store, call, resumeToken) {
    for await (const bytes of streamAllVersions(store, call, { prefix: '', resumeToken })) {
      yield fromBinary(StreamVersionsResponseSchema, bytes);
    }
  },
};

let database: TestDatabase;
let admin: TestConnection;
let router: RouterHandle;

const project = 'default';

beforeAll(async () => {
  const { nodes } = sharedCluster();
  database = await createTestDatabase(nodes[0]?.url ?? '');
  admin = await database.connect();
  for (const kind of exportKinds) {
    await plantRows(admin, kind, { project, places: PLACES, hoursAgo: 5_300, filler: 96 });
  }
  router = await startTestRouter({ url: database.serviceUrl ?? '', nodes }, PATIENT);
}, 60_000);

afterAll(async () => {
  await router.close();
  await database.drop();
});

const lease = async () => {
  const [newest] = await admin.query<{ id: string; running: boolean; left: number }>(
    `select lease_id as id, expires_at > now() as running,
       extract(epoch from expires_at - now())::int as left
     from export_leases order by lease_id desc limit 1`,
  );
  return newest;
};

/** Executions are read in slices of time by the statement that events are: one of the two does. */
const kindsOfSlices = exportKinds.filter(({ table }) => table !== 'storage_hooks');

describe.each(kindsOfSlices)('$name', (kind) => {
  /** Streams all; tells of each message and of the node that gave it. */
  const run = async (
    onMessage: (messages: number, node: string) => Promise<void>,
    { resumeToken = '', heartbeatMs = 60_000, tally = new Tally() } = {},
  ) => {
    // Behind all rows, so that whoever serves has them.
    const { token } = await router.transaction(testCall(), async () => undefined);
    const store = { router, sealer: router.sealer, heartbeatMs, keeping };
    const call = testCall({ timeoutMs: Number.POSITIVE_INFINITY, tokens: [token] });
    let messages = 0;
    for await (const message of streams[kind.table](store, call, resumeToken)) {
      tally.add(kind, message);
      messages += 1;
      await onMessage(messages, message.checkpoint?.node ?? '');
    }
    await settled(router);
    expect(call.served).toHaveLength(1);
    return tally;
  };

  it('goes on elsewhere when its backend is ended amid a slice', async () => {
    const tally = await run(async (messages, node) => {
      if (messages === 2) await endBackendOn(node);
    });
    expect(tally.nodes.size).toBe(2);
    tally.expectWhole(NAMES);
  });

  it('goes on elsewhere when its node is drained between two slices', async () => {
    onTestFinished(async () => {
      await admin.query('delete from node_drains');
    });
    const tally = await run(async (messages, node) => {
      if (messages !== 1) return;
      await admin.query('insert into node_drains (node) values ($1)', [node]);
      const isDrained = () =>
        router.topology().nodes.some(({ name, state }) => name === node && state === 'draining');
      await until(isDrained, { ...WAIT, what: 'the node is drained' });
    });
    expect(tally.nodes.size).toBe(2);
    tally.expectWhole(NAMES);
  });

  it('shows nothing that is committed while it runs', async () => {
    const early = await database.connect();
    onTestFinished(() => early.end());
    await early.query('begin');
    await early.query(kind.plant, [project, [5_100.25], 5_300, 1]);
    const tally = await run(async (messages) => {
      if (messages !== 1) return;
      await plantRows(admin, kind, { project, places: [5_100.5, 5_150.5], hoursAgo: 5_300 });
      await early.query('commit');
    });
    tally.expectWhole(NAMES);
    const again = await run(async () => undefined);
    expect(again.names).toEqual(
      [...PLACES, 5_100.25, 5_100.5, 5_150.5].sort((one, other) => one - other).map(nameAt),
    );
  });

  it('has a lease that a resume renews, and no transaction while nobody reads it', async () => {
    let midway = '';
    const first = new Tally();
    await run(
      async (messages) => {
        if (messages === 1) expect(await lease()).toMatchObject({ running: true });
        if (messages < 3) return;
        midway = first.resumeToken;
        throw new Error('left');
      },
      { tally: first },
    ).catch((error: Error) => expect(error.message).toBe('left'));
    // Left to who resumes it.
    const left = await lease();
    expect(left?.running).toBe(true);
    expect(left?.left).toBeGreaterThan(600);
    await settled(router);
    expect(await transactionsAnywhere()).toBe(0);
    await admin.query('update export_leases set expires_at = now()');
    await run(
      async (messages) => {
        if (messages !== 1) return;
        const isRenewed = async () => (await lease())?.running;
        await until(isRenewed, { ...WAIT, what: 'the lease is renewed' });
      },
      { resumeToken: midway, tally: first },
    );
    expect(first.names).toHaveLength(new Set(first.names).size);
    expect(first.summary).toMatchObject({
      items: BigInt(first.names.length),
      crc32: first.crc32,
    });
    expect(await lease()).toMatchObject({ id: left?.id, running: false });
  });

  it('gives its lease back where it is left before anybody could resume it', async () => {
    const former = await lease();
    const locker = await database.connect();
    onTestFinished(() => locker.end());
    await locker.query(`begin; lock table ${kind.table} in access exclusive mode`);
    const leaving = new AbortController();
    const call = testCall({ timeoutMs: Number.POSITIVE_INFINITY, signal: leaving.signal });
    const store = { router, sealer: router.sealer, heartbeatMs: 60_000, keeping };
    const begun = streams[kind.table](store, call, '').next();
    begun.catch(() => undefined);
    const isMade = async () => (await lease())?.id !== former?.id;
    await until(isMade, { ...WAIT, what: 'the lease is made' });
    expect(await lease()).toMatchObject({ running: true });
    leaving.abort(new Error('left'));
    await expect(begun).rejects.toThrow();
    expect(await lease()).toMatchObject({ running: false });
  });

  // The renewal that finds none takes its two seconds; once is enough.
  it.each(kind.table === 'storage_audit' ? ['a primary'] : [])('goes on without %s', async () => {
    const tally = new Tally();
    await run(() => Promise.reject(new Error('left')), { tally }).catch(() => undefined);
    const standbys = sharedCluster().nodes.filter(({ role }) => role === 'standby');
    const target = { url: database.serviceUrl ?? '', nodes: standbys };
    const lonely = createRouter(testSettings(target, PATIENT));
    try {
      await lonely.start();
      await until(() => lonely.topology().canRead, { ...WAIT, what: 'a standby is read' });
      const store = { router: lonely, sealer: lonely.sealer, heartbeatMs: 60_000, keeping };
      const endless = testCall({ timeoutMs: Number.POSITIVE_INFINITY });
      for await (const message of streams[kind.table](store, endless, tally.resumeToken)) {
        tally.add(kind, message);
        expect(message.checkpoint?.role).toBe('standby');
      }
      expect(tally.summary).toMatchObject({
        items: BigInt(tally.names.length),
        crc32: tally.crc32,
      });
      expect(new Set(tally.names).size).toBeGreaterThanOrEqual(NAMES.length);
      // One that is not resumed needs one for its snapshot.
      const begun = streams[kind.table](store, testCall({ timeoutMs: 1_500 }), '').next();
      await expect(begun).rejects.toMatchObject({ reason: 'NO_PRIMARY' });
    } finally {
      await lonely.close();
    }
  });

  it('sends heartbeats while its rows are locked', async () => {
    const locker = await database.connect();
    // Whatever goes wrong, nothing waits for it for ever.
    onTestFinished(() => locker.end());
    await locker.query(`begin; lock table ${kind.table} in access exclusive mode`);
    let heartbeats = 0;
    const tally = await run(
      async () => {
        heartbeats += 1;
        if (heartbeats === 2) await locker.query('commit');
      },
      { heartbeatMs: 50 },
    );
    expect(heartbeats).toBeGreaterThan(2);
    expect(tally.summary?.items).toBe(BigInt(tally.names.length));
  });
});

it.each(exportKinds.slice(0, 2))(
  '$name ends without a summary where something of its range has gone',
  async ({ table }) => {
    const gone = `update storage_partitions set dropped_at = $2
                  where source = $1 and range_end < now()`;
    const { token } = await router.transaction(testCall(), async () => undefined);
    const store = { router, sealer: router.sealer, heartbeatMs: 60_000, keeping };
    const call = testCall({ timeoutMs: Number.POSITIVE_INFINITY, tokens: [token] });
    onTestFinished(async () => {
      await admin.query(gone, [table, null]);
    });
    const tally = { summary: undefined as unknown, messages: 0 };
    const stream = async () => {
      for await (const message of streams[table](store, call, '')) {
        tally.messages += 1;
        tally.summary = message.summary;
        if (tally.messages !== 1) continue;
        await admin.query(gone, [table, new Date()]);
        await untilReplayed();
      }
    };
    await expect(stream()).rejects.toMatchObject({ reason: 'SNAPSHOT_EXPIRED' });
    expect(tally.messages).toBeGreaterThan(2);
    expect(tally.summary).toBeUndefined();
  },
);

/** Resolves once every standby has what the primary has now. */
async function untilReplayed(): Promise<void> {
  const [row] = await admin.query<{ lsn: string }>('select pg_current_wal_lsn() as lsn');
  for (const { url } of sharedCluster().nodes.slice(1)) {
    const standby = await openConnection(atDatabase(url, 'postgres'));
    const isThere = async () => {
      const [replayed] = await standby.query<{ there: boolean }>(
        'select pg_last_wal_replay_lsn() >= $1::pg_lsn as there',
        [row?.lsn],
      );
      return replayed?.there;
    };
    await until(isThere, { ...WAIT, what: 'the standbys have caught up' });
    await standby.end();
  }
}

/** Sessions of streams that are in a transaction, on any node. */
async function transactionsAnywhere(): Promise<number> {
  let found = 0;
  for (const { url } of sharedCluster().nodes) {
    const node = await openConnection(atDatabase(url, 'postgres'));
    const rows = await node.query(
      `select from pg_stat_activity
       where datname = $1 and xact_start is not null and application_name like '%TestService/Test'`,
      [database.name],
    );
    found += rows.length;
    await node.end();
  }
  return found;
}

/** Ends the backend that has rows for a stream and cannot send them. */
async function endBackendOn(node: string): Promise<void> {
  const url = sharedCluster().nodes.find(({ port }) => node.endsWith(`:${port}`))?.url ?? '';
  const server = await openConnection(atDatabase(url, 'postgres'));
  const isEnded = async () => {
    const ended = await server.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where datname = $1 and application_name = 'stowage TestService/Test'
         and wait_event = 'ClientWrite'`,
      [database.name],
    );
    return ended.length > 0;
  };
  await until(isEnded, { ...WAIT, what: 'a backend waits for its reader' });
  await server.end();
}
