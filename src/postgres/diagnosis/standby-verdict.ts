/** How a standby follows its primary. */

import { type NodeFacts, timestampMs } from './facts.js';
import { bytesText, type Finding, fail, ok, skipped, warn } from './finding.js';

/** What is compared: the primary's position first, then, later, how far the standby has come. */
export interface Following {
  /** Flushed by the primary; undefined where no single primary answered. */
  readonly primaryLsn: bigint | undefined;
  /** Replayed by the standby, asked after the primary. */
  readonly replayedLsn: bigint | undefined;
  readonly replication: NodeFacts['replication'];
  /** The standby's time of the last question. */
  readonly nowMs: number;
}

/** Behind by more than this is told: reads that ask for freshness go to the primary then. */
const LAG_BYTES_MAX = 64 * 1024 * 1024;
const LAG_MS_MAX = 10_000;

/** The check `replay`. */
export function replayVerdict(following: Following): Finding {
  const { primaryLsn, replayedLsn, replication, nowMs } = following;
  if (replication.pause_state !== null && replication.pause_state !== 'not paused') {
    return fail(
      'replay',
      'replay is paused: the standby falls behind more and more',
      'Let it go on, on this standby:',
      'select pg_wal_replay_resume();',
    );
  }
  if (primaryLsn === undefined) {
    return skipped('replay', 'no primary answered, so that there is nothing to compare with');
  }
  const behindBytes = replayedLsn === undefined ? primaryLsn : primaryLsn - replayedLsn;
  const behind = bytesText(Number(behindBytes > 0n ? behindBytes : 0n));
  if (replication.receivers === 0) {
    return fail(
      'replay',
      `the standby is ${behind} behind and receives nothing from a primary`,
      'Its log tells why. See whom it follows, and that a role with REPLICATION may log in there:',
      'show primary_conninfo;',
    );
  }
  if (behindBytes <= 0n) return ok('replay', 'the standby has all that the primary has');
  const { replayed_at: replayedAt } = replication;
  const behindMs = replayedAt === null ? undefined : Math.max(0, nowMs - timestampMs(replayedAt));
  const seen =
    `the standby is ${behind} behind` +
    (behindMs === undefined
      ? ''
      : `, its last transaction is ${(behindMs / 1000).toFixed(1)} s old`);
  if (behindBytes <= BigInt(LAG_BYTES_MAX) && (behindMs ?? 0) <= LAG_MS_MAX) {
    return ok('replay', seen);
  }
  return warn(
    'replay',
    seen,
    'Reads that must be fresh go to the primary. A long query may hold replay, or the network or ' +
      'the disk is too slow. This shows the queries, on this standby:',
    "select pid, now() - query_start as runs, query from pg_stat_activity where state = 'active';",
  );
}
