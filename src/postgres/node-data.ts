/** What the nodes' own data say, taken together. Pure. */

import { compareRanks, type History, rankOf } from './history.js';
import type { Knowledge, NodeReport } from './router-state.js';

/** Where no primary is known: the history of the highest rank that a member's data tell. */
export function newestHistory(knowledge: Knowledge): History {
  return memberReports(knowledge)
    .flatMap((report) => report.history ?? [])
    .reduce(
      (best, own) => (compareRanks(rankOf(own), rankOf(best)) > 0 ? own : best),
      knowledge.history,
    );
}

/** By the primary's data, else by those of the node that had come furthest. */
export function drainedNodes(knowledge: Knowledge): ReadonlySet<string> {
  const { nodes, primary } = knowledge;
  const chosen = primary === undefined ? undefined : nodes.get(primary)?.report;
  const furthest = memberReports(knowledge).reduce<NodeReport | undefined>(
    (best, report) => ((report.lsn ?? 0n) > (best?.lsn ?? -1n) ? report : best),
    undefined,
  );
  return new Set((chosen ?? furthest)?.drained);
}

function memberReports({ nodes, systemIdentifier }: Knowledge): NodeReport[] {
  return [...nodes.values()]
    .flatMap((node) => node.report ?? [])
    .filter((report) => report.systemIdentifier === systemIdentifier);
}
