import { describe, expect, it } from 'vitest';
import { lagOf } from '../../src/postgres/freshness.js';
import type { History } from '../../src/postgres/history.js';
import { claimerOn } from '../../src/postgres/primary-choice.js';
import {
  type Knowledge,
  step,
  type Topology,
  unknownTopology,
} from '../../src/postgres/router-state.js';
import {
  CLUSTER,
  eventOf,
  history,
  type Observation,
  observe,
  report,
  row,
  seen,
} from '../support/topologies.js';

function states(topology: Topology): string {
  return [...topology.nodes.values()].map(({ state }) => state).join(' ');
}

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
    expect(states(topology)).toBe('fenced primary unknown');
    expect(topology.timeline).toBe(2);
  });

  it('has no primary while two claim the same timeline', () => {
    const topology = seen(['a', report('primary')], ['b', report('primary')]);
    expect(states(topology)).toBe('fenced fenced unknown');
    expect(topology.primary).toBeUndefined();
    const settled = observe(topology, 'a', { kind: 'lost' });
    expect(states(settled)).toBe('unreachable primary unknown');
  });

  it('has no primary when a former one comes back, until the higher timeline is given up', () => {
    const claim = (askedAtMs: number, timeline: number) =>
      report('primary', { askedAtMs, timeline });
    const gone = seen(['b', claim(1_000, 2)], ['b', { kind: 'lost' }]);
    const back = observe(gone, 'a', claim(31_000, 1));
    expect(states(back)).toBe('fenced unreachable unknown');
    expect(back).toMatchObject({ primary: undefined, timeline: 2 });
    expect(observe(back, 'b', claim(31_000, 2)).primary).toBe('b');
    expect(observe(back, 'a', claim(31_001, 1))).toMatchObject({ primary: 'a', timeline: 1 });
  });

  it('lets the first primary say which cluster this is', () => {
    const foreign = report('standby', { systemIdentifier: 8n });
    const topology = seen(['b', foreign], ['c', report('standby')], ['a', report('primary')]);
    expect(states(topology)).toBe('primary fenced standby');
    expect(topology.systemIdentifier).toBe(CLUSTER);
    const other = report('primary', { systemIdentifier: 8n, timeline: 9 });
    expect(observe(topology, 'b', other)).toMatchObject({ primary: 'a', systemIdentifier: 7n });
  });

  it('asks nothing of a node of another cluster', () => {
    const other = report('standby', { systemIdentifier: 8n });
    expect(states(seen(['a', report('primary')], ['b', other]))).toBe('primary fenced unknown');
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

describe('the history of nodes', () => {
  const first = history(row(1));
  const second = history(row(1), row(2, 100n, { recordedLsn: 200n }));
  const primary = report('primary', { timeline: 2, lsn: 100_000n, history: second });

  it('has a primary recorded before it is one', () => {
    const begun = step(unknownTopology(['a']), eventOf('a', report('primary', { history: first })));
    expect(states(begun.topology)).toBe('primary');
    const found = report('primary', { timeline: 2, history: first });
    const { topology, effects } = step(unknownTopology(['a']), eventOf('a', found));
    expect(states(topology)).toBe('unknown');
    expect(effects).toEqual([
      { kind: 'record_timeline', node: 'a', timeline: 2, wasWatched: false },
    ]);
    expect(states(observe(topology, 'a', primary))).toBe('primary');
  });

  it('knows that a node was watched as it was promoted, unless it was restarted', () => {
    const standby = seen(['b', report('standby', { history: first })]);
    const promoted = report('primary', { timeline: 2, history: first });
    expect(step(standby, eventOf('b', promoted)).effects[0]).toMatchObject({ wasWatched: true });
    const restarted = report('primary', { timeline: 2, history: first, startedAt: 'later' });
    expect(step(standby, eventOf('b', restarted)).effects[0]).toMatchObject({ wasWatched: false });
  });

  it.each<[string, string, bigint, History]>([
    ['is good up to the switch', 'standby', 100n, first],
    ['in between may be on its way to the row', 'unknown', 101n, first],
    ['is another one far behind the switch', 'fenced', 100_000n, first],
    ['is good wherever it is with the row', 'standby', 100_000n, second],
    [
      'is another one with another row of the same timeline',
      'fenced',
      50n,
      history(row(1), row(2, 100n, { recordedLsn: 200n, recordedAt: 2n })),
    ],
  ])('of a standby %s', (_, state, lsn, own) => {
    const topology = seen(['a', primary], ['b', report('standby', { lsn, history: own })]);
    expect(topology.nodes.get('b')?.state).toBe(state);
    const isFenced = state === 'fenced';
    expect(topology.nodes.get('b')?.fence).toBe(isFenced ? 'diverged' : undefined);
  });

  it('fences the primary once a standby shows a newer timeline', () => {
    const topology = seen(
      ['a', report('primary', { history: first })],
      ['b', report('standby', { history: second })],
    );
    expect(states(topology)).toBe('fenced standby unknown');
    expect(topology.primary).toBeUndefined();
  });

  it('fences the primary once a token tells of a newer timeline', () => {
    const before = seen(['a', report('primary', { history: first })]);
    const { topology, effects } = step(before, { kind: 'token', timeline: 2, atMs: 0 });
    expect(states(topology)).toBe('fenced unknown unknown');
    expect(effects).toEqual([{ kind: 'sever', node: 'a', scope: 'all' }]);
  });

  it('keeps the primary whose row is known when another claims its timeline', () => {
    const other = history(row(1), row(2, 100n, { recordedLsn: 200n, recordedAt: 2n }));
    const rival = report('primary', { timeline: 2, lsn: 300n, history: other });
    const topology = seen(['a', primary], ['b', rival]);
    expect(states(topology)).toBe('primary fenced unknown');
    expect(topology.nodes.get('b')?.fence).toBe('split_brain');
  });

  it('takes a server under two names once', () => {
    const twice = { timeline: 2, history: second, startedAt: 'then' };
    const topology = seen(['a', report('primary', twice)], ['b', report('primary', twice)]);
    expect(states(topology)).toBe('primary unknown unknown');
  });

  it('keeps the primary whose row is known also where it stands under two names', () => {
    const other = history(row(1), row(2, 100n, { recordedLsn: 200n, recordedAt: 2n }));
    const twice = report('primary', { timeline: 2, history: second, startedAt: 'then' });
    const rival = report('primary', { timeline: 2, lsn: 300n, history: other });
    const topology = seen(['a', twice], ['b', twice], ['c', rival]);
    expect(topology.primary).toBe('a');
    expect(topology.nodes.get('c')?.fence).toBe('split_brain');
  });

  it('gives a newer timeline up for none of two former primaries that share another', () => {
    const gone = seen(['c', report('primary', { timeline: 2, askedAtMs: 1_000, history: second })]);
    const lost = observe(gone, 'c', { kind: 'lost' });
    const former = report('primary', { askedAtMs: 40_000, history: first });
    const recorded = (topology: Topology, node: string) =>
      step(topology, eventOf(node, former)).effects.filter(
        ({ kind }) => kind === 'record_acceptance',
      );
    const silent = observe(lost, 'a', report('primary', { askedAtMs: 1_000, history: first }));
    const both = observe(silent, 'b', report('primary', { askedAtMs: 1_000, history: first }));
    expect(recorded(observe(both, 'a', former), 'b')).toEqual([]);
    const one = observe(observe(both, 'a', former), 'b', { kind: 'lost' });
    expect(recorded(one, 'a')).toMatchObject([{ node: 'a' }]);
    const claimer = (topology: Topology, timeline: number) => {
      const found = claimerOn(topology as Knowledge, timeline);
      return typeof found === 'object' ? found.node.name : found;
    };
    expect(claimer(both, 1)).toBe('several');
    expect(claimer(one, 1)).toBe('a');
    expect(claimer(one, 2)).toBeUndefined();
  });

  it('gives a newer timeline up only once that is recorded, and then for good', () => {
    const gone = seen(['b', report('primary', { timeline: 2, askedAtMs: 1_000, history: second })]);
    const lost = observe(gone, 'b', { kind: 'lost' });
    const former = (askedAtMs: number, own: History) =>
      eventOf('a', report('primary', { askedAtMs, history: own }));
    expect(step(lost, former(31_000, first)).effects).toEqual([
      { kind: 'sever', node: 'a', scope: 'all' },
    ]);
    const due = step(lost, former(31_001, first));
    expect(due.topology.primary).toBeUndefined();
    expect(due.effects).toContainEqual({
      kind: 'record_acceptance',
      node: 'a',
      abandoned: { generation: 0, timeline: 2 },
    });
    const accepted = { ...first, acceptances: [{ generation: 1, abandonedTimeline: 2 }] };
    const { topology } = step(due.topology, former(31_100, accepted));
    expect(topology).toMatchObject({ primary: 'a', timeline: 1 });
    const back = observe(topology, 'b', report('primary', { timeline: 2, history: second }));
    expect(states(back)).toBe('primary fenced unknown');
    expect(states(observe(back, 'b', report('standby', { history: second })))).toBe(
      'primary fenced unknown',
    );
    expect(step(topology, { kind: 'token', timeline: 2, atMs: 0 }).transitions).toEqual([]);
  });

  it('obeys drains by the data of the primary, without one by those of the furthest', () => {
    const drained = ['b'];
    const both = seen(
      ['a', report('primary', { drained })],
      ['b', report('standby')],
      ['c', report('standby', { lsn: 90n })],
    );
    expect(states(both)).toBe('primary draining standby');
    expect(both.nodes.get('b')?.isDrained).toBe(true);
    const headless = observe(observe(both, 'c', report('standby', { drained: ['c'] })), 'a', {
      kind: 'lost',
    });
    expect(states(headless)).toBe('unreachable draining standby');
    const ahead = observe(headless, 'c', report('standby', { lsn: 101n, drained: ['c'] }));
    expect(states(ahead)).toBe('unreachable standby draining');
  });

  it('calls a standby lagging once it has surely not replayed what is ten seconds old', () => {
    const early = seen(
      ['a', report('primary', { askedAtMs: 1_000, lsn: 100n })],
      ['b', report('standby', { askedAtMs: 10_900, lsn: 90n })],
    );
    expect(early.nodes.get('b')?.state).toBe('standby');
    const late = observe(early, 'b', report('standby', { askedAtMs: 11_001, lsn: 90n }));
    expect(late.nodes.get('b')).toMatchObject({ state: 'lagging', lagBytes: 10n });
    const caughtUp = observe(late, 'b', report('standby', { askedAtMs: 11_100, lsn: 100n }));
    expect(caughtUp.nodes.get('b')).toMatchObject({ state: 'standby', lagBytes: 0n });
  });

  it('knows how far a standby is behind, however often the nodes are asked meanwhile', () => {
    const at = (askedAtMs: number) =>
      report('primary', { askedAtMs, lsn: BigInt(Math.round(askedAtMs)) });
    let topology = seen(['a', at(0)]);
    for (let askedAtMs = 5; askedAtMs <= 20_000; askedAtMs += 5) {
      topology = observe(topology, 'a', at(askedAtMs));
    }
    const behind = (ms: number) =>
      observe(topology, 'b', report('standby', { askedAtMs: 20_000, lsn: BigInt(20_000 - ms) }));
    const view = behind(8_000).nodes.get('b');
    expect(view?.state).toBe('standby');
    const lagMs = view && lagOf(view, 20_000);
    expect(lagMs).toBeGreaterThanOrEqual(8_000);
    expect(lagMs).toBeLessThan(8_200);
    expect(behind(0).nodes.get('b')?.freshAsOfMs).toBe(20_000);
    expect(behind(12_000).nodes.get('b')?.state).toBe('lagging');
  });
});
