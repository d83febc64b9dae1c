/** Indexes, and which of them no node uses. */

import { create } from '@bufbuild/protobuf';
import {
  type GetIndexStatisticsResponse,
  GetIndexStatisticsResponseSchema,
} from '../../../gen/stowage/v1/admin_report_pb.js';
import type { Call } from '../../postgres/call.js';
import type { ClusterStore } from '../store.js';
import { readIndexes, readIndexScans } from './indexes.sql.js';
import { askNode, askNodes, isFenced, type NodeAnswer } from './nodes.js';
import { type ListQuestion, limitOf } from './tables.js';

/**
 * Indexes, the largest first. Nodes of another history are not counted: what is of their number
 * there may be something else.
 * @throws StowageError as `askNode`.
 */
export async function indexStatistics(
  store: ClusterStore,
  call: Call,
  question: ListQuestion & { readonly unused: boolean },
): Promise<GetIndexStatisticsResponse> {
  const { answers } = await askNodes(store, call, readIndexScans, []);
  const counted = answers.filter(({ node }) => !isFenced(store, node));
  const answering = question.node || firstOf(store, counted);
  const others = counted.filter(({ node }) => node !== answering).flatMap(({ rows }) => rows);
  const params = [
    limitOf(question),
    question.unused,
    others.flatMap(({ roots }) => roots ?? []),
    others.flatMap(({ scans }) => scans ?? []),
  ];
  const { node, rows } = await askNode(store, call, answering, readIndexes, params);
  return create(GetIndexStatisticsResponseSchema, {
    node,
    nodes: counted.map((each) => each.node),
    total: rows[0]?.all_indexes ?? 0,
    indexes: rows.map((row) => ({
      index: row.name,
      table: row.table_name,
      partitions: row.partitions,
      sizeBytes: row.size_bytes,
      scans: row.scans,
      clusterScans: row.cluster_scans,
      unique: row.is_unique,
      valid: row.is_valid,
      ...(row.bloat_bytes !== null && { bloatBytes: row.bloat_bytes }),
      definition: row.definition,
    })),
  });
}

/** The primary where it has answered, else whoever has. */
function firstOf({ cluster }: ClusterStore, answers: readonly NodeAnswer<unknown>[]): string {
  const { primary } = cluster.topology();
  const found = answers.find(({ node }) => node === primary) ?? answers[0];
  return found?.node ?? '';
}
