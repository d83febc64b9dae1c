/**
 * What is known of the nodes, as a value, and the one function that takes an event in:
 * `(topology, event) -> topology + transitions + effects`. docs/router.md is its specification.
 * Pure: it asks nobody, does nothing, and knows no clock but the times it is given.
 */

import {
  abandonedTimeline,
  compareRanks,
  type History,
  NO_HISTORY,
  NO_RANK,
  type Rank,
  rankOf,
} from './history.js';
import { bytesBehind, freshAsOf, type LagSamples, NO_SAMPLES, withSample } from './lag.js';
import { drainedNodes, newestHistory } from './node-data.js';
import { choosePrimary, type Election } from './primary-choice.js';
import { SILENCES_MAX, severedBy } from './severing.js';
import { standingOf } from './standing.js';

/**
 * What may be asked of a node.
 * - `unknown`: nothing; not seen yet, in doubt until its next probe, or a primary whose timeline is
 *   about to be recorded.
 * - `primary`: reads and writes.
 * - `standby`: reads.
 * - `lagging`: reads that it is fresh enough for.
 * - `draining`: nothing new, by command.
 * - `unreachable`: nothing; the connection failed, or two probes in a row went unanswered.
 * - `fenced`: nothing; of another history or another cluster.
 */
export type NodeState =
  | 'unknown'
  | 'primary'
  | 'standby'
  | 'lagging'
  | 'draining'
  | 'unreachable'
  | 'fenced';

/** Why a node is fenced. */
export type FenceReason = 'other_cluster' | 'former_primary' | 'diverged' | 'split_brain';

/** What a node said of itself. */
export interface NodeReport {
  /** When it was asked, on the clock of `performance.now()`: what it says is no older. */
  readonly askedAtMs: number;
  readonly role: 'primary' | 'standby';
  readonly systemIdentifier: bigint;
  /** Of a primary only: a standby does not tell ordinary roles. */
  readonly timeline: number | undefined;
  /** Of its last checkpoint or restart point: its timeline is not a lower one. */
  readonly checkpointTimeline: number;
  /** Flushed by a primary, replayed by a standby; undefined before a standby's first replay. */
  readonly lsn: bigint | undefined;
  /** When its postmaster started, as text. */
  readonly startedAt: string;
  /** What its data say of its past; undefined where the tables are not there (yet). */
  readonly history: History | undefined;
  /** Names of the nodes that are drained, by its data. */
  readonly drained: readonly string[];
}

/** Something that was learned. */
export type RouterEvent =
  | { readonly kind: 'report'; readonly node: string; readonly report: NodeReport }
  /** A probe went unanswered. */
  | { readonly kind: 'silent'; readonly node: string }
  /** It refused a connection, or ended one. */
  | { readonly kind: 'lost'; readonly node: string }
  /** It was held for another role than it has. */
  | { readonly kind: 'demoted'; readonly node: string }
  /** It answers, but has no room: until its next report others go first. */
  | { readonly kind: 'crowded'; readonly node: string }
  /** A caller's token, verified, tells of a timeline. */
  | { readonly kind: 'token'; readonly timeline: number; readonly atMs: number };

/** What is to be done about an event; doing it again does no harm. */
export type Effect =
  /** Write the timeline down in its data, before it is sent anything else. */
  | {
      readonly kind: 'record_timeline';
      readonly node: string;
      readonly timeline: number;
      /** It was seen to become the primary, without a restart: it knows its switch point. */
      readonly wasWatched: boolean;
    }
  /** Write down that a newer timeline is given up for this node's. */
  | { readonly kind: 'record_acceptance'; readonly node: string; readonly abandoned: Rank }
  /**
   * Its connections are of no use any more: the idle ones, where one was lost and those that are
   * lent find out by themselves; all, where they might hang for ever or serve another history.
   */
  | { readonly kind: 'sever'; readonly node: string; readonly scope: 'idle' | 'all' }
  /** Calls will come: open its connections ahead. */
  | { readonly kind: 'warm'; readonly node: string };

/** A change of one node's state. */
export interface Transition {
  readonly node: string;
  readonly from: NodeState;
  readonly to: NodeState;
}

/** One node as it is known. */
export interface NodeView {
  readonly name: string;
  readonly state: NodeState;
  /** Undefined in every other state than `fenced`. */
  readonly fence: FenceReason | undefined;
  /** The last report; kept while the node is unreachable. */
  readonly report: NodeReport | undefined;
  /** A standby has all that was committed before this time; undefined where nobody can tell. */
  readonly freshAsOfMs: number | undefined;
  /** How far a standby is behind the primary; undefined where nobody can tell. */
  readonly lagBytes: bigint | undefined;
  /** Beyond this LSN a standby would be of another history. */
  readonly goodUpTo: bigint | undefined;
  /** Named by a drain. */
  readonly isDrained: boolean;
  /** Its last probe went unanswered, or it had no room: others go first. */
  readonly isDoubted: boolean;
}

