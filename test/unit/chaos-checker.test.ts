/** The checker of the chaos runs on histories that were written by hand: sound ones and broken. */

import { describe, expect, it } from 'vitest';
import { checkRound } from '../chaos/checker.js';
import type {
  Demand,
  FeedRow,
  FinalState,
  HistoryRecord,
  Position,
  Presented,
  Promotion,
  ReadRecord,
  Seen,
  Timeline,
  WriteRecord,
} from '../chaos/history.js';

const at = (lsn: bigint, timeline = 1): Position => ({ timeline, lsn });

/** A write of the key `k` that was acknowledged at revision 1, from 10 to 20 ms. */
function wrote(tag: string, changes: Partial<WriteRecord> & { revision?: number } = {}) {
  const { revision = 1, ...rest } = changes;
  const keys = rest.keys ?? ['k'];
  return {
    ...{ kind: 'write', op: 'record', tag, requestId: `id ${tag}`, keys, startMs: 10, endMs: 20 },
    ...{ outcome: 'acked', position: at(100n), ifRevision: undefined },
    answers: [keys.map((key) => ({ key, revision, isChanged: true }))],
    ...rest,
  } as const satisfies WriteRecord;
}

/** A read of the key `k`, from 30 to 40 ms. */
function read(demand: Demand, seen: readonly Seen[], changes: Partial<ReadRecord> = {}) {
  return {
    ...{ kind: 'read', op: 'get', demand, startMs: 30, endMs: 40, seen, covers: ['k'] },
    ...{ showsDeleted: true, position: undefined, servedBy: 'a' },
    ...changes,
  } as const satisfies ReadRecord;
}

const state = (tag: string, revision: number, changes: Partial<Seen> = {}): Seen => ({
  ...{ key: 'k', tag, revision, isLive: true },
  ...changes,
});

const fed = (tag: string, revision: number, changes: Partial<FeedRow> = {}): FeedRow => ({
  ...{ key: 'k', revision, requestId: `id ${tag}`, tag, kind: 'object.updated' },
  ...changes,
});

interface Past {
  readonly records: readonly HistoryRecord[];
  readonly feed: readonly FeedRow[];
  readonly rows?: readonly Seen[];
  readonly requestIds?: readonly string[];
  readonly audited?: number;
  readonly timelines?: readonly Timeline[];
  readonly recorded?: readonly Timeline[];
  readonly promotions?: readonly Promotion[];
  readonly presented?: readonly Presented[];
}

/** The rules that a round breaks; its rows are what the feed ends with. */
function broken({ records, feed, promotions = [], presented = [], ...past }: Past): string[] {
  const last = new Map(feed.map((row) => [row.key, row]));
  const final: FinalState = {
    timelines: [{ timeline: 1, switchLsn: 0n }],
    rows: [...last.values()].map(({ key, revision, tag, kind }) =>
      state(tag, revision, { key, isLive: kind !== 'object.deleted' }),
    ),
    feed,
    requestIds: feed.flatMap(({ requestId }) => requestId ?? []),
    audited: feed.length,
    recorded: past.timelines ?? [{ timeline: 1, switchLsn: 0n }],
    ...past,
  };
  const { violations } = checkRound({ records, promotions, presented, final });
  return [...new Set(violations.map(({ rule }) => rule))];
}

/** Timeline 2 left timeline 1 at 150; the primary was lost at 25 ms, and followed at 28. */
const failedOver = {
  timelines: [
    { timeline: 1, switchLsn: 0n },
    { timeline: 2, switchLsn: 150n },
  ],
  promotions: [{ timeline: 2, lostMs: 25, promotedMs: 28 }],
};

