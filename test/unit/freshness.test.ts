import { describe, expect, it } from 'vitest';
import {
  type Choice,
  chooseNode,
  type Demand,
  type Route,
  type Surroundings,
} from '../../src/postgres/freshness.js';
import type { Topology } from '../../src/postgres/router-state.js';
import { CLUSTER, history, observe, report, row, seen } from '../support/topologies.js';

const idle = () => 0;
const nothing: ReadonlySet<string> = new Set();

/** A call that has met nothing yet. */
function around(facts: Partial<Surroundings> = {}): Surroundings {
  return { nowMs: 1_000, outstanding: idle, tried: nothing, behind: nothing, waitMs: 0, ...facts };
}

/** The route that is chosen. */
function routeOf(choice: Choice): Route | undefined {
  return choice.kind === 'route' ? choice.route : undefined;
}

describe('chooseNode', () => {
  const cluster = seen(
    ['a', report('primary', { askedAtMs: 1_000, lsn: 50n })],
    ['b', report('standby', { askedAtMs: 1_000, lsn: 50n })],
    ['c', report('standby', { askedAtMs: 1_000, lsn: 40n })],
  );
  const headless = observe(cluster, 'a', { kind: 'lost' });
  const past = history(row(1), row(3, 30n));
  const promoted = seen(
    ['b', report('primary', { askedAtMs: 1_000, timeline: 3, lsn: 60n, history: past })],
    ['c', report('standby', { askedAtMs: 1_000, lsn: 60n, history: past })],
  );
  const accepting = { ...history(row(1)), acceptances: [{ generation: 1, abandonedTimeline: 2 }] };
  const pardoned = seen(['a', report('primary', { askedAtMs: 1_000, history: accepting })]);
  const alone = observe(observe(cluster, 'b', { kind: 'lost' }), 'c', { kind: 'lost' });
  const dead = observe(alone, 'a', { kind: 'lost' });
  const choose = (topology: Topology, demand: Demand, nowMs = 1_000) => {
    try {
      const choice = chooseNode(topology, demand, around({ nowMs }));
      return choice.kind === 'route' ? choice.route.node : choice.reason;
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
    token: { systemIdentifier: CLUSTER, timeline, lsn, precision: 'exact', promotion: 1 },
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
    ['the furthest standby for a token that no report shows', cluster, atLeast(51n), 'b'],
    ['a standby for an old token without a primary', headless, atLeast(45n), 'b'],
    ['nobody for a token of a later timeline', cluster, atLeast(1n, 2), 'STANDBY_BEHIND'],
    ['a standby for what outlived a failover', promoted, atLeast(30n, 1), 'c'],
    ['nobody for what did not outlive it', promoted, atLeast(31n, 1), 'TOKEN_HISTORY_LOST'],
    ['nobody for what was given up', pardoned, atLeast(1n, 2), 'TOKEN_HISTORY_LOST'],
    ['nobody for a failover beyond what was given up', pardoned, atLeast(1n, 3), 'STANDBY_BEHIND'],
    [
      'nobody for a timeline that was never recorded',
      promoted,
      atLeast(1n, 2),
      'TOKEN_HISTORY_LOST',
    ],
  ])('chooses %s', (_, topology, demand, expected) => {
    expect(choose(topology, demand)).toBe(expected);
  });

  it('tells a read that the primary does for others from one that is its own', () => {
    const isFallback = (topology: Topology, demand: Demand) =>
      routeOf(chooseNode(topology, demand, around()))?.isFallback;
    expect(isFallback(cluster, staleness(-1))).toBe(true);
    expect(isFallback(alone, { kind: 'eventual' })).toBe(true);
    expect(isFallback(cluster, { kind: 'primary' })).toBe(false);
    expect(isFallback(cluster, staleness(10))).toBe(false);
    const nodes = new Map([...cluster.nodes].filter(([name]) => name === 'a'));
    expect(isFallback({ ...cluster, nodes }, { kind: 'eventual' })).toBe(false);
  });

  it('reads drained standbys only where nothing else is left', () => {
    const drained = ['b', 'c'];
    const all = [
      ['a', report('primary', { askedAtMs: 1_000, drained })],
      ['b', report('standby', { askedAtMs: 1_000, drained })],
      ['c', report('standby', { askedAtMs: 1_000, drained })],
    ] as const;
    const nodeFor = (topology: Topology) =>
      routeOf(chooseNode(topology, { kind: 'eventual' }, around()))?.node;
    const topology = seen(...all);
    expect(nodeFor(topology)).toBe('a');
    expect(['b', 'c']).toContain(nodeFor(observe(topology, 'a', { kind: 'lost' })));
  });

  it('lets the read find out whether a standby has a token that its report does not show', () => {
    const route = routeOf(chooseNode(cluster, atLeast(51n), around()));
    expect(route).toMatchObject({ node: 'b', mustReplay: 51n });
    const known = routeOf(chooseNode(cluster, atLeast(50n), around()));
    expect(known).toMatchObject({ node: 'b', mustReplay: undefined });
  });

  it('waits for a standby that was behind, then takes the primary', () => {
    const behind = new Set(['b', 'c']);
    const reasonOf = (topology: Topology, waitMs: number) => {
      const choice = chooseNode(topology, atLeast(51n), around({ behind, waitMs }));
      return choice.kind === 'route' ? choice.route.node : choice.reason;
    };
    expect(reasonOf(cluster, 200)).toBe('STANDBY_BEHIND');
    expect(reasonOf(cluster, 0)).toBe('a');
    expect(reasonOf(headless, 0)).toBe('STANDBY_BEHIND');
  });

  it('takes doubted nodes and those that failed the call last, and all when none is left', () => {
    const doubted = observe(cluster, 'b', { kind: 'crowded' });
    const nodeFor = (topology: Topology, tried: readonly string[]) =>
      routeOf(chooseNode(topology, { kind: 'eventual' }, around({ tried: new Set(tried) })))?.node;
    expect(nodeFor(doubted, [])).toBe('c');
    expect(nodeFor(doubted, ['c'])).toBe('b');
    expect(nodeFor(doubted, ['b', 'c'])).toBe('a');
    const all = observe(doubted, 'c', { kind: 'crowded' });
    expect(['b', 'c']).toContain(nodeFor(all, []));
  });

  it('tells of a token of a timeline that was given up once all nodes were asked', () => {
    const givenUp = seen([
      'a',
      report('primary', {
        timeline: 1,
        history: {
          timelines: [row(1)],
          acceptances: [{ generation: 1, abandonedTimeline: 3 }],
        },
      }),
    ]);
    const reasonOf = (timeline: number, waitMs: number, topology: Topology = givenUp) => {
      try {
        const choice = chooseNode(topology, atLeast(1n, timeline), around({ waitMs }));
        return choice.kind === 'none' && choice.reason;
      } catch (error) {
        return (error as { reason: string }).reason;
      }
    };
    expect(reasonOf(3, 200)).toBe('STANDBY_BEHIND');
    expect(reasonOf(3, 0)).toBe('TOKEN_HISTORY_LOST');
    expect(reasonOf(4, 0)).toBe('STANDBY_BEHIND');
    expect(reasonOf(3, 0, observe(givenUp, 'a', { kind: 'lost' }))).toBe('STANDBY_BEHIND');
  });

  it.each<[string, Demand, string]>([
    ['by default', staleness(10_000, true), 'NO_NODE'],
    ['for a staleness that they have', staleness(10_000), 'NO_NODE'],
    ['for a token that one of them has', atLeast(50n), 'NO_NODE'],
    ['for a staleness that none has', staleness(-1), 'STANDBY_BEHIND'],
    ['for a token that none has', atLeast(51n), 'STANDBY_BEHIND'],
  ])('lacks a node, not freshness, where all have failed the call %s', (_, demand, expected) => {
    const tried = new Set(['b', 'c']);
    expect(chooseNode(headless, demand, around({ tried }))).toEqual({
      kind: 'none',
      reason: expected,
    });
  });

  it('chooses any standby by default while there is no primary', () => {
    expect(['b', 'c']).toContain(choose(headless, staleness(-1, true)));
  });

  it('chooses the standby with the fewest calls', () => {
    const busy = (node: string) => (node === 'b' ? 2 : 1);
    const choice = chooseNode(cluster, { kind: 'eventual' }, around({ outstanding: busy }));
    expect(routeOf(choice)?.node).toBe('c');
  });

  it('says how far the chosen standby may be behind', () => {
    const outstanding = (node: string) => (node === 'b' ? 0 : 1);
    const choice = chooseNode(cluster, staleness(10_000), around({ nowMs: 3_000, outstanding }));
    expect(routeOf(choice)).toMatchObject({ node: 'b', role: 'standby', lagMs: 2_000 });
  });
});
