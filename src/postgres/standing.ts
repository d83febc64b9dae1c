/** What state a node is in, once it is known which one is the primary. Pure. */

import { boundsOf, compareRanks, NO_HISTORY, newestTimeline, rankOf } from './history.js';
import { trails } from './lag.js';
import type { Knowledge, NodeFacts, NodeReport, NodeView } from './router-state.js';

/** A node's state and what goes with it. */
export type Standing = Pick<NodeView, 'state' | 'fence' | 'goodUpTo'>;

/** Works a node's state out. */
export function standingOf(node: NodeFacts, knowledge: Knowledge): Standing {
  const { report, contact } = node;
  if (contact === 'lost') return plain('unreachable');
  if (contact !== 'up' || report === undefined) return plain('unknown');
  if (report.systemIdentifier !== knowledge.systemIdentifier) return fenced('other_cluster');
  if (node.name === knowledge.primary) return plain('primary');
  return report.role === 'primary'
    ? claimerStanding(report, knowledge)
    : standbyStanding(node, report, knowledge);
}

/** Takes writes and is not the primary. */
function claimerStanding(report: NodeReport, knowledge: Knowledge): Standing {
  const rank = rankOf(report.history ?? NO_HISTORY, report.timeline);
  if (compareRanks(rank, knowledge.newest) < 0) return fenced('former_primary');
  const isAlone = ![...knowledge.nodes.values()].some(
    (other) =>
      other.report !== undefined &&
      other.report.startedAt !== report.startedAt &&
      other.contact === 'up' &&
      other.report.role === 'primary' &&
      compareRanks(rankOf(other.report.history ?? NO_HISTORY, other.report.timeline), rank) === 0,
  );
  // Alone it waits for its row, or is the primary under another name.
  return isAlone ? plain('unknown') : fenced('split_brain');
}

function standbyStanding(node: NodeFacts, report: NodeReport, knowledge: Knowledge): Standing {
  const { history, samples, limits } = knowledge;
  const bounds = report.history && boundsOf(history, report.history);
  if (report.history !== undefined) {
    const lsn = report.lsn ?? 0n;
    if (bounds === undefined || lsn > bounds.possible) return fenced('diverged');
    if (lsn > bounds.sure) return plain('unknown');
    // On a timeline whose row has yet to arrive, or never will: nobody can tell how far it is.
    if (report.checkpointTimeline > newestTimeline(report.history)) return plain('unknown');
  }
  const limit = { fence: undefined, goodUpTo: bounds?.sure };
  if (node.isDrained) return { state: 'draining', ...limit };
  const isLate =
    knowledge.primary !== undefined &&
    trails(samples, report.lsn, report.askedAtMs, limits.laggingMs);
  return { state: isLate ? 'lagging' : 'standby', ...limit };
}

function plain(state: 'unknown' | 'unreachable' | 'primary'): Standing {
  return { state, fence: undefined, goodUpTo: undefined };
}

function fenced(fence: NonNullable<NodeView['fence']>): Standing {
  return { state: 'fenced', fence, goodUpTo: undefined };
}
