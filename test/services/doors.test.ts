// A whole server on a real cluster: what becomes of the database's work when a call ends early, and
// of calls when the server does.
import { Code } from '@connectrpc/connect';
import { describe, expect, it } from 'vitest';
import { parseConfig } from '../../src/config.js';
import { until } from '../../src/lib/wait.js';
import { startServer } from '../../src/server/run.js';
import { sharedCluster } from '../support/cluster.js';
import { createTestDatabase } from '../support/database.js';
import { doorNames, failure, startService, type TestService } from '../support/service.js';

const object = { objectKey: 'held', storageBackend: 's3' };

/** A call that waits for a row lock, and the way to let it go on. */
async function holdUp(service: TestService, door: (typeof doorNames)[number]) {
  const { storage } = service.doors[door];
  await storage.recordObject({ object: { ...object, objectKey: door } });
  const holder = await service.database.connect();
  await holder.query('begin');
  await holder.query('select 1 from storage_objects where object_key = $1 for update', [door]);
  const waiting = async () => {
    const rows = await service.sql<{ n: number }>(
      `select count(*)::int as n from pg_stat_activity
       where datname = current_database() and usename like '%_service'
         and wait_event_type = 'Lock'`,
    );
    return rows[0]?.n ?? 0;
  };
  return {
    record: (options: { signal?: AbortSignal; timeoutMs?: number } = {}) =>
      storage.recordObject({ object: { ...object, objectKey: door, etag: 'other' } }, options),
    waits: () => until(async () => (await waiting()) > 0, { timeoutMs: 5000, what: 'it waits' }),
    isGone: () => until(async () => (await waiting()) === 0, { timeoutMs: 5000, what: 'it ended' }),
    release: () => holder.query('rollback'),
  };
}

describe.each(doorNames)('a whole server through %s', (door) => {
  it('cancels the backend of a call whose caller leaves', async () => {
    await using service = await startService();
    const held = await holdUp(service, door);
    const controller = new AbortController();
    const call = failure(held.record({ signal: controller.signal }));
    await held.waits();
    controller.abort();
    expect(await call).toMatchObject({ code: Code.Canceled });
    await held.isGone();
    await held.release();
  });

  it('cancels the backend of a call whose time is up', async () => {
    await using service = await startService({ STOWAGE_UNARY_TIMEOUT_MAX_MS: '300' });
    const held = await holdUp(service, door);
    const refused = await failure(held.record());
    expect(refused).toMatchObject({ reason: 'DEADLINE_EXCEEDED', retry: 'same_request_id' });
    await held.isGone();
    await held.release();
  });

  it('lets a running call finish within the grace', async () => {
    await using service = await startService();
    const held = await holdUp(service, door);
    const call = held.record();
    await held.waits();
    const closed = service.server.close();
    await held.release();
    expect((await call).object?.etag).toBe('other');
    await closed;
  });

  it('ends a call that outlives the grace with DRAINING and undoes its work', async () => {
    await using service = await startService({ STOWAGE_SHUTDOWN_GRACE_MS: '100' });
    const held = await holdUp(service, door);
    const call = failure(held.record());
    await held.waits();
    await service.server.close();
    expect(await call).toMatchObject({ reason: 'DRAINING', retry: 'elsewhere' });
    await held.isGone();
    await held.release();
    const rows = await service.sql<{ etag: string | null }>(
      'select etag from storage_objects where object_key = $1',
      [door],
    );
    expect(rows[0]?.etag).not.toBe('other');
  });
});

describe('startServer', () => {
  it('refuses a database that was not migrated', async () => {
    const primary = sharedCluster().nodes.find(({ role }) => role === 'primary');
    await using database = await createTestDatabase(primary?.url ?? '', { migrate: false });
    const config = parseConfig({
      DATABASE_URL: database.url,
      STOWAGE_GRPC_ADDRESS: '127.0.0.1:0',
      STOWAGE_HTTP_ADDRESS: '127.0.0.1:0',
    });
    await expect(startServer(config)).rejects.toMatchObject({ reason: 'SCHEMA_MISMATCH' });
  });

  it('says which setting to change when its address is taken', async () => {
    await using service = await startService();
    const taken = service.server.httpAddress;
    await expect(
      startService({ STOWAGE_HTTP_ADDRESS: `${taken.host}:${taken.port}` }),
    ).rejects.toThrow(/is taken by another program; set STOWAGE_HTTP_ADDRESS/);
    await expect(startService({ STOWAGE_GRPC_ADDRESS: service.grpcTarget })).rejects.toThrow(
      /is taken by another program; set STOWAGE_GRPC_ADDRESS/,
    );
  });
});
