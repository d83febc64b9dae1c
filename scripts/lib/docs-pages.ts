// The pages that are rendered from tables of the source: markdown as a function of each table.
// scripts/docs.ts reads the tables and writes the pages.

/** Everything below this line of a page is rendered; what stands above it is written by hand. */
export const marker = '<!-- generated: npm run docs -->';

/** A row of docs/errors.md; `comment` is the reason's own, from the proto. */
export interface ErrorEntry {
  readonly reason: string;
  readonly code: string;
  readonly retry: string;
  readonly sentence: string;
  readonly comment: readonly string[];
}

/** A row of docs/config.md. */
export interface SettingEntry {
  readonly key: string;
  readonly default: string | undefined;
  readonly unit: string;
  readonly help: string;
  readonly isSecret: boolean;
}

/** An entry of docs/statements.md; `file` is its path from the root. */
export interface StatementEntry {
  readonly name: string;
  readonly intent: string;
  readonly text: string;
  readonly file: string;
}

/** A row of docs/metrics.md. */
export interface MetricEntry {
  /** As Prometheus knows it. */
  readonly name: string;
  readonly kind: string;
  readonly labels: readonly string[];
  readonly help: string;
  readonly action: string;
}

/** A row of the labels in docs/metrics.md. */
export interface LabelEntry {
  readonly name: string;
  readonly help: string;
  readonly values: string;
}

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');

function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.map(cell).join(' | ')} |`;
  const rule = `|${header.map(() => '---').join('|')}|`;
  return [line(header), rule, ...rows.map(line)].join('\n');
}

/** The comment of each value of an enum in a proto's text, by name without `prefix`. */
export function enumComments(proto: string, prefix: string): Map<string, string[]> {
  const comments = new Map<string, string[]>();
  let comment: string[] = [];
  for (const line of proto.split('\n')) {
    const text = /^\s*\/\/ ?(.*)$/.exec(line)?.[1];
    const value = /^\s*([A-Z][A-Z0-9_]*) = \d+/.exec(line)?.[1];
    if (text !== undefined) {
      comment.push(text);
      continue;
    }
    if (value?.startsWith(prefix)) comments.set(value.slice(prefix.length), comment);
    comment = [];
  }
  return comments;
}

const example = /^Example(?: metadata)?: (\{.*\})$/;

/** The table of reasons, then each reason with what its proto says of cause and remedy. */
export function renderErrors(entries: readonly ErrorEntry[]): string {
  const rows = entries.map(({ reason, code, retry, sentence }) => [
    `[\`${reason}\`](#${reason.toLowerCase()})`,
    code,
    `\`${retry}\``,
    sentence,
  ]);
  const sections = entries.map(({ reason, comment }) => {
    const prose = comment.filter((line) => !example.test(line));
    const fences = comment
      .map((line) => example.exec(line)?.[1])
      .filter((json) => json !== undefined)
      .map((json) => `\n\`\`\`json\n${json}\n\`\`\``);
    return [`### ${reason}\n`, ...prose, ...fences].join('\n');
  });
  return [
    table(['reason', 'gRPC code', 'repeat', 'sentence'], rows),
    '## Reasons, one by one',
    ...sections,
  ].join('\n\n');
}

/** The table of settings. */
export function renderConfig(entries: readonly SettingEntry[]): string {
  const fallback = (entry: SettingEntry): string => {
    if (entry.default === undefined) return entry.isSecret ? 'none; a secret' : 'none';
    return entry.default === '' ? 'empty' : `\`${entry.default}\``;
  };
  const rows = entries.map((entry) => [
    `\`${entry.key}\``,
    fallback(entry),
    entry.unit,
    entry.help,
  ]);
  return table(['variable', 'default', 'unit', 'meaning'], rows);
}

/** A table of metrics for each group, then the labels with their sets of values. */
export function renderMetrics(
  groups: ReadonlyMap<string, readonly MetricEntry[]>,
  labels: readonly LabelEntry[],
): string {
  const sections = [...groups].map(([title, entries]) => {
    const rows = entries.map((entry) => [
      `\`${entry.name}\``,
      entry.kind,
      entry.labels.map((label) => `\`${label}\``).join(', '),
      entry.help,
      entry.action,
    ]);
    return `## ${title}\n\n${table(['name', 'kind', 'labels', 'meaning', 'when it is off'], rows)}`;
  });
  const rows = labels.map(({ name, help, values }) => [`\`${name}\``, `the ${help}`, values]);
  return [...sections, '## Labels', table(['label', 'meaning', 'values'], rows)].join('\n\n');
}

/** Removes the indentation that all lines after the first share, as template literals have it. */
function dedent(text: string): string {
  const lines = text.replace(/^\n+|\s+$/g, '').split('\n');
  const indents = lines.filter((line) => line.trim() !== '').map((line) => line.search(/\S/));
  const indent = Math.min(...indents);
  return lines.map((line) => line.slice(indent).trimEnd()).join('\n');
}

/** The table of statements, then their texts, grouped by the file that they stand in. */
export function renderStatements(entries: readonly StatementEntry[]): string {
  const sorted = [...entries].sort((a, b) => (a.file + a.name < b.file + b.name ? -1 : 1));
  const rows = sorted.map(({ name, intent, file }) => [
    `[\`${name}\`](#${name})`,
    `\`${intent}\``,
    `[${file}](../${file})`,
  ]);
  const sections = sorted.map(
    ({ name, text }) => `### ${name}\n\n\`\`\`sql\n${dedent(text)}\n\`\`\``,
  );
  return [table(['name', 'intent', 'file'], rows), '## Texts', ...sections].join('\n\n');
}

/**
 * The page with `body` below its marker; what stands above is kept.
 *
 * @throws Error when the page has no marker.
 */
export function compose(page: string, body: string): string {
  const at = page.indexOf(`\n${marker}\n`);
  if (at === -1) throw new Error(`the page has no line ${marker}`);
  return `${page.slice(0, at).trimEnd()}\n\n${marker}\n\n${body.trimEnd()}\n`;
}
