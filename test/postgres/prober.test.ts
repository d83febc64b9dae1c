// How often a node is asked that cannot do what it is asked for: never in a busy loop.
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { until } from '../../src/lib/wait.js';
import { recordAcceptance, recordTimeline } from '../../src/postgres/control.sql.js';
import { type HistoryEvent, historyChannel } from '../../src/postgres/events.js';
import { createRouter } from '../../src/postgres/router.js';
import { statement } from '../../src/postgres/statement.js';
import { sharedCluster } from '../support/cluster.js';
import { createTestDatabase } from '../support/database.js';
import { startTestRouter, testCall, testSettings } from '../support/router.js';

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

  it('believes no history of another cluster, which came with a dump', async () => {
    const { nodes } = sharedCluster();
    await using database = await createTestDatabase(nodes[0]?.url ?? '');
    const admin = await database.connect();
    await admin.query(`insert into timelines (system_identifier, timeline, switch_lsn)
                       values (1, 1, '0/0'), (1, 9, '0/1')`);
    await admin.query(`insert into timeline_acceptances
                         (system_identifier, generation, timeline, abandoned_timeline, accepted_by)
                       values (1, 5, 7, 8, 'somebody')`);
    const target = { url: database.serviceUrl ?? '', nodes };
    await using router = await startTestRouter(target);
    const isSteady = () =>
      router.topology().nodes.every(({ state }) => state === 'primary' || state === 'standby');
    await until(isSteady, { timeoutMs: 10_000, what: 'all nodes serve' });
    expect(router.topology().history).toMatchObject([{ timeline: 1, switchLsn: 0n }]);
    const one = statement<{ one: number }>({ name: 'test-one', intent: 'read', text: 'select 1' });
    const write = testCall();
    await router.transaction(write, (running) => running.run(one, []));
    const tokens = [write.served[0]?.token ?? ''];
    let read = testCall({ tokens });
    const isByStandby = async () => {
      read = testCall({ tokens });
      await router.run(one, [], read);
      return read.served[0]?.by.role === 'standby';
    };
    // The primary serves what a standby has not replayed in time.
    await until(isByStandby, { timeoutMs: 10_000, what: 'a standby serves the token' });
    const again = testCall({ tokens: [read.served[0]?.token ?? ''] });
    await router.run(one, [], again);
    expect(router.topology().hasPrimary).toBe(true);
  });

  it('records nothing on a timeline that the node is not on', async () => {
    const [node] = sharedCluster().nodes;
    await using database = await createTestDatabase(node?.url ?? '');
    const admin = await database.connect();
    await admin.query(recordTimeline.text, [7, true]);
    await admin.query(recordAcceptance.text, [1, 7, 8, 'somebody']);
    const count = `select (select count(*) from timelines)::int as timelines,
                          (select count(*) from timeline_acceptances)::int as acceptances`;
    expect(await admin.query(count)).toEqual([{ timelines: 0, acceptances: 0 }]);
    await admin.query(recordTimeline.text, [1, true]);
    await admin.query(recordAcceptance.text, [1, 1, 8, 'somebody']);
    expect(await admin.query(count)).toEqual([{ timelines: 1, acceptances: 1 }]);
  });
});
