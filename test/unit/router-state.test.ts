import { describe, expect, it } from 'vitest';
import { chooseNode, type Demand, lagOf } from '../../src/postgres/freshness.js';
import {
  type NodeReport,
  type Observation,
  observe,
  type Topology,
  unknownTopology,
} from '../../src/postgres/topology.js';

const CLUSTER = 7n;

function report(role: 'primary' | 'standby', facts: Partial<NodeReport> = {}): Observation {
  return {
    kind: 'report',
    report: {
      askedAtMs: 0,
      role,
      systemIdentifier: CLUSTER,
      timeline: role === 'primary' ? 1 : undefined,
      lsn: 100n,
      startedAt: 'then',
      ...facts,
    },
  };
}

/** Takes observations in, by node. */
function seen(...observations: readonly (readonly [string, Observation])[]): Topology {
  return observations.reduce(
    (topology, [name, observation]) => observe(topology, name, observation),
    unknownTopology(['a', 'b', 'c']),
  );
}

function states(topology: Topology): string {
  return [...topology.nodes.values()].map(({ state }) => state).join(' ');
}

const idle = () => 0;

describe('Topology', () => {
  it('knows nothing at first', () => {
    const topology = unknownTopology(['a', 'b']);
    expect(states(topology)).toBe('unknown unknown');
    expect(topology).toMatchObject({ primary: undefined, timeline: undefined });
  });

  it('takes roles from reports', () => {
    const topology = seen(['a', report('primary')], ['b', report('standby')]);
    expect(states(topology)).toBe('primary standby unknown');
    expect(topology).toMatchObject({ primary: 'a', timeline: 1, systemIdentifier: CLUSTER });
  });

  it('takes the claimer on the highest timeline for the primary', () => {
    const topology = seen(['a', report('primary')], ['b', report('primary', { timeline: 2 })]);
    expect(states(topology)).toBe('unknown primary unknown');
    expect(topology.timeline).toBe(2);
  });

  it('has no primary while two claim the same timeline', () => {
    const topology = seen(['a', report('primary')], ['b', report('primary')]);
    expect(states(topology)).toBe('unknown unknown unknown');
    expect(topology.primary).toBeUndefined();
    const settled = observe(topology, 'a', { kind: 'lost' });
    expect(states(settled)).toBe('unreachable primary unknown');
  });

  it('has no primary when a former one comes back, until the higher timeline is given up', () => {
    const claim = (askedAtMs: number, timeline: number) =>
      report('primary', { askedAtMs, timeline });
    const gone = seen(['b', claim(1_000, 2)], ['b', { kind: 'lost' }]);
    const back = observe(gone, 'a', claim(31_000, 1));
    expect(states(back)).toBe('unknown unreachable unknown');
    expect(back).toMatchObject({ primary: undefined, timeline: 2 });
    expect(observe(back, 'b', claim(31_000, 2)).primary).toBe('b');
    expect(observe(back, 'a', claim(31_001, 1))).toMatchObject({ primary: 'a', timeline: 1 });
  });

  it('lets the first primary say which cluster this is', () => {
    const foreign = report('standby', { systemIdentifier: 8n });
    const topology = seen(['b', foreign], ['c', report('standby')], ['a', report('primary')]);
    expect(states(topology)).toBe('primary unknown standby');
    expect(topology.systemIdentifier).toBe(CLUSTER);
    const other = report('primary', { systemIdentifier: 8n, timeline: 9 });
    expect(observe(topology, 'b', other)).toMatchObject({ primary: 'a', systemIdentifier: 7n });
  });

  it('asks nothing of a node of another cluster', () => {
    const other = report('standby', { systemIdentifier: 8n });
    expect(states(seen(['a', report('primary')], ['b', other]))).toBe('primary unknown unknown');
  });

  it('holds a node for unreachable after two silences, at once after a loss', () => {
    const silent: Observation = { kind: 'silent' };
    const once = seen(['a', report('primary')], ['a', silent]);
    expect(states(once)).toBe('primary unknown unknown');
    expect(states(observe(once, 'a', silent))).toBe('unreachable unknown unknown');
    const between = observe(observe(once, 'a', report('primary')), 'a', silent);
    expect(states(between)).toBe('primary unknown unknown');
    expect(states(observe(once, 'a', { kind: 'lost' }))).toBe('unreachable unknown unknown');
  });

  it('doubts a primary that refused to write until it is probed', () => {
    const doubted = seen(['a', report('primary')], ['a', { kind: 'demoted' }]);
    expect(states(doubted)).toBe('unknown unknown unknown');
    expect(states(observe(doubted, 'a', report('standby')))).toBe('standby unknown unknown');
  });

  it('keeps the timeline of the last primary', () => {
    const topology = seen(['a', report('primary', { timeline: 3 })], ['a', { kind: 'lost' }]);
    expect(topology).toMatchObject({ primary: undefined, timeline: 3 });
  });

  it('measures how fresh a standby is by the samples of the primary', () => {
    const topology = seen(
      ['a', report('primary', { askedAtMs: 1_000, lsn: 10n })],
      ['a', report('primary', { askedAtMs: 2_000, lsn: 20n })],
      ['b', report('standby', { askedAtMs: 2_100, lsn: 15n })],
      ['c', report('standby', { askedAtMs: 2_100, lsn: 5n })],
    );
    const [b, c] = ['b', 'c'].map((name) => topology.nodes.get(name));
    expect(b && lagOf(b, 2_500)).toBe(1_500);
    expect(c && lagOf(c, 2_500)).toBeUndefined();
  });

  it('finds an idle standby as fresh as the last sample', () => {
    const topology = seen(
      ['a', report('primary', { askedAtMs: 1_000, lsn: 10n })],
      ['b', report('standby', { askedAtMs: 1_100, lsn: 10n })],
      ['a', report('primary', { askedAtMs: 9_000, lsn: 10n })],
    );
    expect(topology.nodes.get('b')?.freshAsOfMs).toBe(9_000);
  });

  it('forgets the samples of another primary', () => {
    const topology = seen(
      ['a', report('primary', { askedAtMs: 1_000, lsn: 10n })],
      ['c', report('standby', { lsn: 10n })],
      ['b', report('primary', { askedAtMs: 2_000, lsn: 30n, timeline: 2 })],
    );
    expect(topology.nodes.get('c')?.freshAsOfMs).toBeUndefined();
  });
});

