/**
 * Retention: whole partitions leave in a session of the schema's owner, rows of the one that the
 * time is within in batches. Each removal is in the audit trail before it begins, and nothing that
 * a running export needs goes unless that is forced.
 */

import type { MessageInitShape } from '@bufbuild/protobuf';
import type {
  ApplyRetentionResponseSchema,
  RetentionStepSchema,
} from '../../gen/stowage/v1/audit_retention_pb.js';
import type { JsonMap } from '../lib/canonical-json.js';
import { withHeartbeats } from '../lib/heartbeats.js';
import { type TimestampValue, toIsoMicros } from '../lib/timestamp.js';
import type { Call } from '../postgres/call.js';
import {
  exportInProgress,
  type LeavingPartition,
  RetentionSession,
} from '../postgres/retention-session.js';
import { auditOperation } from './audit-operation.js';
import type { DeletedRow, PartitionedSource, RetainedRow } from './partitions.sql.js';
import * as statements from './partitions.sql.js';
import type { AdminStore } from './store.js';

/** A batch or a row of the audit trail takes moments; a caller of a stream has no deadline. */
const COMMIT_TIMEOUT_MS = 15_000;

/** What to keep. */
export interface RetentionOrder {
  readonly source: PartitionedSource;
  /** Whole days before today (UTC). */
  readonly retentionDays: number;
  readonly dryRun: boolean;
  /** Exports that need what goes fail. */
  readonly force: boolean;
}

type Response = MessageInitShape<typeof ApplyRetentionResponseSchema>;
type Step = Omit<MessageInitShape<typeof RetentionStepSchema>, '$typeName'>;

/** What is to be done, and what it came to so far. */
interface Retention {
  readonly store: AdminStore;
  readonly call: Call;
  readonly order: RetentionOrder;
  readonly before: TimestampValue;
  readonly leaving: readonly RetainedRow[];
  /** The one that the time is within; undefined: it is between two. */
  readonly cut: RetainedRow | undefined;
  readonly summary: {
    partitionsDropped: number;
    rowsDropped: bigint;
    rowsDeleted: bigint;
    bytesDropped: bigint;
  };
}

/**
 * Removes what is older, a step a message, and heartbeats without a step meanwhile; the summary
 * comes last. Ends between two steps where the call does.
 * @throws StowageError EXPORT_IN_PROGRESS, MAINTENANCE_RUNNING, MAINTENANCE_UNAVAILABLE,
 *   NO_PRIMARY, OVERLOADED where an old transaction keeps a partition.
 */
export function applyRetention(
  store: AdminStore,
  call: Call,
  order: RetentionOrder,
): AsyncGenerator<Response, void, undefined> {
  const messages = order.dryRun ? tell(store, call, order) : remove(store, call, order);
  return withHeartbeats(messages, store.heartbeatMs, () => ({}));
}

/** What would go, as it is now; running exports are not asked. */
async function* tell(
  store: AdminStore,
  call: Call,
  order: RetentionOrder,
): AsyncGenerator<Response, void, undefined> {
  const retention = await plan(store, call, order);
  for (const row of retention.leaving) yield { step: dropped(retention, row) };
  const { cut, before } = retention;
  if (cut !== undefined) {
    const count = statements.countBefore[order.source];
    const [counted] = await store.router.run(count, [cut.range_start, before], call);
    yield { step: deleted(retention, cut, counted?.rows ?? 0n) };
  }
  yield { summary: summaryOf(retention) };
}

async function* remove(
  store: AdminStore,
  call: Call,
  order: RetentionOrder,
): AsyncGenerator<Response, void, undefined> {
  const { signal, requestId: id } = call;
  const login = store.maintenance.ownerLogin();
  const session = await RetentionSession.open(login, { id, source: order.source, signal });
  try {
    const retention = await plan(store, call, order);
    if (!order.force) await refuseForExports(retention);
    for (const row of retention.leaving) {
      signal.throwIfAborted();
      yield { step: await drop(session, retention, row) };
    }
    signal.throwIfAborted();
    if (retention.cut !== undefined) yield* cutRows(session, retention, retention.cut);
    const summary = summaryOf(retention);
    const { rowsDropped, rowsDeleted, bytesDropped, partitionsDropped } = summary;
    await trace(retention, 'APPLY_RETENTION', {
      retention_days: order.retentionDays,
      before: toIsoMicros(retention.before),
      force: order.force,
      partitions_dropped: partitionsDropped,
      rows_dropped: Number(rowsDropped),
      rows_deleted: Number(rowsDeleted),
      bytes_dropped: Number(bytesDropped),
    });
    yield { summary };
  } finally {
    await session.close();
  }
}

