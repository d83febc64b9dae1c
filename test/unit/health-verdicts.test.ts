// What health finds, at its thresholds; and the page that lists it.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { DatabaseActivitySchema, NodeHealthSchema } from '../../gen/stowage/v1/health_pb.js';
import { fromMillis } from '../../src/lib/timestamp.js';
import type { NodeSnapshot, TopologySnapshot } from '../../src/postgres/router-handle.js';
import { findingKinds } from '../../src/store/health/findings.js';
import { RecentReads } from '../../src/store/health/recent-reads.js';
import { makeReport, type NodeKnowledge } from '../../src/store/health/report.js';
import { vitalsOf } from '../support/health.js';
import { snapshotOf, topologyOf } from '../support/topology-snapshots.js';

type Told = MessageInitShape<typeof NodeHealthSchema>;

const PRIMARY = snapshotOf('a:1', { state: 'primary' });
const STANDBY = snapshotOf('b:2', { state: 'standby', lagMs: 5, lagBytes: 7n });

const whole = (...nodes: readonly NodeSnapshot[]): TopologySnapshot =>
  topologyOf({ nodes, canRead: true, hasPrimary: true });

function reportOf(
  topology: TopologySnapshot,
  known: Readonly<Record<string, NodeKnowledge>> = {},
  vitals: Parameters<typeof vitalsOf>[0] = {},
) {
  return makeReport(topology, new Map(Object.entries(known)), vitalsOf(vitals));
}

const codesOf = ({ findings }: ReturnType<typeof reportOf>) => findings.map(({ code }) => code);

/** What is found of a primary that told this, beside a standby that told nothing. */
function foundOn(told: Told, node: 'a:1' | 'b:2' = 'a:1') {
  const known = { [node]: { told: create(NodeHealthSchema, told), silentMs: undefined } };
  return codesOf(reportOf(whole(PRIMARY, STANDBY), known));
}

const withLine = (waitedMs: number, kind: 'streams' | 'inspection' = 'streams'): NodeSnapshot => {
  const { pools } = PRIMARY;
  return { ...PRIMARY, pools: { ...pools, [kind]: { ...pools[kind], waiting: 3, waitedMs } } };
};

describe('A health report of the cluster', () => {
  it('is OK where nothing is found', () => {
    const report = reportOf(whole(PRIMARY, STANDBY));
    expect(report).toMatchObject({ status: 'ok', canRead: true, canWrite: true, findings: [] });
    expect(reportOf(whole(PRIMARY)).status).toBe('ok');
  });

  it('is DOWN without a node to read, and DEGRADED without a primary', () => {
    const gone = snapshotOf('a:1', { state: 'unreachable' });
    const down = reportOf(topologyOf({ nodes: [gone] }));
    expect(down.status).toBe('down');
    expect(codesOf(down)).toEqual(['NO_NODE', 'NODE_UNREACHABLE']);
    const headless = reportOf(topologyOf({ nodes: [gone, STANDBY], canRead: true }));
    expect(headless).toMatchObject({ status: 'degraded', canRead: true, canWrite: false });
    expect(codesOf(headless)).toEqual(['NO_PRIMARY', 'NODE_UNREACHABLE']);
    expect(headless.findings[1]).toMatchObject({ node: 'a:1', severity: 'error' });
  });

  it('is DOWN while the server drains', () => {
    const report = reportOf(whole(PRIMARY, STANDBY), {}, { isDraining: true });
    expect(report).toMatchObject({ status: 'down', canRead: false, canWrite: false });
    expect(codesOf(report)).toEqual(['SERVER_DRAINING']);
  });

  it('misses standbys only where the settings name some, and says why a node is fenced', () => {
    const fenced = snapshotOf('b:2', { state: 'fenced', fence: 'diverged' });
    const report = reportOf(whole(PRIMARY, fenced));
    expect(codesOf(report)).toEqual(['NODE_FENCED', 'NO_STANDBY']);
    expect(report.findings[0]?.message).toContain('(diverged)');
    const drained = snapshotOf('b:2', { state: 'draining', isDrained: true });
    expect(codesOf(reportOf(whole(PRIMARY, drained)))).toEqual([]);
  });

  it('finds a lagging standby, a pool whose line hardly moves, and late timers', () => {
    const lagging = snapshotOf('b:2', { state: 'lagging', lagMs: 12_400, lagBytes: 99n });
    const [lag] = reportOf(whole(PRIMARY, lagging)).findings;
    expect(lag).toMatchObject({ code: 'REPLICATION_LAGGING', node: 'b:2', severity: 'warning' });
    expect(lag?.message).toContain('12 s and 99 bytes behind');
    expect(codesOf(reportOf(whole(withLine(500), STANDBY)))).toEqual(['POOL_EXHAUSTED']);
    expect(codesOf(reportOf(whole(withLine(499), STANDBY)))).toEqual([]);
    expect(codesOf(reportOf(whole(withLine(500, 'inspection'), STANDBY)))).toEqual([]);
    const delayed = (eventLoopDelayMs: number) =>
      codesOf(reportOf(whole(PRIMARY, STANDBY), {}, { eventLoopDelayMs }));
    expect(delayed(100)).toEqual(['EVENT_LOOP_SLOW']);
    expect(delayed(99)).toEqual([]);
  });

  it('finds a node that was asked in vain for 5 s, and does not judge what it told before', () => {
    const told = create(NodeHealthSchema, { autovacuum: { enabled: false } });
    const silent = (silentMs: number) => {
      return codesOf(reportOf(whole(PRIMARY, STANDBY), { 'a:1': { told, silentMs } }));
    };
    expect(silent(4_999)).toEqual(['AUTOVACUUM_OFF']);
    expect(silent(5_000)).toEqual(['NODE_NOT_ANSWERING']);
    const gone = snapshotOf('b:2', { state: 'unreachable' });
    const known = { 'b:2': { told, silentMs: 60_000 } };
    expect(codesOf(reportOf(whole(PRIMARY, STANDBY, { ...gone, name: 'b:2' }), known))).toEqual([
      ...['NODE_UNREACHABLE', 'NODE_NOT_ANSWERING'],
    ]);
  });
});