describe('writes', () => {
  it('pass where each is there once', () => {
    const records = [wrote('a'), wrote('b', { revision: 2 })];
    expect(broken({ records, feed: [fed('a', 1), fed('b', 2)] })).toEqual([]);
  });

  it('must not be lost once they were acknowledged', () => {
    expect(broken({ records: [wrote('a')], feed: [] })).toEqual(['no acknowledged write is lost']);
  });

  it('may be lost with a tail that a failover cut off', () => {
    const lost = wrote('a', { position: at(160n) });
    expect(broken({ records: [lost], feed: [], ...failedOver })).toEqual([]);
    const kept = wrote('a', { position: at(150n) });
    expect(broken({ records: [kept], feed: [], ...failedOver })).toEqual([
      'no acknowledged write is lost',
    ]);
  });

  it('must not be applied twice', () => {
    const records = [wrote('a')];
    expect(broken({ records, feed: [fed('a', 1), fed('a', 2)] })).toContain(
      'no write is applied twice',
    );
  });

  it('raise the revision by one, each of them', () => {
    const records = [wrote('a'), wrote('b', { revision: 3 })];
    expect(broken({ records, feed: [fed('a', 1), fed('b', 3)] })).toEqual([
      'a change raises the revision by one',
    ]);
  });

  it('must have been asked for', () => {
    const records = [wrote('a')];
    const feed = [fed('a', 1), fed('b', 2)];
    expect(broken({ records, feed, requestIds: ['id a'] })).toEqual(['every change was asked for']);
    expect(broken({ records, feed: [fed('a', 1)], requestIds: ['id a', 'id b'] })).toEqual([
      'a claim is a request',
    ]);
  });

  it('must not be done where they were refused, and may be where nobody can tell', () => {
    const refused = { outcome: 'refused', answers: [], position: undefined } as const;
    expect(broken({ records: [wrote('a', refused)], feed: [fed('a', 1)] })).toContain(
      'what was refused is not done',
    );
    const unknown = wrote('a', { ...refused, outcome: 'unknown' });
    expect(broken({ records: [unknown], feed: [fed('a', 1)] })).toEqual([]);
    expect(broken({ records: [unknown], feed: [] })).toEqual([]);
  });

  it('are told by their owner where they have no request id', () => {
    const records = [wrote('a', { requestId: undefined })];
    expect(broken({ records, feed: [fed('a', 1, { requestId: undefined })] })).toEqual([]);
  });

  it('are answered alike when they are repeated', () => {
    const answer = (revision: number) => [{ key: 'k', revision, isChanged: true }];
    const records = [wrote('a', { answers: [answer(1), answer(2)] })];
    expect(broken({ records, feed: [fed('a', 1)] })).toEqual(['a repeat is answered alike']);
  });

  it('hold their precondition', () => {
    const records = [wrote('a'), wrote('b', { revision: 2, ifRevision: 0 })];
    const feed = [fed('a', 1), fed('b', 2)];
    expect(broken({ records, feed })).toEqual(['a precondition holds']);
  });

  it('are not taken by a former primary', () => {
    const late = wrote('a', { startMs: 1_100, endMs: 1_200, position: at(160n) });
    expect(broken({ records: [late], feed: [], ...failedOver })).toEqual([
      'a former primary takes no writes',
    ]);
  });

  it('leave rows, feed and audit trail that tell one story', () => {
    const records = [wrote('a')];
    const feed = [fed('a', 1)];
    const rule = 'the row is what the feed says';
    expect(broken({ records, feed, rows: [state('a', 2)] })).toEqual([rule]);
    expect(broken({ records, feed, rows: [] })).toEqual([rule]);
    expect(broken({ records, feed, audited: 2 })).toEqual(['each change is audited once']);
  });
});

