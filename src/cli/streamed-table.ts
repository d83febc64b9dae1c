/**
 * A table for a terminal's width that is printed as its rows come: the last column takes what room
 * is left and loses its middle, others go where there is none. Elsewhere nothing is left out.
 */

import { displayWidth } from './display-width.js';
import { cutEnd } from './fit.js';
import { shortName } from './fitted-table.js';
import { escapeText } from './scan/names.js';
import { type Column, Table } from './table.js';

/** What the last column is to have before another one goes, if its cells need it. */
const lastColumnsWanted = 16;

const gap = 2;

/** Where such a table is printed. */
export interface StreamedOptions<Row> {
  /** Columns of the terminal; infinite elsewhere. */
  readonly width: number;
  /** Titles of the columns that a narrow terminal does without, the first one first. */
  readonly leastFirst?: readonly string[];
  /** What the last column is to have, though the rows which come first may need less. */
  readonly lastWanted?: number;
  /** What stands below a row, in lines that nothing in needs an escape. */
  readonly below?: (row: Row) => readonly string[];
}

/** The columns and their widths are those that suit the rows which come first. */
export class StreamedTable<Row> {
  readonly #all: readonly Column<Row>[];
  readonly #options: StreamedOptions<Row>;
  #table: Table<Row> | undefined;

  constructor(columns: readonly Column<Row>[], options: StreamedOptions<Row>) {
    this.#all = columns;
    this.#options = options;
  }

  /** The lines of these rows, each with its end; the titles before the first of all. */
  lines(rows: readonly Row[]): string {
    if (rows.length === 0) return '';
    const { width, below } = this.#options;
    this.#table ??= this.#tableFor(rows);
    const text = this.#table.lines(rows, below);
    if (width === Number.POSITIVE_INFINITY) return text;
    const lines = text.split('\n').slice(0, -1);
    return lines.map((line) => `${cutEnd(line, width)}\n`).join('');
  }

  #tableFor(rows: readonly Row[]): Table<Row> {
    const columns = this.#fitting(rows);
    const last = columns.at(-1);
    if (last === undefined || last.align === 'right') return new Table(columns);
    const others = columns.slice(0, -1).map((column) => ({ column, least: widest(column, rows) }));
    // Of this row, not of those that came first: a later one may have wider cells.
    const roomOf = (row: Row): number =>
      others.reduce(
        (room, { column, least }) => room - gap - Math.max(least, cellWidth(column, row)),
        this.#options.width,
      );
    const cell = (row: Row): string => shortName(last.cell(row), Math.max(1, roomOf(row)));
    return new Table([...columns.slice(0, -1), { ...last, cell }]);
  }

  /** The columns that there is room for. */
  #fitting(rows: readonly Row[]): readonly Column<Row>[] {
    const { width, leastFirst = [], lastWanted = 0 } = this.#options;
    let columns = this.#all;
    const isNarrow = (): boolean => {
      const last = columns.at(-1);
      if (last === undefined) return false;
      const needed = Math.min(lastColumnsWanted, widest(last, rows));
      const wanted = last === this.#all.at(-1) ? Math.max(needed, lastWanted) : needed;
      const others = columns.slice(0, -1);
      return others.reduce((room, each) => room - gap - widest(each, rows), width) < wanted;
    };
    for (const title of leastFirst) {
      if (!isNarrow()) break;
      columns = columns.filter((column) => column.title !== title);
    }
    return columns;
  }
}

function cellWidth<Row>({ cell }: Column<Row>, row: Row): number {
  return displayWidth(escapeText(cell(row)));
}

function widest<Row>(column: Column<Row>, rows: readonly Row[]): number {
  const width = (most: number, row: Row): number => Math.max(most, cellWidth(column, row));
  return rows.reduce(width, column.title.length);
}