describe('What a node tells', () => {
  it('is judged by its connections', () => {
    const room = { max: 103, reserved: 3 };
    expect(foundOn({ connections: { ...room, total: 90 } })).toEqual(['CONNECTIONS_NEARLY_USED']);
    expect(foundOn({ connections: { ...room, total: 89 } })).toEqual([]);
    const idle = (idleInTransactionMs: number) =>
      foundOn({ connections: { ...room, idleInTransaction: 1, idleInTransactionMs } });
    expect(idle(300_000)).toEqual(['IDLE_IN_TRANSACTION']);
    expect(idle(299_999)).toEqual([]);
  });

  it('is judged by what it read of late, once that is enough', () => {
    const told = create(NodeHealthSchema);
    const cache = (hit: bigint, read: bigint) => {
      const known = { told, silentMs: undefined, reads: { hit, read } };
      return codesOf(reportOf(whole(PRIMARY), { 'a:1': known }));
    };
    expect(cache(900_000n, 100_000n)).toEqual(['LOW_CACHE_HIT']);
    expect(cache(900_001n, 99_999n)).toEqual([]);
    expect(cache(0n, 999_999n)).toEqual([]);
  });

  it('is not judged once it is five minutes old', () => {
    const told = create(NodeHealthSchema, { autovacuum: { enabled: false } });
    const old = (toldMsAgo: number) =>
      codesOf(reportOf(whole(PRIMARY), { 'a:1': { told, toldMsAgo, silentMs: 200 } }));
    expect(old(300_000)).toEqual(['AUTOVACUUM_OFF']);
    expect(old(300_001)).toEqual([]);
  });

  it('is judged by its slots, of which standbys keep some for later', () => {
    const slots = { slot: 'old', slotsRetainedBytes: 10n * 1024n ** 3n };
    expect(foundOn({ wal: slots })).toEqual(['SLOT_RETAINS_MUCH']);
    expect(foundOn({ wal: slots }, 'b:2')).toEqual(['SLOT_RETAINS_MUCH']);
    const less = { ...slots, slotsRetainedBytes: slots.slotsRetainedBytes - 1n };
    expect(foundOn({ wal: less })).toEqual([]);
    expect(foundOn({ wal: { inactiveSlots: 1 } })).toEqual(['SLOT_INACTIVE']);
    expect(foundOn({ wal: { inactiveSlots: 1 } }, 'b:2')).toEqual([]);
  });

  it('is judged by the standbys that its commits wait for', () => {
    expect(foundOn({ wal: { missingSynchronous: 1 } })).toEqual(['COMMITS_HELD']);
    expect(foundOn({ wal: { missingSynchronous: 0 } })).toEqual([]);
  });

  it('is judged by the last segment that was to be archived', () => {
    const wal = { archiving: true, archiveFailures: 3n, archiveFailedAt: fromMillis(2_000.5) };
    expect(foundOn({ wal })).toEqual(['ARCHIVE_FAILING']);
    expect(foundOn({ wal: { ...wal, archivedAt: fromMillis(2_000.25) } })).toEqual([
      'ARCHIVE_FAILING',
    ]);
    expect(foundOn({ wal: { ...wal, archivedAt: fromMillis(2_000.75) } })).toEqual([]);
    expect(foundOn({ wal: { ...wal, archivedAt: fromMillis(3_000) } })).toEqual([]);
    expect(foundOn({ wal: { ...wal, archiving: false } })).toEqual([]);
    expect(foundOn({ wal: { archiving: true } })).toEqual([]);
  });

  it('is judged by its replay and by autovacuum', () => {
    expect(foundOn({ receiver: { replayPaused: true } }, 'b:2')).toEqual(['REPLAY_PAUSED']);
    const vacuum = { enabled: true, oldestTransactionAge: 999_999_999n, tablesDue: 9 };
    expect(foundOn({ autovacuum: vacuum })).toEqual([]);
    expect(foundOn({ autovacuum: { ...vacuum, tablesOverdue: 1 } })).toEqual(['AUTOVACUUM_BEHIND']);
    const old = { ...vacuum, oldestTransactionAge: 1_000_000_000n };
    expect(foundOn({ autovacuum: old })).toEqual(['TRANSACTION_ID_OLD']);
    expect(foundOn({ autovacuum: { enabled: false } })).toEqual(['AUTOVACUUM_OFF']);
  });

  it('is told with what to do, the errors first', () => {
    const told = create(NodeHealthSchema, {
      autovacuum: { enabled: false },
      wal: { archiving: true, archiveFailedAt: fromMillis(1) },
    });
    const { findings } = reportOf(whole(PRIMARY), { 'a:1': { told, silentMs: undefined } });
    expect(findings.map(({ severity, code }) => `${severity} ${code}`)).toEqual([
      'error ARCHIVE_FAILING',
      'warning AUTOVACUUM_OFF',
    ]);
    expect(findings[1]?.message).toBe(
      `Autovacuum does not run. ${findingKinds.AUTOVACUUM_OFF.remedy}`,
    );
  });
});

