/** Who replicates from whom, as those see it that send. */

import { create } from '@bufbuild/protobuf';
import {
  type GetReplicationStatusResponse,
  GetReplicationStatusResponseSchema,
} from '../../../gen/stowage/v1/admin_report_pb.js';
import type { Call } from '../../postgres/call.js';
import type { ClusterStore } from '../store.js';
import { askNodes } from './nodes.js';
import { type LinkRow, readLinks } from './replication.sql.js';

/**
 * The links of every node that answers.
 * @throws StowageError as `askNodes`.
 */
export async function replicationStatus(
  store: ClusterStore,
  call: Call,
): Promise<GetReplicationStatusResponse> {
  const { answers, silent } = await askNodes(store, call, readLinks, []);
  const { primary } = store.cluster.topology();
  const ofPrimary = answers.find(({ node }) => node === primary);
  return create(GetReplicationStatusResponseSchema, {
    links: answers.flatMap(({ node, rows }) =>
      rows.filter(isLink).map((row) => ({ node, ...linkOf(row) })),
    ),
    synchronousStandbyNames: ofPrimary?.rows[0]?.synchronous_standby_names ?? '',
    silentNodes: [...silent],
  });
}

const isLink = ({ receiver, slot }: LinkRow): boolean => receiver !== null || slot !== null;

function linkOf(row: LinkRow) {
  return {
    receiver: row.receiver ?? '',
    address: row.address ?? '',
    state: row.state ?? '',
    syncState: row.sync_state ?? '',
    ...(row.send_lag_bytes !== null && { sendLagBytes: row.send_lag_bytes }),
    ...(row.flush_lag_bytes !== null && { flushLagBytes: row.flush_lag_bytes }),
    ...(row.replay_lag_bytes !== null && { replayLagBytes: row.replay_lag_bytes }),
    ...(row.replay_lag_ms !== null && { replayLagMs: row.replay_lag_ms }),
    slot: row.slot ?? '',
    ...(row.slot_retained_bytes !== null && { slotRetainedBytes: row.slot_retained_bytes }),
    slotWalStatus: row.slot_wal_status ?? '',
  };
}