describe('reads', () => {
  const records = [wrote('a'), wrote('b', { revision: 2, position: at(200n), endMs: 29 })];
  const feed = [fed('a', 1), fed('b', 2)];
  const older = (kind: string) => [`no read is older than it demands (${kind})`];

  it('that are strong see all that was acknowledged before', () => {
    const strong = (seen: readonly Seen[], changes: Partial<ReadRecord> = {}) =>
      broken({ records: [...records, read({ kind: 'strong' }, seen, changes)], feed });
    expect(strong([state('b', 2)])).toEqual([]);
    expect(strong([state('a', 1)])).toEqual(older('strong'));
    expect(strong([])).toEqual(older('strong'));
    expect(strong([state('a', 1)], { startMs: 25 })).toEqual([]);
  });

  it('with a token see what it covers', () => {
    const atLeast = (lsn: bigint, seen: readonly Seen[]) =>
      broken({
        records: [...records, read({ kind: 'at_least', position: at(lsn) }, seen)],
        feed,
      });
    expect(atLeast(199n, [state('a', 1)])).toEqual([]);
    expect(atLeast(200n, [state('b', 2)])).toEqual([]);
    expect(atLeast(200n, [state('a', 1)])).toEqual(older('at_least'));
    expect(atLeast(99n, [])).toEqual([]);
  });

  it('with the token of a read do not go back behind it', () => {
    const before = read({ kind: 'eventual' }, [state('b', 2)], { position: at(300n) });
    const after = read({ kind: 'at_least', position: at(300n) }, [state('a', 1)]);
    const unknown = wrote('b', { outcome: 'unknown', answers: [], position: undefined });
    expect(broken({ records: [wrote('a'), unknown, before, after], feed })).toEqual(
      older('at_least'),
    );
  });

  it('with a token of a former timeline see what was kept of it', () => {
    const kept = wrote('a', { position: at(140n) });
    const token = { kind: 'at_least', position: at(160n, 2) } as const;
    const past = { feed: [fed('a', 1)], ...failedOver };
    expect(broken({ records: [kept, read(token, [])], ...past })).toEqual(older('at_least'));
    expect(broken({ records: [kept, read(token, [state('a', 1)])], ...past })).toEqual([]);
  });

  it('with a token of a standby shortly behind a switch are judged by what is sure', () => {
    const lost = wrote('a', { position: at(155n) });
    const replayed = { ...at(160n), isReplayed: true };
    const token = { kind: 'at_least', position: replayed } as const;
    const shown = read(token, [], { position: at(170n, 2) });
    const presented = [{ position: replayed, reason: undefined }];
    expect(broken({ records: [lost, shown], feed: [], presented, ...failedOver })).toEqual([]);
  });

  it('are no staler than they allow', () => {
    const stale = (stalenessMs: number) =>
      broken({
        records: [...records, read({ kind: 'max_staleness', stalenessMs }, [state('a', 1)])],
        feed,
      });
    expect(stale(2)).toEqual([]);
    expect(stale(1)).toEqual(older('max_staleness'));
  });

  it('miss no key that lives, and may miss one that was deleted', () => {
    const strong = read({ kind: 'strong' }, [], { showsDeleted: false });
    const gone = wrote('b', { op: 'delete', revision: 2, position: at(200n) });
    const deletion = fed('b', 2, { tag: 'a', kind: 'object.deleted' });
    expect(broken({ records: [...records, strong], feed })).toEqual(older('strong'));
    const deleted = { records: [wrote('a'), gone, strong], feed: [fed('a', 1), deletion] };
    expect(broken(deleted)).toEqual([]);
    const shows = { ...strong, showsDeleted: true };
    expect(broken({ ...deleted, records: [wrote('a'), gone, shows] })).toEqual(older('strong'));
  });

  it('show what was written, and each key once', () => {
    const eventual = (seen: readonly Seen[]) =>
      broken({ records: [...records, read({ kind: 'eventual' }, seen)], feed });
    expect(eventual([state('a', 1)])).toEqual([]);
    expect(eventual([state('c', 1)])).toEqual(['a state was written']);
    expect(eventual([state('a', 2)])).toEqual(['a read is of the present history']);
    expect(eventual([state('a', 1), state('a', 1)])).toEqual(['each key is given once']);
  });

  it('show a lost tail only until the failover is known', () => {
    const lost = wrote('c', { revision: 2, position: at(170n) });
    const shown = (startMs: number) => {
      const seen = [state('c', 2)];
      const late = read({ kind: 'eventual' }, seen, { startMs, endMs: startMs + 1 });
      return broken({ records: [wrote('a'), lost, late], feed: [fed('a', 1)], ...failedOver });
    };
    expect(shown(27)).toEqual([]);
    expect(shown(1_100)).toEqual(['a read is of the present history']);
  });

  it('see a batch whole where they see one state', () => {
    const batch = wrote('b', { op: 'batch', keys: ['k', 'l'] });
    const both = [fed('b', 1), fed('b', 1, { key: 'l' })];
    const half = read({ kind: 'eventual' }, [state('b', 1)], { covers: ['k', 'l'] });
    const whole = { ...half, op: 'batchGet' };
    expect(broken({ records: [batch, half], feed: both })).toEqual([]);
    expect(broken({ records: [batch, whole], feed: both })).toEqual(['a commit is seen whole']);
  });
});

describe('a lost tail', () => {
  const records = [wrote('a', { position: at(160n) })];
  const rule = 'a lost tail is told';

  it('is told to who presents its token', () => {
    const told = (lsn: bigint, reason: string | undefined) =>
      broken({ records, feed: [], presented: [{ position: at(lsn), reason }], ...failedOver });
    expect(told(160n, 'TOKEN_HISTORY_LOST')).toEqual([]);
    expect(told(160n, undefined)).toEqual([rule]);
    expect(told(150n, undefined)).toEqual([]);
    expect(told(150n, 'TOKEN_HISTORY_LOST')).toEqual([rule]);
  });

  it('is not passed over by the history that lost it', () => {
    const demand = { kind: 'at_least', position: at(160n) } as const;
    const answered = (timeline: number) =>
      broken({
        records: [...records, read(demand, [state('a', 1)], { position: at(170n, timeline) })],
        feed: [],
        ...failedOver,
      });
    expect(answered(1)).toEqual([]);
    expect(answered(2)).toEqual([rule]);
  });
});

it('a timeline must be recorded where PostgreSQL has it', () => {
  const rule = 'each timeline is recorded with its switch point';
  const recorded = [
    { timeline: 1, switchLsn: 0n },
    { timeline: 2, switchLsn: 151n },
  ];
  expect(broken({ records: [], feed: [], ...failedOver, recorded })).toEqual([rule]);
  expect(broken({ records: [], feed: [], ...failedOver, recorded: [] })).toEqual([rule]);
});

it('a finding of the run itself is a violation', () => {
  const finding = { kind: 'finding', rule: 'no lease is leaked', detail: '', atMs: 1 } as const;
  expect(broken({ records: [finding], feed: [] })).toEqual(['no lease is leaked']);
});
