/** Tables with their sizes, their dead rows and what of them is air. */

import type { GetTableStatisticsResponse, TableStatistics } from '../../client/index.js';
import { fittedLines, type NamedColumns } from '../fitted-table.js';
import { formatBytes, formatCount, formatShare } from '../scan/format.js';
import type { Column } from '../table.js';
import {
  ageText,
  commandText,
  moreNotes,
  notableBytes,
  pageOf,
  remarkLines,
  type Shown,
  type View,
} from './view.js';

/** From here on something should be done; autovacuum begins at a fifth. */
const notableShare = 0.3;
const notableDeadRows = 10_000n;

const leastFirst = ['SCANS', 'PARTS', 'ANALYZED', 'INDEXES', 'VACUUMED', 'ROWS'];

function shareOf(part: bigint, whole: bigint): number {
  return whole <= 0n ? 0 : Math.min(1, Number(part) / Number(whole));
}

const deadShare = ({ deadRows, liveRows }: TableStatistics): number =>
  shareOf(deadRows, deadRows + liveRows);

const partitionsColumn: Column<TableStatistics> = {
  title: 'PARTS',
  cell: ({ partitions }) => (partitions === 0 ? '' : formatCount(partitions)),
  align: 'right',
};

function columnsOf(tables: readonly TableStatistics[], view: View): NamedColumns<TableStatistics> {
  const isInParts = tables.some(({ partitions }) => partitions > 0);
  return [
    { title: 'TABLE', cell: ({ table }) => table },
    ...(isInParts ? [partitionsColumn] : []),
    { title: 'SIZE', cell: ({ totalBytes }) => formatBytes(totalBytes), align: 'right' },
    { title: 'INDEXES', cell: ({ indexBytes }) => formatBytes(indexBytes), align: 'right' },
    { title: 'ROWS', cell: ({ liveRows }) => formatCount(liveRows), align: 'right' },
    { title: 'DEAD', cell: (table) => formatShare(deadShare(table)), align: 'right' },
    {
      title: 'BLOAT',
      cell: ({ bloatBytes }) => (bloatBytes === undefined ? '' : formatBytes(bloatBytes)),
      align: 'right',
    },
    {
      title: 'SCANS',
      cell: ({ sequentialScans }) => formatCount(sequentialScans),
      align: 'right',
    },
    {
      title: 'VACUUMED',
      cell: ({ vacuumedAt }) => ageText(vacuumedAt, view) || 'never',
      align: 'right',
    },
    {
      title: 'ANALYZED',
      cell: ({ analyzedAt }) => ageText(analyzedAt, view) || 'never',
      align: 'right',
    },
  ];
}

/** What should be done about a table. */
function remarksOn(statistics: TableStatistics): string[] {
  const { table, tableBytes, deadRows, bloatBytes = 0n } = statistics;
  const dead = deadShare(statistics);
  const bloat = shareOf(bloatBytes, tableBytes);
  return [
    ...(dead >= notableShare && deadRows >= notableDeadRows
      ? [
          `${table}: ${formatShare(dead)} of its rows are dead (${formatCount(deadRows)}); ` +
            `${commandText('vacuum', table)} frees their space for new ones.`,
        ]
      : []),
    ...(bloat >= notableShare && bloatBytes >= notableBytes
      ? [
          `${table}: some ${formatShare(bloat)} of it is bloat (${formatBytes(bloatBytes)}). ` +
            'New rows fill it after a vacuum; only VACUUM FULL gives it back, and locks the table.',
        ]
      : []),
  ];
}

/** The tables, and what should be done about them. */
export function tablesShown(
  { node, tables, total }: GetTableStatisticsResponse,
  view: View,
): Shown {
  if (tables.length === 0) return { text: '', notes: [`There are no tables on ${node}.`] };
  const { width } = view;
  return {
    text: pageOf(
      fittedLines(columnsOf(tables, view), tables, { width, leastFirst, shortens: 'last' }),
      remarkLines(tables.flatMap(remarksOn), view),
    ),
    notes: moreNotes(tables.length, total),
  };
}