async function plan(store: AdminStore, call: Call, order: RetentionOrder): Promise<Retention> {
  const { router } = store;
  const [boundary] = await router.run(statements.retentionBoundary, [order.retentionDays], call);
  const before = boundary?.before ?? { seconds: 0n, nanos: 0 };
  const rows = await router.run(statements.planRetention, [order.source, before], call);
  return {
    ...{ store, call, order, before },
    leaving: rows.filter(({ leaves }) => leaves),
    cut: rows.find(({ leaves }) => !leaves),
    summary: { partitionsDropped: 0, rowsDropped: 0n, rowsDeleted: 0n, bytesDropped: 0n },
  };
}

/** Before anything goes; each removal asks again, under a lock. */
async function refuseForExports({ store, call, order, before, leaving, cut }: Retention) {
  const params = [order.source, before];
  const leases = await store.router.run(statements.neededByExports, params, call);
  for (const { partition, range_start, range_end, state } of [...leaving, ...(cut ? [cut] : [])]) {
    // What an earlier retention has taken out is no longer to be had.
    if (state !== 'attached') continue;
    const ends = isBefore(range_end, before) ? range_end : before;
    const lease = leases.find(
      (each) => isBefore(each.range_start, ends) && isBefore(range_start, each.range_end),
    );
    if (lease !== undefined) throw exportInProgress(partition, toDate(lease.expires_at));
  }
}

async function drop(
  session: RetentionSession,
  retention: Retention,
  row: RetainedRow,
): Promise<Step> {
  const { partition, size_bytes, rows_estimated } = row;
  const leaving = leavingPartition(row);
  // One that is out already was noted, and no export can be told anything new.
  if (row.state === 'attached') await session.noteDrop(leaving, retention.order.force);
  try {
    const facts = { partition, rows: Number(rows_estimated), bytes: Number(size_bytes) };
    await trace(retention, 'DROP_PARTITION', facts);
  } catch (error) {
    await session.takeBack(leaving).catch(() => undefined);
    throw error;
  }
  await session.drop(leaving);
  return dropped(retention, row);
}

async function* cutRows(
  session: RetentionSession,
  retention: Retention,
  row: RetainedRow,
): AsyncGenerator<Response, void, undefined> {
  const { call, order } = retention;
  const { partition } = row;
  const before = toIsoMicros(retention.before);
  await session.noteDeletion(leavingPartition(row), before, order.force);
  await trace(retention, 'DELETE_ROWS', { partition, before });
  let place: string | null = null;
  do {
    call.signal.throwIfAborted();
    const batch = await deleteBatch(retention, partition, place);
    if (batch.deleted > 0n) yield { step: deleted(retention, row, batch.deleted) };
    place = batch.next_place;
  } while (place !== null);
}

async function deleteBatch(
  { store, call, order }: Retention,
  partition: string,
  place: string | null,
): Promise<Pick<DeletedRow, 'deleted' | 'next_place'>> {
  const { value } = await store.router.transaction(bounded(call), async (transaction) => {
    const [batch] = await transaction.run(statements.deleteRows, [partition, place, order.force]);
    return batch;
  });
  const until = value?.needed_until ?? null;
  if (until !== null) throw exportInProgress(partition, toDate(until));
  return value ?? { deleted: 0n, next_place: null };
}

function dropped({ summary }: Retention, row: RetainedRow): Step {
  const { partition, rows_estimated: rows, size_bytes: bytes } = row;
  summary.partitionsDropped += 1;
  summary.rowsDropped += rows;
  summary.bytesDropped += bytes;
  return { partition, dropped: true, rows, bytes };
}

function deleted({ summary }: Retention, { partition }: RetainedRow, rows: bigint): Step {
  summary.rowsDeleted += rows;
  return { partition, dropped: false, rows };
}

function summaryOf({ summary, before, order }: Retention) {
  return { ...summary, before, dryRun: order.dryRun };
}

async function trace(
  { store, call, order }: Retention,
  action: string,
  facts: JsonMap,
): Promise<void> {
  await auditOperation(store, bounded(call), action, { source: order.source, ...facts });
}

const bounded = (call: Call): Call => ({
  ...call,
  deadlineMs: Math.min(call.deadlineMs, performance.now() + COMMIT_TIMEOUT_MS),
});

function leavingPartition(row: RetainedRow): LeavingPartition {
  const { oid, partition: name, range_start, range_end, state } = row;
  return { oid, name, starts: toIsoMicros(range_start), ends: toIsoMicros(range_end), state };
}

const isBefore = (one: TimestampValue, other: TimestampValue): boolean =>
  one.seconds === other.seconds ? one.nanos < other.nanos : one.seconds < other.seconds;

const toDate = (time: TimestampValue): Date =>
  new Date(Number(time.seconds) * 1000 + time.nanos / 1e6);
