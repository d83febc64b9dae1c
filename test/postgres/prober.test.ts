// How often a node is asked that cannot do what it is asked for: never in a busy loop.
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { until } from '../../src/lib/wait.js';
import { type HistoryEvent, historyChannel } from '../../src/postgres/events.js';
import { createRouter } from '../../src/postgres/router.js';
import { sharedCluster } from '../support/cluster.js';
import { createTestDatabase } from '../support/database.js';
import { testSettings } from '../support/router.js';

const INTERVAL_MS = 100;

/** A line that lets a session begin, and hangs up at its first statement. */
async function openCutLine(port: number) {
  let sessions = 0;
  const server = createServer((caller) => {
    const line = connect(port, '127.0.0.1');
    const end = () => {
      caller.destroy();
      line.destroy();
    };
    caller.on('error', end).on('close', end);
    line.on('error', end).on('close', end);
    line.pipe(caller);
    caller.on('data', (data: Buffer) => {
      // 'P', Parse: what comes before is the login.
      if (data[0] !== 0x50) {
        line.write(data);
        return;
      }
      sessions += 1;
      end();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    sessions: () => sessions,
    [Symbol.asyncDispose]: async () => {
      server.close();
    },
  };
}

describe('A prober', () => {
  it('tries again at its pace where a timeline cannot be recorded', async () => {
    const [node] = sharedCluster().nodes;
    await using database = await createTestDatabase(node?.url ?? '');
    const admin = await database.connect();
    await admin.query('revoke insert on timelines from stowage_service');
    const failures: HistoryEvent[] = [];
    const listener = (event: unknown) => failures.push(event as HistoryEvent);
    historyChannel.subscribe(listener);
    try {
      const target = { url: database.serviceUrl ?? '', nodes: node === undefined ? [] : [node] };
      await using router = createRouter(testSettings(target, { probeIntervalMs: INTERVAL_MS }));
      const startedAtMs = performance.now();
      await router.start();
      await until(() => performance.now() - startedAtMs > 5 * INTERVAL_MS, {
        timeoutMs: 5_000,
        what: 'five intervals',
      });
      const intervals = (performance.now() - startedAtMs) / INTERVAL_MS;
      expect(router.topology()).toMatchObject({ hasPrimary: false });
      expect(failures.length).toBeGreaterThan(1);
      expect(failures.length).toBeLessThanOrEqual(intervals + 1);
      await admin.query('grant insert on timelines to stowage_service');
      await until(() => router.topology().hasPrimary, {
        timeoutMs: 5_000,
        what: 'the primary is known',
      });
    } finally {
      historyChannel.unsubscribe(listener);
    }
  });

  it('tries again at its pace where sessions end at their first statement', async () => {
    const [node] = sharedCluster().nodes;
    await using database = await createTestDatabase(node?.url ?? '');
    await using line = await openCutLine(node?.port ?? 0);
    const target = { url: database.serviceUrl ?? '', nodes: [{ ...line, host: '127.0.0.1' }] };
    await using router = createRouter(testSettings(target, { probeIntervalMs: INTERVAL_MS }));
    const startedAtMs = performance.now();
    await router.start();
    await until(() => performance.now() - startedAtMs > 5 * INTERVAL_MS, {
      timeoutMs: 5_000,
      what: 'five intervals',
    });
    const intervals = (performance.now() - startedAtMs) / INTERVAL_MS;
    expect(line.sessions()).toBeGreaterThan(1);
    expect(line.sessions()).toBeLessThanOrEqual(intervals + 1);
  });
});
