/** What a check found, and what to do about it. Nothing of it holds a secret. */

/** `skipped`: something that the check needs has failed, or cannot be seen with these rights. */
export type Verdict = 'ok' | 'warn' | 'fail' | 'skipped';

/** What mends a finding. */
export interface Remedy {
  /** One or two sentences. */
  readonly say: string;
  /** Commands, SQL or lines of a file, as they are typed; `...` stands for what is secret. */
  readonly run: readonly string[];
}

/** The outcome of one check. */
export interface Finding {
  readonly check: string;
  readonly verdict: Verdict;
  /** What was seen, without a full stop; for `skipped` the reason. */
  readonly seen: string;
  readonly remedy?: Remedy;
}

/** All is well. */
export function ok(check: string, seen: string): Finding {
  return { check, verdict: 'ok', seen };
}

/** It works, but at a cost that somebody should know. */
export function warn(check: string, seen: string, say: string, ...run: string[]): Finding {
  return { check, verdict: 'warn', seen, remedy: { say, run } };
}

/** It does not work, or not safely. */
export function fail(check: string, seen: string, say: string, ...run: string[]): Finding {
  return { check, verdict: 'fail', seen, remedy: { say, run } };
}

/** The finding for questions that went wrong after a login. */
export function noAnswers(error: unknown): Finding {
  return fail(
    'queries',
    `the server let us in and did not answer: ${error instanceof Error ? error.message : 'no'}`,
    'Look at its log, and at what runs there:',
    "select pid, wait_event_type, query from pg_stat_activity where state = 'active';",
  );
}

/** Nothing can be said. `say` tells what would let it be said. */
export function skipped(check: string, reason: string, say?: string, ...run: string[]): Finding {
  const finding = { check, verdict: 'skipped', seen: reason } as const;
  return say === undefined ? finding : { ...finding, remedy: { say, run } };
}

/** A name as SQL has it: in quotes unless it is a plain one. */
export function sqlName(name: string): string {
  return /^[a-z_][a-z0-9_]{0,62}$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`;
}

/** `host:port`, an IPv6 address in brackets. */
export function addressOf(node: { readonly host: string; readonly port: number }): string {
  return node.host.includes(':') ? `[${node.host}]:${node.port}` : `${node.host}:${node.port}`;
}

/** The command that brings the schema up, for the owner of the database. */
export function migrateCommandLine(
  node: { readonly host: string; readonly port: number },
  database: string,
): string {
  const path = encodeURIComponent(database);
  const url = `postgres://<owner>:...@${addressOf(node)}/${path}`;
  return `STOWAGE_ADMIN_URL='${url}' stowage migrate up`;
}

/** Bytes for a person, in units of 1024. */
export function bytesText(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value >= 10 || unit === 0 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}
