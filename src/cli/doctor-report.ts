/**
 * The findings of `stowage doctor` for a person: a line a check, its remedy below it. What servers
 * and settings say is shown so that nothing in it acts on the terminal.
 */

import type { Finding, Remedy, Verdict } from '../postgres/diagnosis/finding.js';
import { broken } from './fit.js';
import { paint } from './paint.js';
import { escapeText } from './scan/names.js';

/** Where the report goes: a terminal has a width and perhaps colours, a file neither. */
export interface ReportOutput {
  readonly columns?: number;
  hasColors?(): boolean;
}

/** Findings under a heading. */
export interface Group {
  readonly title: string;
  readonly findings: readonly Finding[];
}

/** How many checks came out which way. */
export interface VerdictCounts {
  readonly ok: number;
  readonly warnings: number;
  readonly failures: number;
  readonly skipped: number;
}

/** Counts the findings by verdict. */
export function countVerdicts(findings: readonly Finding[]): VerdictCounts {
  const of = (wanted: Verdict): number =>
    findings.filter(({ verdict }) => verdict === wanted).length;
  return { ok: of('ok'), warnings: of('warn'), failures: of('fail'), skipped: of('skipped') };
}

interface Style {
  readonly columns: number;
  readonly isColored: boolean;
}

const marks: Readonly<Record<Verdict, { readonly text: string; readonly color: string }>> = {
  ok: { text: 'ok  ', color: '32' },
  warn: { text: 'warn', color: '33' },
  fail: { text: 'FAIL', color: '1;31' },
  skipped: { text: 'skip', color: '2' },
};

/** The longest name of a check. */
const checkWidth = 'connections'.length;
const seenIndent = '  '.length + 'FAIL'.length + 2 + checkWidth + 2;
const sayIndent = 8;
const runIndent = 12;
/** A narrower terminal is not worth a break at every word. */
const columnsMin = 50;

/** The whole report, with its last line. */
export function renderReport(
  groups: readonly Group[],
  counts: VerdictCounts,
  output: ReportOutput,
): string {
  const style = {
    columns: Math.max(columnsMin, output.columns ?? Number.POSITIVE_INFINITY),
    isColored: output.hasColors?.() ?? false,
  };
  const blocks = groups.map(({ title, findings }) =>
    [colored(shown(title), '1', style), ...lines(findings, style), ''].join('\n'),
  );
  return `${blocks.join('\n')}\n${summaryLine(counts)}\n`;
}

function lines(findings: readonly Finding[], style: Style): string[] {
  return joinSkipped(findings).flatMap((finding) => {
    const { text, color } = marks[finding.verdict];
    const head = `  ${colored(text, color, style)}  ${finding.check.padEnd(checkWidth)}  `;
    const [first = '', ...rest] = broken(shown(finding.seen), style.columns - seenIndent);
    const below = rest.map((line) => `${' '.repeat(seenIndent)}${line}`);
    const remedy = finding.remedy === undefined ? [] : remedyLines(finding.remedy, style);
    return [`${head}${first}`, ...below, ...remedy];
  });
}

function remedyLines({ say, run }: Remedy, style: Style): string[] {
  const sentences = broken(shown(say), style.columns - sayIndent);
  return [
    ...sentences.map((line) => `${' '.repeat(sayIndent)}${line}`),
    // Never broken: it is to be copied.
    ...run.map((line) => `${' '.repeat(runIndent)}${colored(shown(line), '36', style)}`),
  ];
}

/** Checks that were skipped for one reason take one line; the JSON has each of them. */
function joinSkipped(findings: readonly Finding[]): Finding[] {
  const joined: Finding[] = [];
  const byReason = new Map<string, string[]>();
  for (const finding of findings) {
    if (finding.verdict !== 'skipped' || finding.remedy !== undefined) {
      joined.push(finding);
      continue;
    }
    const names = byReason.get(finding.seen);
    if (names === undefined) byReason.set(finding.seen, [finding.check]);
    else names.push(finding.check);
  }
  for (const [reason, names] of byReason) {
    const [name = ''] = names;
    joined.push(
      names.length === 1
        ? { check: name, verdict: 'skipped', seen: reason }
        : {
            check: `${names.length} checks`,
            verdict: 'skipped',
            seen: `${reason}: ${names.join(', ')}`,
          },
    );
  }
  return joined;
}

function summaryLine({ warnings, failures, skipped }: VerdictCounts): string {
  const of = (count: number, word: string): string => `${count} ${word}${count === 1 ? '' : 's'}`;
  if (failures > 0) {
    return (
      `${of(failures, 'failure')}, ${of(warnings, 'warning')}: mend the first failure, then run ` +
      '`stowage doctor` again'
    );
  }
  if (warnings > 0) return `no failure, ${of(warnings, 'warning')}`;
  return skipped > 0 ? 'all is well, as far as could be seen' : 'all is well';
}

/** Escaped, but for the backslash: a line to copy may need one, and alone it does nothing. */
function shown(text: string): string {
  return escapeText(text).replaceAll('\\\\', '\\');
}

function colored(text: string, color: string, { isColored }: Style): string {
  return isColored ? paint(text, color) : text;
}
