import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chooseNode } from '../../src/postgres/freshness.js';
import { compareRanks, holds, NO_RANK, type Rank, rankOf } from '../../src/postgres/history.js';
import {
  type RouterEvent,
  type Step,
  step,
  type Topology,
  unknownTopology,
} from '../../src/postgres/router-state.js';
import { type Place, SimulatedCluster } from '../support/simulated-cluster.js';

const NAMES = ['a', 'b', 'c'];
const FENCE_MS = 30_000;

/** One thing that happens to the cluster or to the router's knowledge of it. */
type Happening =
  | { readonly kind: 'write' | 'crash' | 'restart' | 'promote' | 'demote'; readonly node: string }
  | { readonly kind: 'cut' | 'heal' | 'probe' | 'silence' | 'crowd'; readonly node: string }
  | { readonly kind: 'replicate'; readonly node: string; from: string; share: number }
  | { readonly kind: 'rebuild'; readonly node: string; from: string }
  | { readonly kind: 'token'; readonly index: number }
  | { readonly kind: 'wait'; readonly ms: number };

const node = fc.constantFrom(...NAMES);
const plain = <Kind extends string>(...kinds: readonly Kind[]) =>
  fc.record({ kind: fc.constantFrom(...kinds), node });
const happening: fc.Arbitrary<Happening> = fc.oneof(
  { weight: 6, arbitrary: plain('write') },
  { weight: 8, arbitrary: plain('probe') },
  { weight: 4, arbitrary: plain('crash', 'restart', 'promote', 'demote') },
  { weight: 2, arbitrary: plain('cut', 'heal', 'silence', 'crowd') },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('replicate' as const),
      node,
      from: node,
      share: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('rebuild' as const), node, from: node }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('token' as const), index: fc.nat(50) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.nat(20_000) }) },
);

/** A router's knowledge beside the cluster that it is of. */
class Model {
  readonly cluster = new SimulatedCluster(NAMES);
  topology: Topology = unknownTopology(NAMES);
  /** Where each node stood when it last reported. */
  readonly #reported = new Map<string, Place>();
  #nowMs = 0;
  /** The highest rank that a primary has claimed in a report, and when last. */
  #highest: { rank: Rank; atMs: number } = { rank: NO_RANK, atMs: 0 };

