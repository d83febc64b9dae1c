// The reporter over nodes that answer, hang and fail as the test says.
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { StowageError } from '../../src/errors.js';
import { type Deferred, deferred } from '../../src/lib/deferred.js';
import { until } from '../../src/lib/wait.js';
import type { Call } from '../../src/postgres/call.js';
import type { NodeSnapshot, RouterHandle } from '../../src/postgres/router-handle.js';
import type { HealthReporterOptions } from '../../src/store/health/reporter.js';
import { reporterOver } from '../support/health.js';
import { snapshotOf, topologyOf } from '../support/topology-snapshots.js';

const sessions = {
  ...{ server_version: '18.4', in_recovery: false, total: 3, active: 1, idle: 2 },
  ...{ idle_in_transaction: 0, waiting_for_lock: 0, hidden: 0, max: 100, reserved: 3 },
  idle_in_transaction_ms: null,
};

/** Nodes whose questions the test counts and answers. */
class FakeNodes {
  nodes: readonly NodeSnapshot[];
  /** How often each node was asked, by the first statement of a question. */
  readonly asked = new Map<string, number>();
  /** Nodes whose answers are held back. */
  readonly holding = new Map<string, Deferred<void>>();
  readonly calls: Call[] = [];
  readonly failing = new Set<string>();

  constructor(...nodes: readonly NodeSnapshot[]) {
    this.nodes = nodes;
  }

  readonly topology = () => topologyOf({ nodes: this.nodes, canRead: true, hasPrimary: true });

  readonly inspect: RouterHandle['inspect'] = async (node, statement, _params, call) => {
    if (statement.name !== 'health-sessions') return [];
    this.calls.push(call);
    this.asked.set(node, (this.asked.get(node) ?? 0) + 1);
    await this.holding.get(node)?.promise;
    if (this.failing.has(node)) throw new StowageError('NO_NODE');
    return [{ ...sessions, total: this.asked.get(node) }] as never;
  };

  reporter(options: Partial<HealthReporterOptions> = {}) {
    return reporterOver(this.topology, { inspect: this.inspect, ...options });
  }
}

const PRIMARY = snapshotOf('a:1', { state: 'primary' });
const STANDBY = snapshotOf('b:2', { state: 'standby' });
/** Asks anew each time, and is in no hurry where nothing hangs. */
const eager = { keepMs: 0, waitMs: 10_000 };

