/**
 * Tables for a terminal's width: long names lose their middle, whole columns go, and at last lines
 * lose their end. Elsewhere than on a terminal nothing is left out.
 */

import { displayWidth } from './display-width.js';
import { cutEnd, cutMiddle } from './fit.js';
import { escapeText } from './scan/names.js';
import { type Column, Table } from './table.js';

/** A table whose rows are named by its first column. */
export type NamedColumns<Row> = readonly [name: Column<Row>, ...others: Column<Row>[]];

/** What a table does without. */
export interface Narrowing<Row> {
  /** Columns of the terminal; infinite elsewhere. */
  readonly width: number;
  /** Titles of the columns that a narrow terminal does without, the first one first. */
  readonly leastFirst?: readonly string[];
  /** When names lose their middle: before a column goes, after all have gone, or not at all. */
  readonly shortens?: 'first' | 'last' | 'never';
  /** What stands below a row, in lines that nothing in needs an escape. */
  readonly below?: (row: Row) => readonly string[];
}

/** A name is made as short as this before a column goes. */
const NAME_COLUMNS_WANTED = 16;

/** And no shorter than this, whatever the terminal: an end, the mark and another end. */
export const NAME_COLUMNS_MIN = 5;

const gap = 2;

function columnWidth<Row>({ title, cell }: Column<Row>, rows: readonly Row[]): number {
  const width = (widest: number, row: Row): number =>
    Math.max(widest, displayWidth(escapeText(cell(row))));
  return rows.reduce(width, title.length);
}

/** The name without its middle, so that it fits once the table has escaped it. */
export function shortName(name: string, columns: number): string {
  let short = name;
  for (let room = columns; displayWidth(escapeText(short)) > columns && room > 0; room -= 1) {
    short = cutMiddle(name, room);
  }
  return short;
}

/** The lines of a table that fits. */
export function fittedLines<Row>(
  [name, ...columns]: NamedColumns<Row>,
  rows: readonly Row[],
  { width, leastFirst = [], shortens = 'first', below = () => [] }: Narrowing<Row>,
): string[] {
  const nameWidth = columnWidth(name, rows);
  const wanted = shortens === 'first' ? Math.min(NAME_COLUMNS_WANTED, nameWidth) : nameWidth;
  const roomBeside = (others: readonly Column<Row>[]) =>
    others.reduce((room, column) => room - gap - columnWidth(column, rows), width);
  let others: readonly Column<Row>[] = columns;
  for (const title of leastFirst) {
    if (roomBeside(others) >= wanted) break;
    others = others.filter((column) => column.title !== title);
  }
  const least = shortens === 'never' ? nameWidth : NAME_COLUMNS_MIN;
  const room = Math.max(least, roomBeside(others));
  const cell = (row: Row): string => shortName(name.cell(row), room);
  return new Table([{ ...name, cell }, ...others])
    .lines(rows, below)
    .split('\n')
    .slice(0, -1)
    .map((line) => cutEnd(line, width));
}
