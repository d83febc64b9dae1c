/** Partitions as they are listed: of all projects, on any node. */

import type { MessageInitShape } from '@bufbuild/protobuf';
import { type PartitionSchema, PartitionSource } from '../../gen/stowage/v1/audit_retention_pb.js';
import type { Call } from '../postgres/call.js';
import { listPartitions as list, type PartitionRow } from './partitions.sql.js';
import type { Store } from './store.js';

/** Some eight hundred years of months, or thirty of days. */
const PARTITIONS_MAX = 10_000;

/** The tables by what callers call them. */
export const sourceNames = {
  [PartitionSource.UNSPECIFIED]: null,
  [PartitionSource.STORAGE_AUDIT]: 'storage_audit',
  [PartitionSource.STORAGE_HOOKS]: 'storage_hooks',
  [PartitionSource.STORAGE_CHANGES]: 'storage_changes',
} as const satisfies Record<PartitionSource, string | null>;

const sources = new Map<string | null, PartitionSource>([
  ['storage_audit', PartitionSource.STORAGE_AUDIT],
  ['storage_hooks', PartitionSource.STORAGE_HOOKS],
  ['storage_changes', PartitionSource.STORAGE_CHANGES],
]);

/**
 * By table and time, at most 10,000.
 * @throws StowageError those of the call's freshness.
 */
export async function listPartitions(
  { router }: Pick<Store, 'router'>,
  call: Call,
  source: PartitionSource,
): Promise<MessageInitShape<typeof PartitionSchema>[]> {
  const rows = await router.run(list, [sourceNames[source], PARTITIONS_MAX], call);
  return rows.map(partitionMessage);
}

function partitionMessage(row: PartitionRow): MessageInitShape<typeof PartitionSchema> {
  return {
    name: row.partition,
    source: sources.get(row.source) ?? PartitionSource.UNSPECIFIED,
    sizeBytes: row.size_bytes,
    seals: row.seals,
    sealedRows: row.sealed_rows ?? 0n,
    sealedSha256: row.sealed_sha256 ?? '',
    ...(row.rows_estimated === null ? {} : { rowsEstimated: row.rows_estimated }),
    ...(row.range_start === null ? {} : { rangeStart: row.range_start }),
    ...(row.range_end === null ? {} : { rangeEnd: row.range_end }),
    ...(row.sealed_at === null ? {} : { sealedAt: row.sealed_at }),
    ...(row.deleted_before === null ? {} : { deletedBefore: row.deleted_before }),
  };
}
