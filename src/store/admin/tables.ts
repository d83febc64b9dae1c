/** The database and its tables, as operators see them. */

import { create } from '@bufbuild/protobuf';
import {
  type GetDatabaseStatisticsResponse,
  GetDatabaseStatisticsResponseSchema,
  type GetTableStatisticsResponse,
  GetTableStatisticsResponseSchema,
} from '../../../gen/stowage/v1/admin_report_pb.js';
import { StowageError } from '../../errors.js';
import type { Call } from '../../postgres/call.js';
import type { ClusterStore } from '../store.js';
import { readDatabase } from './database.sql.js';
import { askNode } from './nodes.js';
import { readTables } from './tables.sql.js';

/** Which node; empty: the primary, or any. */
export interface NodeQuestion {
  readonly node: string;
}

/** The same with how many rows at most; 0: as many as fit on a screen. */
export interface ListQuestion extends NodeQuestion {
  readonly limit: number;
}

const ROWS_DEFAULT = 50;

/** How many rows are asked for. */
export function limitOf({ limit }: ListQuestion, standard = ROWS_DEFAULT): number {
  return limit === 0 ? standard : limit;
}

/**
 * The database's size, and how the node was used.
 * @throws StowageError as `askNode`.
 */
export async function databaseStatistics(
  store: ClusterStore,
  call: Call,
  question: NodeQuestion,
): Promise<GetDatabaseStatisticsResponse> {
  const { node, rows } = await askNode(store, call, question.node, readDatabase, []);
  const [row] = rows;
  if (row === undefined) throw new StowageError('NO_NODE');
  const states = row.states ?? [];
  return create(GetDatabaseStatisticsResponseSchema, {
    node,
    database: row.name,
    sizeBytes: row.size_bytes,
    ...(row.heap_hit_ratio !== null && { heapHitRatio: row.heap_hit_ratio }),
    ...(row.index_hit_ratio !== null && { indexHitRatio: row.index_hit_ratio }),
    committed: row.committed,
    rolledBack: row.rolled_back,
    deadlocks: row.deadlocks,
    temporaryBytes: row.temporary_bytes,
    sessions: Object.fromEntries(states.map((state, index) => [state, row.sessions?.[index] ?? 0])),
    sessionsMax: row.sessions_max,
    ...(row.reset_at !== null && { resetAt: row.reset_at }),
  });
}

/**
 * Tables, the largest first.
 * @throws StowageError as `askNode`.
 */
export async function tableStatistics(
  store: ClusterStore,
  call: Call,
  question: ListQuestion & { readonly partitions: boolean },
): Promise<GetTableStatisticsResponse> {
  const params = [limitOf(question), question.partitions];
  const { node, rows } = await askNode(store, call, question.node, readTables, params);
  return create(GetTableStatisticsResponseSchema, {
    node,
    total: rows[0]?.all_tables ?? 0,
    tables: rows.map((row) => ({
      table: row.name,
      partitions: row.partitions,
      totalBytes: row.total_bytes,
      tableBytes: row.table_bytes,
      indexBytes: row.index_bytes,
      liveRows: row.live_rows,
      deadRows: row.dead_rows,
      ...(row.bloat_bytes !== null && { bloatBytes: row.bloat_bytes }),
      sequentialScans: row.sequential_scans,
      indexScans: row.index_scans,
      ...(row.vacuumed_at !== null && { vacuumedAt: row.vacuumed_at }),
      ...(row.analyzed_at !== null && { analyzedAt: row.analyzed_at }),
    })),
  });
}
