/** Streams whose node is taken from under them, seen at the store. */

import { fromBinary } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { StreamObjectsResponseSchema } from '../../gen/stowage/v1/storage_list_pb.js';
import { until } from '../../src/lib/wait.js';
import type { RouterHandle } from '../../src/postgres/router-handle.js';
import { streamObjects } from '../../src/store/stream-objects.js';
import { sharedCluster } from '../support/cluster.js';
import {
  atDatabase,
  createTestDatabase,
  openConnection,
  type TestConnection,
  type TestDatabase,
} from '../support/database.js';
import { keeping } from '../support/keeping.js';
import { settled, startTestRouter, testCall } from '../support/router.js';

/** More than a first slice has, and more bytes of it than sockets hold. */
const OBJECTS = 5_200;
const WAIT = { timeoutMs: 10_000 };

describe('A stream of objects', () => {
  let database: TestDatabase;
  let admin: TestConnection;
  let router: RouterHandle;
  let undisturbed: Awaited<ReturnType<typeof run>>;

  beforeAll(async () => {
    const { nodes } = sharedCluster();
    database = await createTestDatabase(nodes[0]?.url ?? '');
    admin = await database.connect();
    await admin.query(
      `insert into storage_objects (project_id, object_key, id, size, version_id, storage_backend,
                                    metadata)
       select 'default', lpad(n::text, 8, '0'), gen_random_uuid(), n, 'v', 's3',
              jsonb_build_object('filler', (select string_agg(md5(n::text || part), '')
                                            from generate_series(1, 64) as part))
       from generate_series(1, $1::int) as n`,
      [OBJECTS],
    );
    router = await startTestRouter(
      { url: database.serviceUrl ?? '', nodes },
      // Standbys serve, however late they are: a primary is not drained.
      { freshnessWaitMs: 20_000 },
    );
    undisturbed = await run(async () => undefined);
  });

  afterAll(async () => {
    await router.close();
    await database.drop();
  });

  /** Streams all objects from a standby; tells of each message and of the node that gave it. */
  const run = async (onMessage: (messages: number, node: string) => Promise<void>) => {
    // Behind all rows, so that whoever serves has them.
    const { token } = await router.transaction(testCall(), async () => undefined);
    const store = { router, sealer: router.sealer, heartbeatMs: 60_000, keeping };
    const filter = { prefix: '', storageBackend: '', storageClass: '', showDeleted: false };
    const call = testCall({ timeoutMs: Number.POSITIVE_INFINITY, tokens: [token] });
    const nodes = new Set<string>();
    const keys: string[] = [];
    let summary: { items: bigint; bytes: bigint; crc32: number } | undefined;
    let messages = 0;
    for await (const bytes of streamObjects(store, call, { ...filter, resumeToken: '' })) {
      const message = fromBinary(StreamObjectsResponseSchema, bytes);
      const node = message.checkpoint?.node ?? '';
      keys.push(...message.objects.map(({ objectKey }) => objectKey));
      nodes.add(node);
      summary = message.summary;
      messages += 1;
      await onMessage(messages, node);
    }
    await settled(router);
    expect(call.served).toHaveLength(1);
    expect(keys).toHaveLength(OBJECTS);
    expect(keys).toEqual([...new Set(keys)].sort());
    const { items, bytes, crc32 } = summary ?? {};
    return { nodes: [...nodes], sum: { items, bytes, crc32 } };
  };

  it('goes on elsewhere when its backend is ended amid a slice', async () => {
    const { nodes, sum } = await run(async (messages, node) => {
      if (messages === 2) await endBackendOn(node);
    });
    expect(nodes).toHaveLength(2);
    expect(sum).toEqual(undisturbed.sum);
  });

  it('goes on elsewhere when its node is drained between two slices', async () => {
    const { nodes, sum } = await run(async (messages, node) => {
      if (messages !== 1) return;
      await admin.query('insert into node_drains (node) values ($1)', [node]);
      const isDrained = () =>
        router.topology().nodes.some(({ name, state }) => name === node && state === 'draining');
      await until(isDrained, { ...WAIT, what: 'the node is drained' });
    });
    await admin.query('delete from node_drains');
    expect(nodes).toHaveLength(2);
    expect(sum).toEqual(undisturbed.sum);
  });
});

/** Ends the backend that has rows for a stream and cannot send them. */
async function endBackendOn(node: string): Promise<void> {
  const url = sharedCluster().nodes.find(({ port }) => node.endsWith(`:${port}`))?.url ?? '';
  const standby = await openConnection(atDatabase(url, 'postgres'));
  const isEnded = async () => {
    const ended = await standby.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where application_name = 'stowage TestService/Test' and wait_event = 'ClientWrite'`,
    );
    return ended.length > 0;
  };
  await until(isEnded, { ...WAIT, what: 'a backend waits for its reader' });
  await standby.end();
}
