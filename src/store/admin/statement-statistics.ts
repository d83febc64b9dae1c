/** Statements that cost most, where pg_stat_statements counts them. */

import { create } from '@bufbuild/protobuf';
import {
  type GetStatementStatisticsResponse,
  GetStatementStatisticsResponseSchema,
  StatementOrder,
} from '../../../gen/stowage/v1/admin_report_pb.js';
import type { Call } from '../../postgres/call.js';
import type { ClusterStore } from '../store.js';
import { askNode } from './nodes.js';
import { type ExtensionRow, readExtension, readStatements } from './slow-statements.sql.js';
import { statementName, withoutPasswords } from './statement-text.js';
import { type ListQuestion, limitOf } from './tables.js';

const ROWS_DEFAULT = 20;
const SHOWN_MAX = 1000;

const orders: Readonly<Record<StatementOrder, string>> = {
  [StatementOrder.UNSPECIFIED]: 'total',
  [StatementOrder.TOTAL_TIME]: 'total',
  [StatementOrder.MEAN_TIME]: 'mean',
  [StatementOrder.CALLS]: 'calls',
};

/**
 * Statements, by cost.
 * @throws StowageError as `askNode`.
 */
export async function statementStatistics(
  store: ClusterStore,
  call: Call,
  question: ListQuestion & { readonly order: StatementOrder },
): Promise<GetStatementStatisticsResponse> {
  const asked = await askNode(store, call, question.node, readExtension, []);
  const { node } = asked;
  const advice = adviceOf(asked.rows[0]);
  if (advice !== '') {
    return create(GetStatementStatisticsResponseSchema, { node, available: false, advice });
  }
  const params = [limitOf(question, ROWS_DEFAULT), orders[question.order]];
  const { rows } = await askNode(store, call, node, readStatements, params);
  return create(GetStatementStatisticsResponseSchema, {
    node,
    available: true,
    statements: rows.map((row) => ({
      name: statementName(row.text),
      text: cut(withoutPasswords(row.text)),
      calls: row.calls,
      totalMs: row.total_ms,
      meanMs: row.mean_ms,
      maxMs: row.max_ms,
      rows: row.rows,
      ...(row.hit_ratio !== null && { hitRatio: row.hit_ratio }),
    })),
  });
}

/** Why the extension cannot be read, and what to do; empty where it can be. */
export function adviceOf(extension: ExtensionRow | undefined): string {
  if (extension?.is_loaded !== true) {
    return (
      'The node does not count statements. Add pg_stat_statements to shared_preload_libraries on ' +
      'every node, restart them, and run in the database: create extension pg_stat_statements;'
    );
  }
  if (extension.schema === null) {
    return 'Run in the database, as a superuser: create extension pg_stat_statements;';
  }
  if (extension.schema !== 'public') {
    return (
      'The extension is in another schema than the service looks into. Run in the database: ' +
      'alter extension pg_stat_statements set schema public;'
    );
  }
  if (extension.is_old) {
    return 'It is too old. Run in the database: alter extension pg_stat_statements update;';
  }
  if (!extension.may_read) {
    return (
      'The login may not read it. Run in the database: ' +
      'grant select on pg_stat_statements to stowage_service; ' +
      'grant execute on function pg_stat_statements(boolean) to stowage_service;'
    );
  }
  return '';
}

/** By characters: half of one would be none. */
function cut(text: string): string {
  return [...text.slice(0, 2 * SHOWN_MAX)].slice(0, SHOWN_MAX).join('');
}
