/** What a person should look at on one node: by what the router knows and by what it told. Pure. */

import type {
  AutovacuumHealth,
  ConnectionHealth,
  NodeHealth,
  WalHealth,
} from '../../../gen/stowage/v1/health_pb.js';
import type { TimestampValue } from '../../lib/timestamp.js';
import type { NodeSnapshot } from '../../postgres/router-handle.js';
import { type Finding, type FindingCode, finding } from './findings.js';
import type { Reads } from './recent-reads.js';

/** Of the connections there are, how many may be in use before a finding. */
const FULL_SHARE = 0.9;

/** A short line is what a bounded pool is made for: what counts is that it hardly moves. */
const WAITED_MAX_MS = 500;

const IDLE_IN_TRANSACTION_MAX_MS = 5 * 60_000;

/** So that a database that is hardly read is not judged. */
const BLOCKS_MIN = 1_000_000n;
const CACHE_HIT_RATIO_MIN = 0.9;

const GIBIBYTE = 1024n ** 3n;
const SLOT_BYTES_MAX = 10n * GIBIBYTE;

/** Half of what there are. */
const TRANSACTION_AGE_MAX = 1_000_000_000n;

/** What of it is found without asking the node. */
export function knownFindings(node: NodeSnapshot): Finding[] {
  const { name, state, fence, lagMs, lagBytes, pools } = node;
  const findings: Finding[] = [];
  const found = (code: FindingCode, seen: string) => findings.push(finding(code, name, seen));
  if (state === 'unreachable') found('NODE_UNREACHABLE', `${name} does not answer`);
  if (state === 'fenced') found('NODE_FENCED', `${name} is fenced (${fence})`);
  if (state === 'lagging') {
    const bytes = lagBytes === undefined ? '' : ` and ${lagBytes} bytes`;
    const lag = lagMs === undefined ? 'too far' : `${wholeSeconds(lagMs)} s${bytes}`;
    found('REPLICATION_LAGGING', `${name} is ${lag} behind`);
  }
  // No call waits for the third one, where a look may well stand behind another.
  for (const kind of ['unary', 'streams'] as const) {
    const pool = pools[kind];
    if (pool.waitedMs < WAITED_MAX_MS) continue;
    const what = `one of the ${pool.sizeMax} connections of its pool ${kind}`;
    const seen = `${pool.waiting} calls for ${name} wait for ${what}`;
    found('POOL_EXHAUSTED', `${seen}, the first of them for ${Math.round(pool.waitedMs)} ms`);
  }
  return findings;
}

/** What of it is found in what the node told, and in what it has read of late. */
export function toldFindings(node: NodeSnapshot, told: NodeHealth, reads?: Reads): Finding[] {
  const { connections, wal, receiver, autovacuum } = told;
  const findings: Finding[] = [];
  const found = (code: FindingCode, seen: string) => findings.push(finding(code, node.name, seen));
  if (connections !== undefined) judgeConnections(connections, found);
  if (reads !== undefined) judgeReads(reads, found);
  if (wal !== undefined) judgeWal(wal, node.state === 'primary', found);
  if (receiver?.replayPaused) found('REPLAY_PAUSED', 'The replay is paused');
  if (autovacuum !== undefined) judgeAutovacuum(autovacuum, found);
  return findings;
}

type Found = (code: FindingCode, seen: string) => void;

function judgeConnections(
  { total, max, reserved, idleInTransaction, idleInTransactionMs = 0 }: ConnectionHealth,
  found: Found,
): void {
  const available = max - reserved;
  if (total >= available * FULL_SHARE) {
    found('CONNECTIONS_NEARLY_USED', `${total} of ${available} connections are in use`);
  }
  if (idleInTransactionMs >= IDLE_IN_TRANSACTION_MAX_MS) {
    const longest = `the longest for ${wholeSeconds(idleInTransactionMs)} s`;
    found(
      'IDLE_IN_TRANSACTION',
      `${idleInTransaction} sessions wait for their clients inside transactions, ${longest}`,
    );
  }
}

function judgeReads({ hit, read }: Reads, found: Found): void {
  const blocks = hit + read;
  if (blocks < BLOCKS_MIN) return;
  const ratio = Number(hit) / Number(blocks);
  if (ratio > CACHE_HIT_RATIO_MIN) return;
  const share = `${Math.round(ratio * 100)} % of the blocks of the last minutes`;
  found('LOW_CACHE_HIT', `Only ${share} were read from PostgreSQL's own memory`);
}

/** Slots wait on standbys for the day of their promotion; only the primary's must be read from. */
function judgeWal(wal: WalHealth, isPrimary: boolean, found: Found): void {
  const { slotsRetainedBytes = 0n, slot, inactiveSlots } = wal;
  if (slotsRetainedBytes >= SLOT_BYTES_MAX) {
    const gibibytes = slotsRetainedBytes / GIBIBYTE;
    found('SLOT_RETAINS_MUCH', `The slot ${slot} keeps ${gibibytes} GiB of the log`);
  }
  if (isPrimary && inactiveSlots > 0) {
    found('SLOT_INACTIVE', `Nobody reads from ${inactiveSlots} replication slots`);
  }
  const { archiving, archiveFailures, archiveFailedAt, archivedAt, missingSynchronous } = wal;
  if (missingSynchronous > 0) {
    found('COMMITS_HELD', `Commits wait for standbys of which ${missingSynchronous} are missing`);
  }
  if (archiving && archiveFailedAt !== undefined && !isAfter(archivedAt, archiveFailedAt)) {
    found('ARCHIVE_FAILING', `Archiving has failed ${archiveFailures} times, the last time too`);
  }
}

function judgeAutovacuum(
  { enabled, tablesOverdue, deadRows, oldestTransactionAge }: AutovacuumHealth,
  found: Found,
): void {
  if (!enabled) found('AUTOVACUUM_OFF', 'Autovacuum does not run');
  if (tablesOverdue > 0) {
    const rows = `of ${deadRows} dead rows in all`;
    found('AUTOVACUUM_BEHIND', `${tablesOverdue} tables have many times too many, ${rows}`);
  }
  if (oldestTransactionAge >= TRANSACTION_AGE_MAX) {
    found('TRANSACTION_ID_OLD', `The oldest transaction is ${oldestTransactionAge} back`);
  }
}

function isAfter(time: TimestampValue | undefined, other: TimestampValue): boolean {
  if (time === undefined) return false;
  return time.seconds === other.seconds ? time.nanos > other.nanos : time.seconds > other.seconds;
}

function wholeSeconds(ms: number): number {
  return Math.round(ms / 1000);
}
