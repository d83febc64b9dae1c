/** The tables that are appended to: what differs between them. */

import type { KeepingSettings } from '../config-keeping.js';
import type { Statement } from '../postgres/statement.js';
import { type AppendedRow, appendEvents, appendExecutions } from './append.sql.js';
import type { AppendRow } from './append-row.js';

/** A table with a partition a month. */
export interface AppendTable {
  readonly name: 'storage_audit' | 'storage_hooks';
  readonly append: Statement<AppendedRow>;
  /** The statement's parameters between the project and the arrays. */
  settings(keeping: KeepingSettings): readonly unknown[];
}

/** The audit trail. */
export const auditTable: AppendTable = {
  name: 'storage_audit',
  append: appendEvents,
  settings: ({ auditLateEvents }) => [auditLateEvents ? 'on' : 'off'],
};

/** Executions of hooks. */
export const executionTable: AppendTable = {
  name: 'storage_hooks',
  append: appendExecutions,
  settings: () => [],
};

/** One array a column, in the order of the statement. */
export function columnArrays(rows: readonly AppendRow[]): (string | null)[][] {
  const width = rows[0]?.values.length ?? 0;
  return [
    rows.map(({ time }) => time),
    rows.map(({ id }) => id),
    ...Array.from({ length: width }, (_, column) =>
      rows.map(({ values }) => values[column] ?? null),
    ),
  ];
}
