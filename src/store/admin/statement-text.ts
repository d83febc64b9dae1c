/**
 * Finds the service's own names of statements that pg_stat_statements tells of. It keeps a text as
 * it was sent, with its constants replaced by further parameters, and cut at either end. Both texts
 * are brought to a form without spaces, comments, constants and parameters. Pure.
 */

import { statements } from '../../postgres/statement.js';

/**
 * A token of SQL, in the order in which they are tried: spaces and comments, texts with their
 * prefix, bodies between dollars, names, parameters, numbers, anything else.
 */
const TOKEN = new RegExp(
  [
    String.raw`(?<blank>\s+|--[^\n]*|/\*[\s\S]*?\*/)`,
    String.raw`(?<escaped>[ebx]'(?:[^'\\]|\\[\s\S]|'')*')`,
    "(?<text>(?:u&|n)?'(?:[^']|'')*')",
    String.raw`(?<body>\$(?<tag>\w*)\$[\s\S]*?\$\k<tag>\$)`,
    String.raw`(?<name>"(?:[^"]|"")*"|[a-z_][\w$]*)`,
    String.raw`(?<parameter>\$\d+)`,
    String.raw`(?<number>(?:\d[\d_]*(?:\.[\d_]*)?|\.\d+)(?:e[+-]?\d+)?)`,
    String.raw`(?<other>[\s\S])`,
  ].join('|'),
  'giy',
);

/** Constants that look like names. */
const CONSTANTS: ReadonlySet<string> = new Set(['true', 'false', 'null']);

/**
 * The form that both have. A minus before a constant may belong to it, and a list of constants may
 * have been made one: signs before constants go, and lists of them count as one. The field of
 * extract() is a constant to PostgreSQL.
 */
export function statementForm(text: string): string {
  const form: string[] = [];
  for (const { groups = {} } of text.matchAll(TOKEN)) {
    if (groups['blank'] !== undefined) continue;
    const word = groups['name'] ?? groups['other'];
    const isField = form.at(-1) === '(' && form.at(-2)?.toLowerCase() === 'extract';
    if (word !== undefined && !isField && !CONSTANTS.has(word.toLowerCase())) {
      if (word !== ';') form.push(word);
      continue;
    }
    if (form.at(-1) === '-') form.pop();
    const isList = form.at(-1) === ',' && form.at(-2) === '?';
    if (isList) form.pop();
    else form.push('?');
  }
  return form.join(' ');
}

let names: { readonly count: number; readonly byForm: ReadonlyMap<string, string> } | undefined;

/**
 * The service's name of a statement; empty where it is another program's. Those that differ in
 * constants only are one to PostgreSQL: then all their names, with commas between them.
 */
export function statementName(text: string): string {
  const registered = statements();
  // Files register what they have when they are loaded, some later than this one.
  if (names?.count !== registered.length) {
    const byForm = new Map<string, string>();
    for (const { name, text: own } of registered) {
      const form = statementForm(own);
      const others = byForm.get(form);
      byForm.set(form, others === undefined ? name : `${others}, ${name}`);
    }
    names = { count: registered.length, byForm };
  }
  return names.byForm.get(statementForm(text)) ?? '';
}
