// The router over TLS: units, streams, and cancel requests, which have connections of their own.
// Needs openssl.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { TupleCollector } from '../../src/postgres/router-api.js';
import { statement } from '../../src/postgres/statement.js';
import { startTestCluster } from '../support/cluster.js';
import { createTestDatabase } from '../support/database.js';
import { settled, startTestRouter, testCall } from '../support/router.js';
import { turnTlsOn } from '../support/tls.js';

const session = statement<{ ssl: boolean; pid: number }>({
  name: 'test-session',
  intent: 'readPrimary',
  text: 'select ssl, pid from pg_stat_ssl where pid = pg_backend_pid()',
});

const sleep = statement({
  name: 'test-sleep',
  intent: 'readPrimary',
  text: 'select pg_sleep($1::float8)',
});

const rows = statement<{ filler: string }>({
  name: 'test-rows',
  intent: 'readPrimary',
  text: `select repeat('x', 1000) as filler from generate_series(1, 100000)`,
});

/** Counts rows; a batch is full at a hundred. */
function counter(): TupleCollector<number> {
  let count = 0;
  return {
    tuple: () => {
      count += 1;
    },
    isFull: () => count >= 100,
    take: () => {
      const batch = count;
      count = 0;
      return batch || undefined;
    },
  };
}

it('runs, streams and cancels over TLS, on connections that stay clean', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'stowage-tls-'));
  await using test = await startTestCluster({ standbys: 0 });
  const ca = await turnTlsOn(test.cluster, folder);
  const database = await createTestDatabase(test.cluster.superuserUrl());
  const nodes = [{ host: '127.0.0.1', port: test.cluster.primary.port }];
  const target = { url: database.serviceUrl ?? '', nodes };
  const tls = { ca, rejectUnauthorized: true };
  await using router = await startTestRouter(target, { tls, connectionsMax: 4 });
  const [before] = await router.run(session, [], testCall());
  expect(before?.ssl).toBe(true);
  const cancelled = router.run(sleep, [60], testCall({ timeoutMs: 100 }));
  await expect(cancelled).rejects.toMatchObject({ reason: 'DEADLINE_EXCEEDED' });
  for await (const batch of router.stream(rows, [], testCall(), { collector: counter() })) {
    expect(batch).toBe(100);
    break;
  }
  await settled(router);
  let count = 0;
  for await (const batch of router.stream(rows, [], testCall(), { collector: counter() })) {
    count += batch;
  }
  expect(count).toBe(100_000);
  await settled(router);
  const sessions = await Promise.all([1, 2].map(() => router.run(session, [], testCall())));
  expect(sessions.flat().map(({ pid }) => pid)).toContain(before?.pid);
  await rm(folder, { recursive: true });
});
