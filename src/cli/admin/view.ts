/** What every report of `stowage admin` has: where it is shown, its remarks, ages and names. */

import { type Timestamp, timestampDate } from '@bufbuild/protobuf/wkt';
import { shellWord } from '../../lib/shell-word.js';
import { broken } from '../fit.js';
import type { NamedColumns } from '../fitted-table.js';
import { type Output, widthOf } from '../output.js';
import { formatAge, formatCount } from '../scan/format.js';
import { escapeText } from '../scan/names.js';

/** Where a report is shown, and when. */
export interface View {
  /** Columns of the terminal; infinite elsewhere. */
  readonly width: number;
  readonly isColored: boolean;
  /** Ages are counted up to this. */
  readonly now: Date;
}

/** A report as a person reads it. */
export interface Shown {
  /** On standard output; each line with its end. */
  readonly text: string;
  /** Sentences on standard error: what the report does not have. */
  readonly notes?: readonly string[];
}

/** The view of an output at this moment. */
export function viewOf(output: Output): View {
  return {
    width: widthOf(output),
    isColored: output.isTTY === true && output.hasColors?.() === true,
    now: new Date(),
  };
}

/** Lines below each other, each with its end; parts that are empty are left out. */
export function pageOf(...parts: readonly (readonly string[])[]): string {
  return parts
    .filter(({ length }) => length > 0)
    .map((lines) => lines.map((line) => `${line}\n`).join(''))
    .join('\n');
}

const remarksMax = 5;

/** Sentences below a table, in lines that fit. The rest of many is in the table. */
export function remarkLines(remarks: readonly string[], { width }: View): string[] {
  const left = remarks.length - remarksMax;
  const rest = left > 0 ? [`… and ${formatCount(left)} more like these.`] : [];
  return [...remarks.slice(0, remarksMax), ...rest].flatMap((remark) =>
    broken(escapeText(remark), width),
  );
}

/** How long ago that was, such as `3 h`; empty where it never was. */
export function ageText(time: Timestamp | undefined, { now }: View): string {
  return time === undefined
    ? ''
    : formatAge((now.getTime() - timestampDate(time).getTime()) / 1000);
}

/** A command on a table or an index, to be copied: a name is one word there, whatever is in it. */
export function commandText(command: 'vacuum' | 'reindex', name: string): string {
  return `\`stowage admin ${command} ${shellWord(name)}\``;
}

/** Names as a sentence has them: `a, b and c`. */
export function namesText(names: readonly string[]): string {
  const last = names.length - 1;
  return last < 1 ? names.join('') : `${names.slice(0, last).join(', ')} and ${names[last]}`;
}

/** That there are more than are shown. */
export function moreNotes(shown: number, total: number): string[] {
  return total > shown
    ? [`These are ${formatCount(shown)} of ${formatCount(total)}: --limit shows more.`]
    : [];
}

/** That nodes have not answered. */
export function silentNotes(nodes: readonly string[]): string[] {
  return nodes.length === 0 ? [] : [`${namesText(nodes)} did not answer.`];
}

/** That the service's login may not see what is named. */
export function hiddenNote(what: string): string {
  return `The service may not see ${what}: docs/operations.md says how to let it.`;
}

/** The columns in which something stands: what the service may not know fills none. */
export function filledColumns<Row>(
  [name, ...others]: NamedColumns<Row>,
  rows: readonly Row[],
): NamedColumns<Row> {
  return [name, ...others.filter(({ cell }) => rows.some((row) => cell(row) !== ''))];
}

/** Fewer bytes are not worth a remark. */
export const notableBytes = 64n * 1024n * 1024n;

/** SQL in one line, whatever its own; nothing in it acts on a terminal. */
export function statementLine(statement: string): string {
  return escapeText(statement.replace(/\s+/g, ' ').trim());
}
