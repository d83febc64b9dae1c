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

/** A call through each door that waits for a row lock, and the way to let them go on. */
async function holdUp(service: TestService) {
  const holder = await service.database.connect();
  await holder.query('begin');
  for (const door of doorNames) {
    await service.doors[door].storage.recordObject({ object: { ...object, objectKey: door } });
    await holder.query('select 1 from storage_objects where object_key = $1 for update', [door]);
  }
  const waiting = async () => {
    const rows = await service.sql<{ n: number }>(
      `select count(*)::int as n from pg_stat_activity
       where datname = current_database() and usename like '%_service'
         and wait_event_type = 'Lock'`,
    );
    return rows[0]?.n ?? 0;
  };
  const untilWaiting = (count: number) =>
    until(async () => (await waiting()) === count, {
      ...{ timeoutMs: 5000, what: `${count} calls wait` },
    });
  return {
    record: (options: { signal?: AbortSignal; timeoutMs?: number } = {}) =>
      doorNames.map((door) => {
        const request = { object: { ...object, objectKey: door, etag: 'other' } };
        return service.doors[door].storage.recordObject(request, options);
      }),
    wait: () => untilWaiting(doorNames.length),
    areGone: () => untilWaiting(0),
    release: () => holder.query('rollback'),
  };
}

/** The same for each door. */
const ofEach = (refusal: object) => doorNames.map(() => expect.objectContaining(refusal));

describe('a whole server, through both doors at once', () => {
  it('cancels the backend of a call whose caller leaves', async () => {
    await using service = await startService();
    const held = await holdUp(service);
    const controller = new AbortController();
    const calls = Promise.all(held.record({ signal: controller.signal }).map(failure));
    await held.wait();
    controller.abort();
    expect(await calls).toEqual(ofEach({ code: Code.Canceled }));
    await held.areGone();
    await held.release();
  });

  it('cancels the backend of a call whose time is up', async () => {
    await using service = await startService({ STOWAGE_UNARY_TIMEOUT_MAX_MS: '300' });
    const held = await holdUp(service);
    const refused = await Promise.all(held.record().map(failure));
    expect(refused).toEqual(ofEach({ reason: 'DEADLINE_EXCEEDED', retry: 'same_request_id' }));
    await held.areGone();
    await held.release();
  });

  it('lets a running call finish within the grace', async () => {
    await using service = await startService();
    const held = await holdUp(service);
    const calls = Promise.all(held.record());
    await held.wait();
    const closed = service.server.close();
    await held.release();
    expect((await calls).map((answer) => answer.object?.etag)).toEqual(['other', 'other']);
    await closed;
  });

  it('ends a call that outlives the grace with DRAINING and undoes its work', async () => {
    await using service = await startService({ STOWAGE_SHUTDOWN_GRACE_MS: '100' });
    const held = await holdUp(service);
    const calls = Promise.all(held.record().map(failure));
    await held.wait();
    await service.server.close();
    expect(await calls).toEqual(ofEach({ reason: 'DRAINING', retry: 'elsewhere' }));
    await held.areGone();
    await held.release();
    const rows = await service.sql<{ n: number }>(
      `select count(*)::int as n from storage_objects where etag = 'other'`,
    );
    expect(rows).toEqual([{ n: 0 }]);
  });
});

describe('startServer', () => {
  it('refuses a database that was not migrated', async () => {
    const primary = sharedCluster().nodes.find(({ role }) => role === 'primary');
    await using database = await createTestDatabase(primary?.url ?? '', { migrate: false });
    await expect(startServer(configOf(database.url))).rejects.toMatchObject({
      reason: 'SCHEMA_MISMATCH',
    });
  });

  it('says which setting to change when its address is taken', async () => {
    await using service = await startService();
    const url = service.database.serviceUrl ?? '';
    const { host, port } = service.server.httpAddress;
    await expect(
      startServer(configOf(url, { STOWAGE_HTTP_ADDRESS: `${host}:${port}` })),
    ).rejects.toThrow(/is taken by another program; set STOWAGE_HTTP_ADDRESS/);
    await expect(
      startServer(configOf(url, { STOWAGE_GRPC_ADDRESS: service.grpcTarget })),
    ).rejects.toThrow(/is taken by another program; set STOWAGE_GRPC_ADDRESS/);
  });
});

/** On the primary alone, and on free ports. */
function configOf(databaseUrl: string, environment: Record<string, string> = {}) {
  return parseConfig({
    DATABASE_URL: databaseUrl,
    STOWAGE_GRPC_ADDRESS: '127.0.0.1:0',
    STOWAGE_HTTP_ADDRESS: '127.0.0.1:0',
    ...environment,
  });
}