describe('chooseNode', () => {
  const cluster = seen(
    ['a', report('primary', { askedAtMs: 1_000, lsn: 50n })],
    ['b', report('standby', { askedAtMs: 1_000, lsn: 50n })],
    ['c', report('standby', { askedAtMs: 1_000, lsn: 40n })],
  );
  const headless = observe(cluster, 'a', { kind: 'lost' });
  const alone = observe(observe(cluster, 'b', { kind: 'lost' }), 'c', { kind: 'lost' });
  const dead = observe(alone, 'a', { kind: 'lost' });
  const choose = (topology: Topology, demand: Demand, nowMs = 1_000) => {
    try {
      return chooseNode(topology, demand, nowMs, idle).node;
    } catch (error) {
      return (error as { reason: string }).reason;
    }
  };
  const staleness = (stalenessMs: number, isImplicit = false): Demand => ({
    kind: 'max_staleness',
    stalenessMs,
    isImplicit,
  });
  const atLeast = (lsn: bigint, timeline = 1): Demand => ({
    kind: 'at_least',
    token: { systemIdentifier: CLUSTER, timeline, lsn },
  });

  it.each<[string, Topology, Demand, string]>([
    ['the primary for what needs it', cluster, { kind: 'primary' }, 'a'],
    ['nobody for what needs a primary that is gone', headless, { kind: 'primary' }, 'NO_PRIMARY'],
    ['the primary for anything when it is alone', alone, { kind: 'eventual' }, 'a'],
    ['nobody when all are gone', dead, { kind: 'eventual' }, 'NO_NODE'],
    ['the standby that is fresh enough', cluster, staleness(10), 'b'],
    ['the primary when no standby is fresh enough', cluster, staleness(-1), 'a'],
    [
      'nobody for an explicit staleness without a primary',
      headless,
      staleness(-1),
      'STANDBY_BEHIND',
    ],
    ['nobody for a staleness when all are gone', dead, staleness(10, true), 'NO_NODE'],
    ['the standby that has replayed the token', cluster, atLeast(50n), 'b'],
    ['the primary for a token that no standby has', cluster, atLeast(51n), 'a'],
    ['nobody for such a token without a primary', headless, atLeast(51n), 'STANDBY_BEHIND'],
    ['a standby for an old token without a primary', headless, atLeast(45n), 'b'],
    ['nobody for a token of an earlier timeline', cluster, atLeast(1n, 0), 'TOKEN_HISTORY_LOST'],
    ['nobody for a token of a later timeline', cluster, atLeast(1n, 2), 'STANDBY_BEHIND'],
  ])('chooses %s', (_, topology, demand, expected) => {
    expect(choose(topology, demand)).toBe(expected);
  });

  it('chooses any standby by default while there is no primary', () => {
    expect(['b', 'c']).toContain(choose(headless, staleness(-1, true)));
  });

  it('chooses the standby with the fewest calls', () => {
    const busy = (node: string) => (node === 'b' ? 2 : 1);
    expect(chooseNode(cluster, { kind: 'eventual' }, 0, busy).node).toBe('c');
  });

  it('says how far the chosen standby may be behind', () => {
    const route = chooseNode(cluster, staleness(10_000), 3_000, (node) => (node === 'b' ? 0 : 1));
    expect(route).toEqual({ node: 'b', role: 'standby', lagMs: 2_000 });
  });
});
