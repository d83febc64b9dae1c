/**
 * A table for a terminal's width that is printed as its rows come: the last column takes what room
 * is left and loses its middle, others go where there is none. Elsewhere nothing is left out.
 */

import { displayWidth } from './display-width.js';
import { cutEnd } from './fit.js';
import { shortName } from './fitted-table.js';
import { escapeText } from './scan/names.js';
import { type Column, Table } from './table.js';

/** What the last column is to have before another one goes. */
const lastColumnsWanted = 16;

const gap = 2;

/** Where such a table is printed. */
export interface StreamedOptions<Row> {
  /** Columns of the terminal; infinite elsewhere. */
  readonly width: number;
  /** Titles of the columns that a narrow terminal does without, the first one first. */
  readonly leastFirst?: readonly string[];
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
    const { width, leastFirst = [] } = this.#options;
    const widthOf = ({ title, cell }: Column<Row>): number =>
      rows.reduce((most, row) => Math.max(most, displayWidth(escapeText(cell(row)))), title.length);
    let columns = this.#all;
    const roomOf = () =>
      columns.slice(0, -1).reduce((room, column) => room - widthOf(column) - gap, width);
    const isNarrow = () => {
      const last = columns.at(-1);
      return last !== undefined && roomOf() < Math.min(lastColumnsWanted, widthOf(last));
    };
    for (const title of leastFirst) {
      if (!isNarrow()) break;
      columns = columns.filter((column) => column.title !== title);
    }
    const room = Math.max(1, roomOf());
    const last = columns.at(-1);
    if (last === undefined || last.align === 'right') return new Table(columns);
    const cell = (row: Row): string => shortName(last.cell(row), room);
    return new Table([...columns.slice(0, -1), { ...last, cell }]);
  }
}
