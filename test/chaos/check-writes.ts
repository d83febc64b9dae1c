/**
 * No acknowledged write is lost, and none is applied twice: the histories of the callers against
 * the tables. Pure.
 */

import type { Result, Round, Violation, WriteRecord } from './history.js';
import type { KnownState, KnownWrites } from './known-writes.js';

/** Two probe intervals: from then on every server knows of a promotion. */
export const KNOWN_AFTER_MS = 1_000;

/** What is wrong with the writes of a round. */
export function checkWrites(round: Round, known: KnownWrites): Violation[] {
  return [
    ...[...known.states.values()].flatMap((states) => checkKey(states)),
    ...known.writes.flatMap((write) => [
      ...checkAcked(write, known),
      ...checkAnswers(write, known),
      ...checkFormerPrimary(write, round),
    ]),
    ...checkTables(round, known),
  ];
}

/** One key's changes: revisions from 1 without a gap, each by a write that was sent for it. */
function checkKey(states: readonly KnownState[]): Violation[] {
  const made = new Set<WriteRecord>();
  return states.flatMap(({ row, write }, at) => {
    const wrong = (rule: string, detail: string): Violation[] => [
      { rule, detail, lines: [row, ...(write === undefined ? [] : [write])] },
    ];
    if (row.revision !== at + 1) {
      return wrong('a change raises the revision by one', `${at + 1} was due`);
    }
    if (write === undefined || !write.keys.includes(row.key)) {
      return wrong('every change was asked for', 'no write of this round made it');
    }
    if (write.outcome === 'refused' || write.outcome === 'rejected') {
      return wrong('what was refused is not done', `the caller was told: ${write.outcome}`);
    }
    if (made.has(write)) {
      return wrong('no write is applied twice', 'the feed has its change of the key again');
    }
    made.add(write);
    return [];
  });
}

/** An acknowledged change is there, unless its tail is lost. */
function checkAcked(write: WriteRecord, known: KnownWrites): Violation[] {
  if (!known.hasSurvived(write)) return [];
  const results = write.answers[0] ?? [];
  return results.flatMap(({ key, revision, isChanged }) => {
    const found = known.states.get(key)?.find((state) => state.write === write);
    if (isChanged ? found?.row.revision === revision : found === undefined) return [];
    const there = found === undefined ? 'nothing' : `revision ${found.row.revision}`;
    const detail = `revision ${revision} of ${key} was acknowledged, the feed has ${there}`;
    return [{ rule: 'no acknowledged write is lost', detail, lines: [write] }];
  });
}

/** The same request has the same answer, and a precondition holds. */
function checkAnswers(write: WriteRecord, known: KnownWrites): Violation[] {
  const [first, ...others] = write.answers;
  if (first === undefined) return [];
  const { ifRevision } = write;
  if (ifRevision !== undefined && first[0]?.revision !== ifRevision + 1) {
    return [{ rule: 'a precondition holds', detail: `if_revision ${ifRevision}`, lines: [write] }];
  }
  // Of a write whose tail is lost the repeat was done anew.
  if (!known.hasSurvived(write) || others.every((answer) => isSame(first, answer))) return [];
  return [{ rule: 'a repeat is answered alike', detail: 'the answers differ', lines: [write] }];
}

function isSame(a: readonly Result[], b: readonly Result[]): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** Whoever was promoted past takes no writes once that can be known. */
function checkFormerPrimary(write: WriteRecord, { promotions }: Round): Violation[] {
  const { position, startMs } = write;
  if (position === undefined) return [];
  const passed = promotions.find(
    ({ timeline, promotedMs }) =>
      position.timeline < timeline && startMs > promotedMs + KNOWN_AFTER_MS,
  );
  if (passed === undefined) return [];
  return [
    { rule: 'a former primary takes no writes', detail: 'acknowledged', lines: [write, passed] },
  ];
}

/** The tables tell one story. */
function checkTables({ final }: Round, known: KnownWrites): Violation[] {
  const violations: Violation[] = [];
  for (const row of final.rows) {
    const last = known.states.get(row.key)?.at(-1)?.seen;
    if (last?.revision === row.revision && last.tag === row.tag && last.isLive === row.isLive) {
      continue;
    }
    violations.push({ rule: 'the row is what the feed says', detail: row.key, lines: [row, last] });
  }
  if (final.rows.length !== known.states.size) {
    const detail = `${final.rows.length} rows, changes of ${known.states.size} keys`;
    violations.push({ rule: 'the row is what the feed says', detail, lines: [] });
  }
  for (const requestId of final.requestIds) {
    const write = known.withRequestId(requestId);
    if (write !== undefined && write.outcome !== 'refused') continue;
    const detail = write === undefined ? 'nobody sent it' : 'its caller was refused';
    violations.push({ rule: 'a claim is a request', detail, lines: [requestId, write] });
  }
  if (final.audited !== final.feed.length) {
    const detail = `${final.audited} audited, ${final.feed.length} changes`;
    violations.push({ rule: 'each change is audited once', detail, lines: [] });
  }
  return violations;
}
