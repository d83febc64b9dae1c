/**
 * Reads libpq's password file: lines of `host:port:database:user:password`, where `*` stands for
 * anything and a backslash takes the meaning from what follows. Touches no file.
 */

/** For what a password is looked up. */
export interface PassFileKey {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
}

/** The password of the first line that fits, as libpq has it; undefined where none does. */
export function findPassword(text: string, key: PassFileKey): string | undefined {
  const wanted = [key.host, String(key.port), key.database, key.user];
  for (const line of text.split(/\r?\n/)) {
    if (line === '' || line.startsWith('#')) continue;
    const fields = splitLine(line);
    const password = fields[wanted.length];
    const fits = wanted.every((value, index) => matches(fields[index], value));
    if (fits && password !== undefined && password.raw !== '') return password.text;
  }
  return undefined;
}

interface Field {
  /** As it stands: only a bare star stands for anything. */
  readonly raw: string;
  readonly text: string;
}

/** The password is the fifth field and reaches to the next bare colon. */
function splitLine(line: string): readonly Field[] {
  return [...line.matchAll(/((?:\\.|[^:\\]|\\$)*)(?::|$)/g)].map(([, raw = '']) => ({
    raw,
    text: raw.replace(/\\(.)/g, '$1'),
  }));
}

function matches(field: Field | undefined, value: string): boolean {
  return field !== undefined && (field.raw === '*' || field.text === value);
}
