/**
 * Asks one node of itself: some short statements, one after the other on the one connection that no
 * call uses. What the service's role may not read is left out.
 */

import { create, type MessageInitShape } from '@bufbuild/protobuf';
import {
  type DatabaseActivitySchema,
  type NodeHealth,
  NodeHealthSchema,
  type WalHealthSchema,
} from '../../../gen/stowage/v1/health_pb.js';
import { StowageError } from '../../errors.js';
import { fromMillis } from '../../lib/timestamp.js';
import type { Call } from '../../postgres/call.js';
import { isServerError } from '../../postgres/driver.js';
import type { RouterHandle } from '../../postgres/router-handle.js';
import type { Statement } from '../../postgres/statement.js';
import * as statements from './node-health.sql.js';

type RowOf<S extends { readonly row?: unknown }> = NonNullable<S['row']>;

const NOT_PERMITTED = '42501';

/**
 * What the node tells of itself; `node`, which the router knows, is unset.
 * @throws StowageError as RouterHandle.inspect.
 */
export async function observeNode(
  cluster: Pick<RouterHandle, 'inspect'>,
  name: string,
  call: Call,
): Promise<NodeHealth> {
  const ask = <Row>(statement: Statement<Row>) =>
    cluster.inspect(name, statement, [], call).catch(notPermitted<Row>);
  const [sessions] = await ask(statements.readSessions);
  const [activity] = await ask(statements.readActivity);
  const [wal] = await ask(statements.readWal);
  const replicas = await ask(statements.readReplicas);
  const [receiver] = sessions?.in_recovery ? await ask(statements.readReceiver) : [];
  const [autovacuum] = sessions?.in_recovery ? [] : await ask(statements.readAutovacuum);
  return create(NodeHealthSchema, {
    observedAt: fromMillis(Date.now()),
    ...(sessions && sessionsOf(sessions)),
    ...(activity && { activity: activityOf(activity) }),
    ...(wal && { wal: walOf(wal) }),
    replicas: replicas.map(replicaOf),
    ...(receiver && { receiver: receiverOf(receiver) }),
    ...(autovacuum && { autovacuum: autovacuumOf(autovacuum) }),
  });
}

/** Administrators may have kept a view to themselves: the rest is told all the same. */
function notPermitted<Row>(error: unknown): Row[] {
  const cause = error instanceof StowageError ? error.cause : undefined;
  if (isServerError(cause) && cause.code === NOT_PERMITTED) return [];
  throw error;
}

function sessionsOf(row: RowOf<typeof statements.readSessions>) {
  const connections = {
    total: row.total,
    active: row.active,
    idle: row.idle,
    idleInTransaction: row.idle_in_transaction,
    waitingForLock: row.waiting_for_lock,
    hidden: row.hidden,
    max: row.max,
    reserved: row.reserved,
    ...known({ idleInTransactionMs: row.idle_in_transaction_ms }),
  };
  return { serverVersion: row.server_version, connections };
}

function activityOf(
  row: RowOf<typeof statements.readActivity>,
): MessageInitShape<typeof DatabaseActivitySchema> {
  const blocks = row.blocks_hit + row.blocks_read;
  return {
    ...(blocks > 0n ? { cacheHitRatio: Number(row.blocks_hit) / Number(blocks) } : {}),
    blocksHit: row.blocks_hit,
    blocksRead: row.blocks_read,
    committed: row.committed,
    rolledBack: row.rolled_back,
    deadlocks: row.deadlocks,
    conflicts: row.conflicts,
    temporaryBytes: row.temporary_bytes,
    sizeBytes: row.size_bytes,
    ...known({ resetAt: row.reset_at }),
  };
}

function walOf(row: RowOf<typeof statements.readWal>): MessageInitShape<typeof WalHealthSchema> {
  return {
    ...known({ lsn: row.lsn, slot: row.slot, slotsRetainedBytes: row.retained_bytes }),
    inactiveSlots: row.inactive_slots,
    archiving: row.archiving,
    archiveFailures: row.archive_failures,
    ...known({ archiveFailedAt: row.archive_failed_at, archivedAt: row.archived_at }),
    missingSynchronous: row.missing_synchronous,
  };
}

function replicaOf(row: RowOf<typeof statements.readReplicas>) {
  return {
    name: row.name,
    ...known({ address: row.address, state: row.state, syncState: row.sync_state }),
    ...known({ flushLagBytes: row.flush_lag_bytes, replayLagBytes: row.replay_lag_bytes }),
  };
}

function receiverOf(row: RowOf<typeof statements.readReceiver>) {
  return {
    receiving: row.receiving,
    ...known({ status: row.status, sender: row.sender }),
    replayPaused: row.replay_paused,
  };
}

function autovacuumOf(row: RowOf<typeof statements.readAutovacuum>) {
  return {
    enabled: row.enabled,
    workers: row.workers,
    workersMax: row.workers_max,
    tablesDue: row.tables_due,
    tablesOverdue: row.tables_overdue,
    deadRows: row.dead_rows,
    oldestTransactionAge: row.oldest_transaction_age,
  };
}

/** The fields without those that are null, which a message leaves unset. */
function known<T extends object>(fields: T): { [Key in keyof T]?: NonNullable<T[Key]> } {
  const present = Object.entries(fields).filter(([, value]) => value !== null);
  return Object.fromEntries(present) as { [Key in keyof T]?: NonNullable<T[Key]> };
}