  happen(event: Happening): void {
    const { cluster } = this;
    this.#nowMs += 1;
    switch (event.kind) {
      case 'write':
        if (this.#takesWrites(event.node)) cluster.write(cluster.node(event.node));
        return;
      case 'crash':
        cluster.node(event.node).isRunning = false;
        this.probe(event.node);
        return;
      case 'restart':
        cluster.restart(cluster.node(event.node));
        return;
      case 'promote':
        cluster.promote(cluster.node(event.node));
        return;
      case 'demote':
        cluster.restart(cluster.node(event.node), 'standby');
        return;
      case 'cut':
      case 'heal':
        cluster.node(event.node).isReachable = event.kind === 'heal';
        this.probe(event.node);
        return;
      case 'probe':
        this.probe(event.node);
        return;
      case 'silence':
        this.take({ kind: 'silent', node: event.node });
        return;
      case 'crowd':
        this.take({ kind: 'crowded', node: event.node });
        return;
      case 'replicate':
        cluster.replicate(cluster.node(event.node), cluster.node(event.from), event.share);
        return;
      case 'rebuild':
        cluster.rebuild(cluster.node(event.node), cluster.node(event.from));
        return;
      case 'token': {
        const timeline = cluster.writes[event.index]?.token.timeline;
        if (timeline === undefined) return;
        this.take({ kind: 'token', timeline, atMs: this.#nowMs });
        return;
      }
      case 'wait':
        this.#nowMs += event.ms;
        return;
    }
  }

  /** Callers reach the primary that the router knows, unless it was restarted since: R3's check. */
  #takesWrites(name: string): boolean {
    const { primary, nodes } = this.topology;
    const present = this.cluster.report(this.cluster.node(name), 0).startedAt;
    return primary === name && nodes.get(name)?.report?.startedAt === present;
  }

  /** Asks a node, and does what follows until nothing more does. */
  probe(name: string, depth = 0): void {
    const node = this.cluster.node(name);
    if (!node.isReachable || !node.isRunning) {
      this.take({ kind: 'lost', node: name });
      return;
    }
    this.#nowMs += 1;
    const report = this.cluster.report(node, this.#nowMs);
    this.#reported.set(name, node.place);
    if (report.role === 'primary') {
      const rank = rankOf(report.history ?? { timelines: [], acceptances: [] }, report.timeline);
      const order = compareRanks(rank, this.#highest.rank);
      if (order >= 0) this.#highest = { rank, atMs: this.#nowMs };
    }
    const effects = this.take({ kind: 'report', node: name, report });
    const own = effects.filter((effect) => effect.kind.startsWith('record'));
    for (const effect of own) this.cluster.obey(effect);
    if (own.length > 0 && depth < 3) this.probe(name, depth + 1);
  }

  take(event: RouterEvent): Step['effects'] {
    const { topology, effects } = step(this.topology, event);
    this.topology = topology;
    return effects;
  }

  /** Everything heals and every node is asked; what is steady stays as it is. */
  settle(): void {
    for (const { name } of this.cluster.nodes) {
      const node = this.cluster.node(name);
      node.isReachable = true;
      if (!node.isRunning) this.cluster.restart(node);
    }
    // The first look may find that something newer was promoted and is gone: it fences once more.
    for (let round = 0; round < 4; round += 1) {
      if (round < 2) this.#nowMs += FENCE_MS + 1;
      for (const name of NAMES) this.probe(name);
    }
    const before = states(this.topology);
    for (const name of NAMES) this.probe(name);
    expect(states(this.topology), 'R9: steady after the last fault').toBe(before);
    const claims = this.cluster.nodes.filter(({ role }) => role === 'primary');
    if (claims.length === 1) expect(this.topology.primary, 'R9').toBe(claims[0]?.name);
  }

  check(): void {
    const { topology } = this;
    const nodes = [...topology.nodes.values()];
    const primaries = nodes.filter(({ state }) => state === 'primary');
    expect(primaries.length, 'R1: at most one primary').toBeLessThanOrEqual(1);
    const report = primaries[0]?.report;
    if (report?.history !== undefined) {
      const rank = rankOf(report.history, report.timeline);
      const isNewest = compareRanks(rank, this.#highest.rank) >= 0;
      const isExpired = report.askedAtMs - this.#highest.atMs > FENCE_MS;
      expect(isNewest || isExpired, 'R2: the newest timeline').toBe(true);
      const row = report.history.timelines.find(({ timeline }) => timeline === report.timeline);
      expect(row, 'R2: recorded before it is written to').toBeDefined();
    }
    this.#checkStandbys(primaries[0]?.name);
    const isReadable = nodes.some(({ state }) => state !== 'unknown' && serves.has(state));
    const doubtful = NAMES.reduce<Topology>(
      (doubted, name) => step(doubted, { kind: 'crowded', node: name }).topology,
      topology,
    );
    const choice = chooseNode(doubtful, { kind: 'eventual' }, around);
    expect(choice.kind === 'route', 'R8, R10: doubts never cover all').toBe(isReadable);
    this.#checkTokens(primaries[0]?.name);
  }

  #checkStandbys(primary: string | undefined): void {
    const place = primary === undefined ? undefined : this.#reported.get(primary);
    if (place === undefined) return;
    for (const { name, state } of this.topology.nodes.values()) {
      const own = this.#reported.get(name);
      if (!serves.has(state) || own === undefined) continue;
      const { cluster } = this;
      expect(cluster.isPartOf(own, place), `R4: ${name} shows nothing that is lost`).toBe(true);
      expect(cluster.isWhole(own, place), `R4: ${name} has all up to its LSN`).toBe(true);
    }
  }

  #checkTokens(primary: string | undefined): void {
    const place = primary === undefined ? undefined : this.#reported.get(primary);
    const { history } = this.topology;
    if (place === undefined) return;
    for (const { entry, token } of this.cluster.writes) {
      const isThere = this.cluster.has(place, entry);
      const isLater = entry.branch === place.branch && entry.lsn > place.lsn;
      if (isLater || token.timeline > place.branch.timeline) continue;
      expect(holds(history, token), `R4: the token of ${token.timeline}/${token.lsn}`).toBe(
        isThere,
      );
    }
  }
}

const serves: ReadonlySet<string> = new Set(['primary', 'standby', 'lagging']);
const nothing: ReadonlySet<string> = new Set();
const around = { nowMs: 0, outstanding: () => 0, tried: nothing, behind: nothing, waitMs: 0 };

function states(topology: Topology): string {
  return [...topology.nodes.values()].map(({ name, state }) => `${name} ${state}`).join(', ');
}

describe('topology histories', () => {
  it('hold the invariants of the router', () => {
    const seed = Math.trunc(Math.random() * 2 ** 31);
    fc.assert(
      fc.property(fc.array(happening, { maxLength: 120, size: 'max' }), (history) => {
        const model = new Model();
        for (const name of NAMES) model.probe(name);
        for (const event of history) {
          model.happen(event);
          model.check();
        }
        model.settle();
        model.check();
      }),
      // A failure prints the seed, the path and the shrunk history.
      { seed, numRuns: 400 },
    );
  });
});
