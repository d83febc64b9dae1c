/**
 * What is done to texts of statements before they are told: passwords are taken out, and the
 * service's own statements are named. Pure.
 *
 * They are found in what pg_stat_statements tells of. It keeps a text as
 * it was sent, with its constants replaced by further parameters, and cut at either end. Both texts
 * are brought to a form without spaces, comments, constants and parameters.
 */

import { statements } from '../../postgres/statement.js';

/**
 * A password as ALTER ROLE, the options of a user mapping or a connection string has it; its end
 * may have been cut off.
 */
const PASSWORD = new RegExp(
  [
    String.raw`(?<=\bpassword\s*=?\s*)(?:[eu]&?)?'(?:[^'\\]|''|\\[\s\S])*(?:'|$)`,
    String.raw`(?<=\bpassword\s*=?\s*)\$(?<tag>\w*)\$[\s\S]*?(?:\$\k<tag>\$|$)`,
    String.raw`(?<=\bpassword\s*=\s*)[^\s'$][^\s']*`,
  ].join('|'),
  'gi',
);

/** The text with three dots in place of every password. */
export function withoutPasswords(text: string): string {
  return text.replaceAll(PASSWORD, "'...'");
}

/**
 * A token of SQL, in the order in which they are tried: spaces and comments, texts with their
 * prefix, bodies between dollars, names, parameters, numbers, anything else.
 */
const TOKEN = new RegExp(
  [
    String.raw`\s+|--[^\n]*|/\*[\s\S]*?\*/`,
    String.raw`[ebx]'(?:[^'\\]|\\[\s\S]|'')*'`,
    "(?:u&|n)?'(?:[^']|'')*'",
    String.raw`\$(\w*)\$[\s\S]*?\$\1\$`,
    String.raw`"(?:[^"]|"")*"|[a-z_][\w$]*`,
    String.raw`\$\d+`,
    String.raw`(?:\d[\d_]*(?:\.[\d_]*)?|\.\d+)(?:e[+-]?\d+)?`,
    String.raw`[\s\S]`,
  ].join('|'),
  'gi',
);

const BLANK = /^(?:\s|--|\/\*)/;
/** Constants that look like names are constants here. */
const CONSTANT = /^(?:\$\w|\.?\d|(?:true|false|null)$)|['$]$/i;

/**
 * The form that both have. A minus before a constant may belong to it, and a list of constants may
 * have been made one: signs before constants go, and lists of them count as one. The field of
 * extract() is a constant to PostgreSQL.
 */
export function statementForm(text: string): string {
  const form: string[] = [];
  for (const token of text.match(TOKEN) ?? []) {
    if (token === ';' || BLANK.test(token)) continue;
    const isField = form.at(-1) === '(' && form.at(-2)?.toLowerCase() === 'extract';
    if (!isField && (token.startsWith('"') || !CONSTANT.test(token))) {
      form.push(token);
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
