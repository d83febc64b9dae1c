/**
 * Which node is the primary. Stowage does not elect: it finds out whom the cluster's own manager
 * has promoted, and whom it must not believe. Pure.
 */

import { compareRanks, NO_HISTORY, type Rank, rankOf, sameRow } from './history.js';
import type { Effect, Knowledge, NodeFacts, NodeReport } from './router-state.js';

/** What came of it. */
export interface Election {
  /** The node that may be written to. */
  readonly primary: NodeFacts | undefined;
  /** What must be written down before one may be. */
  readonly effects: readonly Effect[];
}

/** A node that takes writes. */
interface Claimer {
  readonly node: NodeFacts;
  readonly report: NodeReport;
  readonly rank: Rank;
}

/**
 * Of the nodes that take writes, the one of the highest rank, once its data say which history it
 * is of. None where two share the rank and nothing tells which is right.
 */
export function choosePrimary(knowledge: Knowledge): Election {
  const claimers = claimersOf(knowledge);
  const current = claimers.filter(({ rank }) => compareRanks(rank, knowledge.newest) >= 0);
  if (current.length > 0) return electAmong(current, knowledge);
  return pardon(claimers, knowledge);
}

/** Nodes that answer, are of this cluster and take writes; the highest rank first. */
function claimersOf({ nodes, systemIdentifier }: Knowledge): Claimer[] {
  const claimers: Claimer[] = [];
  for (const node of nodes.values()) {
    const { report, contact } = node;
    if (contact !== 'up' || report?.role !== 'primary') continue;
    if (report.systemIdentifier !== systemIdentifier) continue;
    claimers.push({ node, report, rank: rankOf(report.history ?? NO_HISTORY, report.timeline) });
  }
  return claimers.sort((a, b) => compareRanks(b.rank, a.rank));
}

function electAmong(claimers: readonly Claimer[], knowledge: Knowledge): Election {
  const winner = onlyOf(claimers, knowledge);
  if (winner === undefined) return { primary: undefined, effects: [] };
  if (isRecorded(winner)) return { primary: winner.node, effects: [] };
  const { node, report, rank } = winner;
  const wasWatched = node.standbySince === report.startedAt;
  const { timeline } = rank;
  return {
    primary: undefined,
    effects: [{ kind: 'record_timeline', node: node.name, timeline, wasWatched }],
  };
}

/** The claimer of a timeline that can be gone on with; `several`: nothing tells which. */
export function claimerOn(knowledge: Knowledge, timeline: number): Claimer | 'several' | undefined {
  const claimers = claimersOf(knowledge).filter(({ rank }) => rank.timeline === timeline);
  if (claimers.length === 0) return undefined;
  return onlyOf(highest(claimers), knowledge) ?? 'several';
}

/** Those that share the highest rank, of some in the order of their ranks. */
function highest(claimers: readonly Claimer[]): Claimer[] {
  const [first] = claimers;
  return claimers.filter(({ rank }) => first && compareRanks(rank, first.rank) === 0);
}

/** Of some that share a rank the only one, or the one that is right. */
function onlyOf(claimers: readonly Claimer[], knowledge: Knowledge): Claimer | undefined {
  const servers = withoutAliases(claimers);
  return servers.length <= 1 ? servers[0] : rightful(servers, knowledge);
}

/** One server may stand in the settings under two names: its start tells. */
function withoutAliases(claimers: readonly Claimer[]): Claimer[] {
  const starts = new Map<string, Claimer>();
  for (const claimer of claimers) {
    const { startedAt } = claimer.report;
    if (!starts.has(startedAt)) starts.set(startedAt, claimer);
  }
  return [...starts.values()];
}

/**
 * Of several on one timeline: the one whose row is in the present history, for the others were
 * promoted beside it; else the only one that anything was recorded on.
 */
function rightful(claimers: readonly Claimer[], { history }: Knowledge): Claimer | undefined {
  const recorded = claimers.filter(({ report, rank }) => rowOf(report, rank) !== undefined);
  const known = recorded.filter(({ report, rank }) => {
    const own = rowOf(report, rank);
    return own !== undefined && history.timelines.some((row) => sameRow(row, own));
  });
  const candidates = known.length > 0 ? known : recorded;
  return candidates.length === 1 ? candidates[0] : undefined;
}

/** A node whose tables are not there has nothing to be recorded in: it is taken as it is. */
function isRecorded({ report, rank }: Claimer): boolean {
  return report.history === undefined || rowOf(report, rank) !== undefined;
}

function rowOf({ history }: NodeReport, { timeline }: Rank) {
  return history?.timelines.find((row) => row.timeline === timeline);
}

/** Only former primaries take writes: once nobody has claimed the newest rank, one counts again. */
function pardon(claimers: readonly Claimer[], knowledge: Knowledge): Election {
  const { newest, claimedAtMs, limits } = knowledge;
  const due = claimers.filter(({ report }) => report.askedAtMs - claimedAtMs > limits.fenceMs);
  const best = onlyOf(highest(due), knowledge);
  if (best === undefined) return { primary: undefined, effects: [] };
  if (best.report.history === undefined) return { primary: best.node, effects: [] };
  return {
    primary: undefined,
    effects: [{ kind: 'record_acceptance', node: best.node.name, abandoned: newest }],
  };
}
