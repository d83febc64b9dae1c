/** What sessions do, and who blocks whom. */

import { create } from '@bufbuild/protobuf';
import {
  type GetActivityResponse,
  GetActivityResponseSchema,
} from '../../../gen/stowage/v1/admin_report_pb.js';
import type { Call } from '../../postgres/call.js';
import type { ClusterStore } from '../store.js';
import { readActivity } from './activity.sql.js';
import { askNode } from './nodes.js';
import { withoutPasswords } from './statement-text.js';
import { type ListQuestion, limitOf } from './tables.js';

/**
 * Sessions of the database, those that block others first, then the longest.
 * @throws StowageError as `askNode`.
 */
export async function activity(
  store: ClusterStore,
  call: Call,
  question: ListQuestion & { readonly minDurationMs: bigint },
): Promise<GetActivityResponse> {
  const params = [limitOf(question), question.minDurationMs];
  const { node, rows } = await askNode(store, call, question.node, readActivity, params);
  return create(GetActivityResponseSchema, {
    node,
    total: rows[0]?.all_sessions ?? 0,
    sessions: rows.map((row) => ({
      pid: row.pid,
      user: row.user_name ?? '',
      application: row.application ?? '',
      address: row.address ?? '',
      state: row.state ?? '',
      wait: row.wait ?? '',
      statementMs: row.statement_ms ?? 0,
      ...(row.transaction_ms !== null && { transactionMs: row.transaction_ms }),
      blockedBy: row.blocked_by ?? [],
      blocks: row.blocks,
      statement: withoutPasswords(row.statement ?? ''),
    })),
  });
}