/** All nodes. */
export interface Topology {
  readonly nodes: ReadonlyMap<string, NodeView>;
  /** The node that is written to; undefined while none is known. */
  readonly primary: string | undefined;
  /** Of the last primary that was known. */
  readonly timeline: number | undefined;
  /** Of the cluster, once a node has been seen. */
  readonly systemIdentifier: bigint | undefined;
  /** The present history: the primary's, or the newest that was seen. */
  readonly history: History;
  /** Rises by one with each primary or timeline that is taken. */
  readonly epoch: number;
}

/** What the state machine remembers of a node. */
export interface NodeFacts extends NodeView {
  readonly contact: 'none' | 'up' | 'suspect' | 'lost';
  /** Probes in a row that went unanswered. */
  readonly silences: number;
  /** The start of its postmaster at which it was last seen as a standby. */
  readonly standbySince: string | undefined;
}

/** Bounds of the state machine. */
export interface StateLimits {
  /**
   * A primary of a lower rank than was seen is a former one that came back: writes to it would be
   * lost. It counts again once nobody has claimed the higher one for this long, for a node can be
   * promoted for a moment and be given up. Default 30,000.
   */
  readonly fenceMs: number;
  /** A standby further behind than this is `lagging`. Default 10,000, the default freshness. */
  readonly laggingMs: number;
}

/** All that the state machine remembers. */
export interface Knowledge extends Topology {
  readonly nodes: ReadonlyMap<string, NodeFacts>;
  readonly limits: StateLimits;
  /** Of the present or last primary. */
  readonly samples: LagSamples;
  /** The highest that was seen: by a claim, in a node's data, in a token. */
  readonly newest: Rank;
  /** When a primary last claimed `newest`; when it was first seen, before that. */
  readonly claimedAtMs: number;
  /** The last primary and its rank, for the epoch. */
  readonly reign: string;
}

/** An event, taken in. */
export interface Step {
  readonly topology: Topology;
  readonly transitions: readonly Transition[];
  readonly effects: readonly Effect[];
}

/** What holds where nothing else is said. */
export const STATE_LIMITS: StateLimits = { fenceMs: 30_000, laggingMs: 10_000 };

/** Nothing is known of any node. */
export function unknownTopology(
  names: readonly string[],
  limits: StateLimits = STATE_LIMITS,
): Topology {
  const knowledge: Knowledge = {
    nodes: new Map(names.map((name) => [name, unknownNode(name)])),
    limits,
    primary: undefined,
    timeline: undefined,
    systemIdentifier: undefined,
    history: NO_HISTORY,
    epoch: 0,
    samples: NO_SAMPLES,
    newest: NO_RANK,
    claimedAtMs: 0,
    reign: '',
  };
  return knowledge;
}

/** The topology with other nodes: what is known of those that stay is kept. */
export function withNodes(topology: Topology, names: readonly string[]): Topology {
  const knowledge = topology as Knowledge;
  const nodes = new Map(
    names.map((name) => [name, knowledge.nodes.get(name) ?? unknownNode(name)]),
  );
  const { primary } = knowledge;
  const isGone = primary !== undefined && !nodes.has(primary);
  const next: Knowledge = { ...knowledge, nodes, ...(isGone ? { primary: undefined } : {}) };
  return next;
}

function unknownNode(name: string): NodeFacts {
  return {
    name,
    state: 'unknown',
    fence: undefined,
    report: undefined,
    freshAsOfMs: undefined,
    lagBytes: undefined,
    goodUpTo: undefined,
    isDrained: false,
    isDoubted: false,
    contact: 'none',
    silences: 0,
    standbySince: undefined,
  };
}

/** Takes an event in. One of an unknown node changes nothing. */
export function step(topology: Topology, event: RouterEvent): Step {
  const former = topology as Knowledge;
  const learned = learn(former, event);
  if (learned === undefined) return { topology, transitions: [], effects: [] };
  const election = choosePrimary(learned);
  const next = withStates(enthrone(learned, election));
  const transitions = transitionsBetween(former, next);
  return { topology: next, transitions, effects: effectsOf(former, next, election) };
}

function learn(knowledge: Knowledge, event: RouterEvent): Knowledge | undefined {
  if (event.kind === 'token') {
    const { newest } = knowledge;
    const known = Math.max(newest.timeline, abandonedTimeline(knowledge.history));
    if (event.timeline <= known) return undefined;
    const rank = { ...newest, timeline: event.timeline };
    return { ...knowledge, newest: rank, claimedAtMs: event.atMs };
  }
  const known = knowledge.nodes.get(event.node);
  if (known === undefined) return undefined;
  const nodes = new Map(knowledge.nodes).set(event.node, learnOfNode(known, event));
  const systemIdentifier = identify(knowledge, nodes);
  return withRank({ ...knowledge, nodes, systemIdentifier }, event);
}

