/** Results as a person reads them. */

import type { RowResult } from './judge.js';

/** Three significant digits; whole numbers from a thousand on, in groups. */
export function formatNumber(value: number): string {
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString('en-US');
  return String(Number(value.toPrecision(3)));
}

const headings = [
  ...['row', 'of', 'median', 'min', 'max', 'against', 'ratio', 'must', 'aim', 'spread', 'verdict'],
];

/** The table: a line a row, columns aligned, numbers to the right. */
export function formatTable(rows: readonly RowResult[]): string {
  const cells = [headings, ...rows.map(cellsOf)];
  const widths = headings.map((_, column) =>
    Math.max(...cells.map((line) => line[column]?.length ?? 0)),
  );
  const isText = (column: number) => column === 0 || column === headings.length - 1;
  return cells
    .map((line) =>
      line
        .map((cell, column) => {
          const width = widths[column] ?? 0;
          return isText(column) ? cell.padEnd(width) : cell.padStart(width);
        })
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function cellsOf(row: RowResult): string[] {
  const bound = (value: number | null) =>
    value === null ? '' : `${row.better === 'lower' ? '<=' : '>='} ${formatNumber(value)}`;
  return [
    row.name,
    `${row.samples.length}`,
    `${formatNumber(row.value)} ${row.unit}`,
    formatNumber(row.min),
    formatNumber(row.max),
    row.baseline === null ? '' : `${row.against} ${formatNumber(row.baseline)}`,
    row.ratio === null ? '' : formatNumber(row.ratio),
    bound(row.must),
    bound(row.aim),
    row.spread === null ? '?' : `${Math.round(row.spread * 100)} %`,
    verdictText(row),
  ];
}

function verdictText({ verdict }: RowResult): string {
  return { aim: 'met, and the aim', must: 'met', missed: 'MISSED', unsure: 'unsure', reported: '' }[
    verdict
  ];
}
