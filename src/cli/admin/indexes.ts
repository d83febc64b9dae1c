/** Indexes with their sizes and use. */

import type { GetIndexStatisticsResponse, IndexStatistics } from '../../client/index.js';
import { broken } from '../fit.js';
import { fittedLines, type NamedColumns } from '../fitted-table.js';
import { formatBytes, formatCount, formatPlural, formatShare } from '../scan/format.js';
import { escapeText } from '../scan/names.js';
import type { Column } from '../table.js';
import {
  commandText,
  moreNotes,
  namesText,
  notableBytes,
  pageOf,
  remarkLines,
  type Shown,
  type View,
} from './view.js';

/** A tree that was filled at random is air to a third. */
const notableShare = 0.4;

const indent = ' '.repeat(4);

const leastFirst = ['TABLE', 'PARTS', 'HERE'];

const count = (value: bigint | number): string => formatCount(value);

const bloatShare = ({ bloatBytes = 0n, sizeBytes }: IndexStatistics): number =>
  sizeBytes <= 0n ? 0 : Math.min(1, Number(bloatBytes) / Number(sizeBytes));

function useCell({ valid, unique, clusterScans }: IndexStatistics): string {
  if (!valid) return 'INVALID';
  if (unique) return 'unique';
  return clusterScans === 0n ? 'unused' : '';
}

const partitionsColumn: Column<IndexStatistics> = {
  title: 'PARTS',
  cell: ({ partitions }) => (partitions === 0 ? '' : count(partitions)),
  align: 'right',
};

const hereColumn: Column<IndexStatistics> = {
  title: 'HERE',
  cell: ({ scans }) => count(scans),
  align: 'right',
};

function columnsOf({ indexes, nodes }: GetIndexStatisticsResponse): NamedColumns<IndexStatistics> {
  const isInParts = indexes.some(({ partitions }) => partitions > 0);
  return [
    { title: 'INDEX', cell: ({ index }) => index },
    ...(isInParts ? [partitionsColumn] : []),
    { title: 'SIZE', cell: ({ sizeBytes }) => formatBytes(sizeBytes), align: 'right' },
    {
      title: 'BLOAT',
      cell: ({ bloatBytes }) => (bloatBytes === undefined ? '' : formatBytes(bloatBytes)),
      align: 'right',
    },
    { title: 'SCANS', cell: ({ clusterScans }) => count(clusterScans), align: 'right' },
    ...(nodes.length > 1 ? [hereColumn] : []),
    { title: 'USE', cell: useCell },
    { title: 'TABLE', cell: ({ table }) => table },
  ];
}

/** As PostgreSQL names what REINDEX CONCURRENTLY builds beside an index, or takes out of use. */
const besides = /^(.+)_cc(?:new|old)\d*$/;

/** What is not valid. To build anew what stands beside an index would make a second one of it. */
function invalidRemark(index: string): string {
  const [, reindexed] = besides.exec(index) ?? [];
  return reindexed === undefined
    ? 'its building was broken off: it serves nobody. ' +
        `${commandText('reindex', index)} builds it anew.`
    : 'a reindex is at it, or was broken off and has left it: it serves nobody. ' +
        `${commandText('reindex', reindexed)} drops what is left.`;
}

/** What should be done about an index. */
function remarksOn(statistics: IndexStatistics): string[] {
  const { index, valid, bloatBytes = 0n } = statistics;
  if (!valid) return [`${index}: ${invalidRemark(index)}`];
  const share = bloatShare(statistics);
  return share >= notableShare && bloatBytes >= notableBytes
    ? [
        `${index}: some ${formatShare(share)} of it is bloat (${formatBytes(bloatBytes)}); ` +
          `${commandText('reindex', index)} gives it back.`,
      ]
    : [];
}

/** Where scans were counted. */
function countedRemark({ node, nodes }: GetIndexStatisticsResponse, titles: string): string {
  const here = / HERE /.test(titles) ? `, HERE on ${node} alone` : '';
  return `SCANS are counted on ${namesText(nodes.length === 0 ? [node] : nodes)}${here}.`;
}

function unusedRemark(indexes: readonly IndexStatistics[]): string {
  const bytes = indexes.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0n);
  const what = formatPlural(indexes.length, 'index takes', 'indexes take');
  return `${what} ${formatBytes(bytes)} and slow writes down, but no node has read them so far.`;
}

/** The indexes, with their definitions where only unused ones are wanted, and what to do. */
export function indexesShown(
  answer: GetIndexStatisticsResponse,
  view: View,
  { unused }: { readonly unused: boolean },
): Shown {
  const { node, indexes, total } = answer;
  if (indexes.length === 0) {
    const none = unused ? 'Every index is used, or keeps rows unique' : 'There are no indexes';
    return { text: '', notes: [`${none} on ${namesText([...answer.nodes]) || node}.`] };
  }
  const { width } = view;
  // Broken, not cut: what it is of stands at its end.
  const below = ({ definition }: IndexStatistics) =>
    broken(escapeText(definition), width - indent.length).map((line) => `${indent}${line}`);
  const narrowing = { width, leastFirst, shortens: 'last' as const, ...(unused ? { below } : {}) };
  const remarks = [...(unused ? [unusedRemark(indexes)] : []), ...indexes.flatMap(remarksOn)];
  const table = fittedLines(columnsOf(answer), indexes, narrowing);
  return {
    text: pageOf(
      table,
      remarkLines([countedRemark(answer, table[0] ?? '')], view),
      remarkLines(remarks, view),
    ),
    notes: moreNotes(indexes.length, total),
  };
}
