/** Text as one word of a POSIX shell, for commands that a person copies. */

/** The text as a shell takes it for itself: in single quotes, unless nothing in it needs them. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