function learnOfNode(node: NodeFacts, event: Exclude<RouterEvent, { kind: 'token' }>): NodeFacts {
  switch (event.kind) {
    case 'report': {
      const { report } = event;
      const isStandby = report.role === 'standby';
      const standbySince = isStandby ? report.startedAt : node.standbySince;
      return { ...node, report, contact: 'up', silences: 0, isDoubted: false, standbySince };
    }
    case 'silent': {
      // One unanswered probe may be a busy machine: until the second, others merely go first.
      const silences = node.silences + 1;
      const contact = silences >= SILENCES_MAX ? 'lost' : node.contact;
      return { ...node, silences, isDoubted: true, contact };
    }
    case 'lost':
      return { ...node, contact: 'lost' };
    case 'demoted':
      return { ...node, contact: 'suspect' };
    case 'crowded':
      return { ...node, isDoubted: true };
  }
}

/** The first primary decides which cluster this is; before it is seen, the first standby. */
function identify(
  { timeline, systemIdentifier }: Knowledge,
  nodes: ReadonlyMap<string, NodeFacts>,
): bigint | undefined {
  if (timeline !== undefined) return systemIdentifier;
  const reports = [...nodes.values()].flatMap((node) => node.report ?? []);
  const primary = reports.find((report) => report.role === 'primary');
  return primary?.systemIdentifier ?? systemIdentifier ?? reports[0]?.systemIdentifier;
}

/** Takes the rank of a report's history down: a standby's too, for its rows came from a primary. */
function withRank(knowledge: Knowledge, event: RouterEvent): Knowledge {
  if (event.kind !== 'report') return knowledge;
  const { report } = event;
  if (report.systemIdentifier !== knowledge.systemIdentifier) return knowledge;
  const rank = rankOf(report.history ?? NO_HISTORY, report.timeline);
  const order = compareRanks(rank, knowledge.newest);
  const isClaim = order === 0 && report.role === 'primary';
  if (order <= 0 && !isClaim) return knowledge;
  return { ...knowledge, newest: rank, claimedAtMs: report.askedAtMs };
}

/** Takes the outcome of an election in: the primary, its history, its place on the lag's clock. */
function enthrone(knowledge: Knowledge, { primary }: Election): Knowledge {
  const report = primary?.report;
  if (primary === undefined || report === undefined) {
    return { ...knowledge, primary: undefined, history: newestHistory(knowledge) };
  }
  const history = report.history ?? NO_HISTORY;
  const rank = rankOf(history, report.timeline);
  const reign = `${primary.name} ${rank.generation} ${rank.timeline}`;
  const { askedAtMs, lsn } = report;
  const of = `${reign} ${report.startedAt}`;
  const samples =
    lsn === undefined
      ? knowledge.samples
      : withSample(knowledge.samples, of, { atMs: askedAtMs, lsn });
  return {
    ...knowledge,
    primary: primary.name,
    timeline: report.timeline,
    newest: rank,
    claimedAtMs: Math.max(knowledge.claimedAtMs, askedAtMs),
    history,
    samples,
    reign,
    epoch: knowledge.epoch + (reign === knowledge.reign ? 0 : 1),
  };
}

function withStates(knowledge: Knowledge): Knowledge {
  const drained = drainedNodes(knowledge);
  const nodes = new Map<string, NodeFacts>();
  for (const node of knowledge.nodes.values()) {
    const isDrained = drained.has(node.name);
    const standing = standingOf({ ...node, isDrained }, knowledge);
    const isStandby = standbyStates.has(standing.state);
    const lsn = node.report?.lsn;
    nodes.set(node.name, {
      ...node,
      ...standing,
      isDrained,
      freshAsOfMs: isStandby ? freshAsOf(knowledge.samples, lsn) : undefined,
      lagBytes: isStandby ? bytesBehind(knowledge.samples, lsn) : undefined,
    });
  }
  return { ...knowledge, nodes };
}

const standbyStates: ReadonlySet<NodeState> = new Set(['standby', 'lagging', 'draining']);

function transitionsBetween(former: Knowledge, next: Knowledge): Transition[] {
  return [...next.nodes.values()].flatMap(({ name, state: to }) => {
    const from = former.nodes.get(name)?.state ?? 'unknown';
    return from === to ? [] : [{ node: name, from, to }];
  });
}

function effectsOf(former: Knowledge, next: Knowledge, election: Election): Effect[] {
  const effects: Effect[] = [...election.effects];
  for (const node of next.nodes.values()) {
    const before = former.nodes.get(node.name);
    const isRestarted =
      before?.report !== undefined && before.report.startedAt !== node.report?.startedAt;
    const scope = severedBy(before, node, isRestarted);
    if (scope !== undefined) effects.push({ kind: 'sever', node: node.name, scope });
    if (isServing(node.state) && (isRestarted || !isServing(before?.state ?? 'unknown'))) {
      effects.push({ kind: 'warm', node: node.name });
    }
  }
  return effects;
}

function isServing(state: NodeState): boolean {
  return state === 'primary' || state === 'standby' || state === 'lagging';
}
