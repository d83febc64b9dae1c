/** Statements that cost most, as pg_stat_statements has them. */

import type { GetStatementStatisticsResponse, StatementStatistics } from '../../client/index.js';
import { fittedLines, type NamedColumns } from '../fitted-table.js';
import { formatCount, formatMs, formatShare } from '../scan/format.js';
import { pageOf, type Shown, statementLine, type View } from './view.js';

const columns: NamedColumns<StatementStatistics> = [
  { title: 'TOTAL', cell: ({ totalMs }) => formatMs(totalMs), align: 'right' },
  { title: 'MEAN', cell: ({ meanMs }) => formatMs(meanMs), align: 'right' },
  { title: 'SLOWEST', cell: ({ maxMs }) => formatMs(maxMs), align: 'right' },
  { title: 'CALLS', cell: ({ calls }) => formatCount(calls), align: 'right' },
  { title: 'ROWS', cell: ({ rows }) => formatCount(rows), align: 'right' },
  {
    title: 'IN MEMORY',
    cell: ({ hitRatio }) => (hitRatio === undefined ? '' : formatShare(hitRatio)),
    align: 'right',
  },
  { title: 'STATEMENT', cell: ({ name }) => name || 'not of the service' },
];

const leastFirst = ['IN MEMORY', 'ROWS', 'SLOWEST', 'CALLS'];

const below = ({ text }: StatementStatistics) => [`    ${statementLine(text)}`];

/** The statements, each with its text below. */
export function statementsShown(
  { node, statements, available, advice }: GetStatementStatisticsResponse,
  { width }: View,
): Shown {
  if (!available) {
    return { text: '', notes: [`${node}: ${advice}`] };
  }
  if (statements.length === 0) return { text: '', notes: [`${node} has run no statement yet.`] };
  const narrowing = { width, leastFirst, shortens: 'never' as const, below };
  return { text: pageOf(fittedLines(columns, statements, narrowing)) };
}