describe('What was read of late', () => {
  const MINUTE = 60_000;
  const counters = (blocksHit: bigint, blocksRead: bigint) =>
    create(DatabaseActivitySchema, { blocksHit, blocksRead });
  const none = { hit: 0n, read: 0n };

  it('is counted from ten to twenty minutes ago', () => {
    const reads = new RecentReads();
    expect(reads.lately).toEqual(none);
    reads.add(counters(1_000n, 500n), 0);
    expect(reads.lately).toEqual(none);
    for (let minute = 1; minute <= 19; minute += 1) {
      reads.add(counters(1_000n + BigInt(minute), 500n), minute * MINUTE);
    }
    expect(reads.lately).toEqual({ hit: 19n, read: 0n });
    reads.add(undefined, 19.5 * MINUTE);
    reads.add(counters(1_020n, 507n), 20 * MINUTE);
    expect(reads.lately).toEqual({ hit: 10n, read: 7n });
  });

  it('begins anew after a reset, and where nobody has looked for long', () => {
    const reads = new RecentReads();
    reads.add(counters(1_000n, 500n), 0);
    reads.add(counters(1_001n, 2n), 1);
    expect(reads.lately).toEqual(none);
    reads.add(counters(1_003n, 5n), 2);
    expect(reads.lately).toEqual({ hit: 2n, read: 3n });
    reads.add(counters(9_000n, 9_000n), 3 + 10 * MINUTE);
    expect(reads.lately).toEqual(none);
  });
});

describe('The page on running it', () => {
  it('lists every finding of health with when it is found and what to do', () => {
    const text = readFileSync(join(import.meta.dirname, '../../docs/operations.md'), 'utf8');
    const [, listed = ''] = text.split('## Ask how it is');
    const paragraphs = (listed.split('\n## ')[0] ?? '').split('\n\n');
    const list = paragraphs.find((paragraph) => paragraph.trim().startsWith('- `NO_NODE'));
    const items = list?.trim().split(/\n(?=- )/) ?? [];
    const said = items.map((item) => item.replaceAll(/\s+/g, ' '));
    const wanted = Object.entries(findingKinds).map(
      ([code, { severity, when, remedy }]) => `- \`${code}\` (${severity}): ${when}. ${remedy}`,
    );
    expect(said).toEqual(wanted);
  });
});