describe('A health reporter', () => {
  it('asks each node once however many ask at once, and gives all the same', async () => {
    const nodes = new FakeNodes(PRIMARY, STANDBY);
    const reporter = nodes.reporter({ keepMs: 60_000 });
    const reports = await Promise.all(Array.from({ length: 50 }, () => reporter.report()));
    reports.push(await reporter.report());
    expect(new Set(reports).size).toBe(1);
    expect([...nodes.asked]).toEqual([
      ['a:1', 1],
      ['b:2', 1],
    ]);
    expect(reports[0]?.told.get('b:2')?.connections?.total).toBe(1);
  });

  it('asks again once the report is too old', async () => {
    const nodes = new FakeNodes(PRIMARY);
    const reporter = nodes.reporter({ ...eager, keepMs: 30 });
    const first = await reporter.report();
    const asked = async () => {
      const report = await reporter.report();
      return report === first ? undefined : report;
    };
    const second = await until(asked, { timeoutMs: 5_000, what: 'it is made anew' });
    expect(second.told.get('a:1')?.connections?.total).toBe(2);
  });

  it('tells a node that hangs as it was, in time, and asks it nothing more meanwhile', async () => {
    const nodes = new FakeNodes(PRIMARY, STANDBY);
    const reporter = nodes.reporter({ keepMs: 0, waitMs: 50 });
    const before = await reporter.report();
    nodes.holding.set('b:2', deferred());
    const startedAtMs = performance.now();
    const report = await reporter.report();
    const tookMs = performance.now() - startedAtMs;
    expect(tookMs).toBeGreaterThanOrEqual(49);
    expect(tookMs).toBeLessThan(2_000);
    expect(report.told.get('a:1')?.connections?.total).toBe(2);
    expect(report.told.get('b:2')).toBe(before.told.get('b:2'));
    await reporter.report();
    expect(nodes.asked.get('b:2')).toBe(2);
    nodes.holding.get('b:2')?.resolve();
    nodes.holding.clear();
    const isNew = async () => (await reporter.report()).told.get('b:2')?.connections?.total;
    await until(async () => (await isNew()) !== 1, { timeoutMs: 5_000, what: 'it has answered' });
  });

  it('lets a node rest to which a question cost much, answered or not', async () => {
    const nodes = new FakeNodes(PRIMARY, STANDBY);
    const reporter = nodes.reporter(eager);
    const clock = vi.spyOn(performance, 'now').mockReturnValue(1_000_000);
    onTestFinished(() => clock.mockRestore());
    /** One question, in which the standby answers so much later than it was asked. */
    const askFor = async (tookMs: number) => {
      const atMs = performance.now();
      nodes.holding.set('b:2', deferred());
      const report = reporter.report();
      clock.mockReturnValue(atMs + tookMs);
      nodes.holding.get('b:2')?.resolve();
      await report;
    };
    const askedAfter = async (ms: number) => {
      clock.mockReturnValue(performance.now() + ms);
      await reporter.report();
      return nodes.asked.get('b:2');
    };
    await askFor(250);
    expect(await askedAfter(1)).toBe(2);
    await askFor(300);
    expect(await askedAfter(2_699)).toBe(3);
    expect(await askedAfter(1)).toBe(4);
    nodes.failing.add('b:2');
    await askFor(4_000);
    expect(await askedAfter(5_999)).toBe(5);
    expect(await askedAfter(1)).toBe(6);
  });

  it('goes on with a node that fails, and tells it as it was', async () => {
    const nodes = new FakeNodes(PRIMARY, STANDBY);
    const reporter = nodes.reporter(eager);
    await reporter.report();
    nodes.failing.add('b:2');
    const failed = await reporter.report();
    expect(failed.told.get('b:2')?.connections?.total).toBe(1);
    expect(failed.findings).toEqual([]);
    nodes.failing.clear();
    expect((await reporter.report()).told.get('b:2')?.connections?.total).toBe(3);
  });

  it('neither asks a node that is unreachable nor waits for it', async () => {
    const gone = snapshotOf('b:2', { state: 'unreachable' });
    const nodes = new FakeNodes(PRIMARY, gone);
    nodes.holding.set('b:2', deferred());
    const report = await nodes.reporter(eager).report();
    expect([...nodes.asked.keys()]).toEqual(['a:1']);
    expect(report.findings.map(({ code }) => code)).toContain('NODE_UNREACHABLE');
    expect(report.told.has('b:2')).toBe(false);
  });

  it('forgets a node that was taken out of the settings', async () => {
    const nodes = new FakeNodes(PRIMARY, STANDBY);
    const reporter = nodes.reporter(eager);
    await reporter.report();
    nodes.nodes = [PRIMARY];
    expect([...(await reporter.report()).told.keys()]).toEqual(['a:1']);
    nodes.nodes = [PRIMARY, snapshotOf('b:2', { state: 'unreachable' })];
    expect((await reporter.report()).told.has('b:2')).toBe(false);
  });

  it('bounds each question, and ends it when its server stops', async () => {
    const nodes = new FakeNodes(PRIMARY);
    const stopping = new AbortController();
    const reporter = nodes.reporter({ ...eager, askTimeoutMs: 700, signal: stopping.signal });
    await reporter.report();
    const [call] = nodes.calls;
    expect((call?.deadlineMs ?? 0) - performance.now()).toBeLessThanOrEqual(700);
    stopping.abort(new StowageError('DRAINING'));
    expect(call?.signal.aborted).toBe(true);
  });

  it('tells from memory alone at a glance', async () => {
    const nodes = new FakeNodes(PRIMARY);
    const glance = nodes.reporter().glance();
    expect(glance).toMatchObject({ status: 'ok', canRead: true, canWrite: true });
    expect(glance.told.size + nodes.asked.size).toBe(0);
  });
});
