/**
 * Many things as a table and one as a record, for a person. Every cell is escaped here, so that no
 * command can forget it: what others wrote does not act on the terminal.
 */

import { displayWidth } from './display-width.js';
import { escapeText } from './scan/names.js';

/** One column: its title and what stands in it. Numbers are aligned to the right. */
export interface Column<Row> {
  readonly title: string;
  readonly cell: (row: Row) => string;
  readonly align?: 'right';
}

const gap = '  ';

const nothing = (): readonly string[] => [];

/**
 * A table that is printed as its rows come. Its widths are those of the rows that come first: to
 * wait for all rows would need memory for all, and a reader would wait too.
 */
export class Table<Row> {
  readonly #columns: readonly Column<Row>[];
  #widths: readonly number[] | undefined;

  constructor(columns: readonly Column<Row>[]) {
    this.#columns = columns;
  }

  /**
   * The lines of these rows, each with its end; the titles before the first of all. `below` says
   * what stands below a row, in lines that nothing in needs an escape.
   */
  lines(rows: readonly Row[], below: (row: Row) => readonly string[] = nothing): string {
    const cells = rows.map((row) => this.#columns.map(({ cell }) => escapeText(cell(row))));
    const isFirst = this.#widths === undefined;
    const titles = isFirst ? [this.#columns.map(({ title }) => title)] : [];
    const widths = this.#widths ?? this.#widthsOf([...titles, ...cells]);
    this.#widths = widths;
    const lines = [
      ...titles.map((row) => this.#line(row, widths)),
      ...rows.flatMap((row, index) => [this.#line(cells[index] ?? [], widths), ...below(row)]),
    ];
    return lines.map((line) => `${line}\n`).join('');
  }

  #line(cells: readonly string[], widths: readonly number[]): string {
    const last = cells.length - 1;
    const padded = cells.map((cell, index) => {
      const isRight = this.#columns[index]?.align === 'right';
      // Nothing stands behind the last one, and to measure long keys takes its time.
      if (index === last && !isRight) return cell;
      const padding = ' '.repeat(Math.max(0, (widths[index] ?? 0) - displayWidth(cell)));
      return isRight ? padding + cell : cell + padding;
    });
    return padded.join(gap).trimEnd();
  }

  #widthsOf(rows: readonly (readonly string[])[]): number[] {
    const last = this.#columns.length - 1;
    return this.#columns.map(({ align }, index) =>
      index === last && align !== 'right' ? 0 : widest(rows, index),
    );
  }
}

function widest(rows: readonly (readonly string[])[], index: number): number {
  // Not `Math.max(...widths)`: a page has a thousand rows, and arguments are not made for that.
  return rows.reduce((width, row) => Math.max(width, displayWidth(row[index] ?? '')), 0);
}

/** All rows as one table. */
export function renderTable<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string {
  return new Table(columns).lines(rows);
}

/** A field's name and value; several lines are JSON already, in which nothing needs an escape. */
export type Field = readonly [name: string, value: string | readonly string[]];

/** One line a field, each with its end; a field without a value is left out. */
export function renderRecord(fields: readonly Field[]): string {
  const shown = fields.filter(([, value]) => value.length > 0);
  const width = shown.reduce((most, [name]) => Math.max(most, name.length), 0) + gap.length;
  const indent = ' '.repeat(width);
  return shown
    .map(([name, value]) => {
      const lines = typeof value === 'string' ? [escapeText(value)] : value;
      return `${name.padEnd(width)}${lines.join(`\n${indent}`)}\n`;
    })
    .join('');
}
