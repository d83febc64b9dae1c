/**
 * Judges one round: what its callers were told against what the database has, by the promises of
 * the router. Pure: it asks nobody, so that hand-written histories test it.
 */

import { checkReads } from './check-reads.js';
import { checkWrites } from './check-writes.js';
import type { FinalState, Presented, Round, Violation } from './history.js';
import { KnownWrites } from './known-writes.js';
import { Lineage } from './lineage.js';

/** What a round came to. */
export interface Verdict {
  readonly violations: readonly Violation[];
  /** Acknowledged writes whose tail was lost in a promotion; they are no violation. */
  readonly lostWithTail: number;
}

/** Judges a round. */
export function checkRound(round: Round): Verdict {
  const lineage = new Lineage(round.final.timelines);
  const known = new KnownWrites(round, lineage);
  const violations = [
    ...round.records.flatMap((record) =>
      record.kind === 'finding'
        ? [{ rule: record.rule, detail: record.detail, lines: [record] }]
        : [],
    ),
    ...checkHistory(round.final),
    ...checkWrites(round, known),
    ...checkReads(round, known, lineage),
    ...round.presented.flatMap((presented) => checkPresented(presented, lineage)),
  ];
  const acked = known.writes.filter(({ outcome }) => outcome === 'acked');
  return {
    violations,
    lostWithTail: acked.filter((write) => !known.hasSurvived(write)).length,
  };
}

/** What the servers have recorded of the timelines is what PostgreSQL says. */
function checkHistory({ timelines, recorded }: FinalState): Violation[] {
  return timelines.flatMap((due) => {
    const found = recorded.find(({ timeline }) => timeline === due.timeline);
    if (found?.switchLsn === due.switchLsn) return [];
    const rule = 'each timeline is recorded with its switch point';
    return [{ rule, detail: `timeline ${due.timeline}`, lines: [due, found] }];
  });
}

/** The token of a lost tail is told so, and no other is. */
function checkPresented(presented: Presented, lineage: Lineage): Violation[] {
  const { position, reason } = presented;
  if (lineage.isAmbiguous(position)) return [];
  const isHeld = lineage.holds(position);
  if (isHeld ? reason === undefined : reason === 'TOKEN_HISTORY_LOST') return [];
  const told = reason ?? 'an answer';
  const detail = isHeld
    ? `a token that is held got ${told}`
    : `the token of a lost tail got ${told}`;
  return [{ rule: 'a lost tail is told', detail, lines: [presented, lineage.timelines] }];
}
