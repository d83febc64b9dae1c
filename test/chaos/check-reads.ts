/**
 * No read is older than its freshness demands, shows what nobody wrote, or tells of one history
 * with the token of another. Streams are reads of every key. Pure.
 */

import { KNOWN_AFTER_MS } from './check-writes.js';
import type { HistoryRecord, ReadRecord, Round, Seen, Violation } from './history.js';
import type { KnownWrites } from './known-writes.js';
import type { Lineage } from './lineage.js';
import { Needs } from './needs.js';

/** What the reads of a round are judged by. */
interface Judge {
  readonly round: Round;
  readonly known: KnownWrites;
  readonly lineage: Lineage;
  readonly needs: Needs;
}

/** What is wrong with the reads of a round. */
export function checkReads(round: Round, known: KnownWrites, lineage: Lineage): Violation[] {
  const judge: Judge = { round, known, lineage, needs: new Needs(round, known, lineage) };
  return round.records.flatMap((record) =>
    record.kind === 'read' ? checkRead(record, judge) : [],
  );
}

function checkRead(read: ReadRecord, judge: Judge): Violation[] {
  const seen = new Map(read.seen.map((state) => [state.key, state]));
  const wrongs: Wrong[] = [...toldOfLoss(read, judge)];
  if (seen.size < read.seen.length) wrongs.push(['each key is given once', 'one came again']);
  for (const state of read.seen) wrongs.push(...checkState(state, read, judge));
  for (const key of read.covers) wrongs.push(...checkFresh(key, seen.get(key), read, judge));
  if (read.op === 'batchGet') wrongs.push(...checkWhole(seen, read, judge));
  return wrongs.slice(0, WRONGS_MAX).map(([rule, detail, source]) => ({
    rule,
    detail,
    lines: [shortened(read), ...(source === undefined ? [] : [shortened(source)])],
  }));
}

/** One read that went astray shows dozens of keys: the first ones tell enough. */
const WRONGS_MAX = 3;

/** A rule that is broken, how, and the other record that shows it. */
type Wrong = readonly [rule: string, detail: string, source?: HistoryRecord | undefined];

/** A line of the history without its many keys. */
function shortened(record: HistoryRecord): unknown {
  if (record.kind !== 'read') return record;
  const { seen, covers, ...rest } = record;
  return { ...rest, seen: `${seen.length} states`, covers: `${covers.length} keys` };
}

/** A token of a lost tail opens nothing of the history that went on without it. */
function toldOfLoss({ demand, position }: ReadRecord, { lineage }: Judge): Wrong[] {
  if (demand.kind !== 'at_least' || position === undefined) return [];
  if (position.timeline <= demand.position.timeline) return [];
  if (lineage.isAmbiguous(demand.position)) return [];
  if (lineage.isIn(demand.position, position.timeline)) return [];
  return [['a lost tail is told', 'the read was answered from the history that lost its token']];
}

/** What is seen was written, and is of a history that was the present one when it was asked. */
function checkState(state: Seen, read: ReadRecord, { known, round }: Judge): Wrong[] {
  const write = known.withTag(state.tag);
  const what = `${state.key || 'the project'} at ${state.revision} by "${state.tag}"`;
  if (write === undefined || !write.keys.includes(state.key)) {
    return [['a state was written', `${what}: nobody wrote it`]];
  }
  if (write.startMs > read.endMs) return [['a state was written', `${what}: only later`]];
  const present = known.stateAt(state.key, state.revision)?.seen;
  if (present?.tag === state.tag && present.isLive === state.isLive) return [];
  if (write.outcome === 'refused' || write.outcome === 'rejected') {
    return [['what was refused is not done', `${what}: its caller was told ${write.outcome}`]];
  }
  const isOfLostTail = round.promotions.some(
    ({ promotedMs }) => read.startMs < promotedMs + KNOWN_AFTER_MS,
  );
  if (isOfLostTail) return [];
  const instead = present === undefined ? 'no such revision' : `"${present.tag}"`;
  return [['a read is of the present history', `${what}: the history has ${instead}`]];
}

function checkFresh(key: string, seen: Seen | undefined, read: ReadRecord, judge: Judge): Wrong[] {
  const { revision: need, source } = judge.needs.of(read, key);
  const rule = `no read is older than it demands (${read.demand.kind})`;
  const what = `${key || 'the project'}: revision ${need} is due`;
  if (seen !== undefined) {
    return seen.revision >= need ? [] : [[rule, `${what}, ${seen.revision} was shown`, source]];
  }
  if (need === 0 || (!read.showsDeleted && mayBeGone(key, need, read, judge))) return [];
  return [[rule, `${what}, nothing was shown`, source]];
}

/** Whether the key was deleted at that revision or after, before the read was over. */
function mayBeGone(key: string, need: number, read: ReadRecord, { known }: Judge): boolean {
  const isInPresent = known.states
    .get(key)
    ?.some(
      ({ seen, write }) =>
        !seen.isLive && seen.revision >= need && (write?.startMs ?? 0) <= read.endMs,
    );
  if (isInPresent) return true;
  // Of deletions whose tail is lost, and of those nobody knows of, the revision is not known.
  return known.writes.some(
    (write) =>
      write.op === 'delete' &&
      write.keys.includes(key) &&
      write.startMs <= read.endMs &&
      (write.outcome === 'acked' || write.outcome === 'unknown') &&
      !known.hasSurvived(write) &&
      !known.states.get(key)?.some((state) => state.write === write),
  );
}

/** One statement sees a commit whole or not at all. */
function checkWhole(seen: ReadonlyMap<string, Seen>, read: ReadRecord, { known }: Judge): Wrong[] {
  for (const state of seen.values()) {
    const found = known.stateAt(state.key, state.revision);
    if (found?.write?.op !== 'batch' || found.seen.tag !== state.tag) continue;
    for (const key of found.write.keys.filter((each) => read.covers.includes(each))) {
      const made = known.states.get(key)?.find(({ write }) => write === found.write);
      if (made === undefined || (seen.get(key)?.revision ?? 0) >= made.row.revision) continue;
      const detail = `"${state.tag}" is in ${state.key} and not yet in ${key}`;
      return [['a commit is seen whole', detail]];
    }
  }
  return [];
}
