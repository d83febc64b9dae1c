/**
 * Errors as the log has them: what failed and where, in as many words as hold no data. PostgreSQL
 * quotes rows and parameters in some of its texts, and collectors answer with what they like.
 */

/** Errors behind an error; what lies deeper tells no more. */
const causesMax = 3;
const messageCharactersMax = 1000;
const stackCharactersMax = 4000;

/** Names, never values: PostgreSQL's `detail`, `where` and other texts hold data. */
const facts = [
  'reason',
  'severity',
  'schema',
  'table',
  'column',
  'dataType',
  'constraint',
  'routine',
];

/** What the log writes of whatever was thrown. */
export function serializeError(thrown: unknown): unknown {
  return serialize(thrown, causesMax);
}

function serialize(thrown: unknown, depth: number): unknown {
  if (!(thrown instanceof Error)) {
    return typeof thrown === 'string' ? thrown.slice(0, messageCharactersMax) : typeof thrown;
  }
  const message = messageOf(thrown);
  const error: Record<string, unknown> = { type: thrown.name, message };
  const code = textOf(thrown, 'code');
  if (code !== undefined) error['code'] = code;
  for (const fact of facts) {
    const text = textOf(thrown, fact);
    if (text !== undefined) error[fact] = text;
  }
  const frames = framesOf(thrown);
  if (frames !== '') error['stack'] = `${thrown.name}: ${message}\n${frames}`;
  if (depth > 0 && thrown.cause !== undefined) error['cause'] = serialize(thrown.cause, depth - 1);
  if (depth > 0 && thrown instanceof AggregateError) {
    error['errors'] = thrown.errors.slice(0, causesMax).map((each) => serialize(each, depth - 1));
  }
  return error;
}

/** Each language has its own, and PostgreSQL speaks that of its `lc_messages`. */
const quotes = '"\u00ab\u00bb\u2018-\u201f\u2039\u203a\u300c-\u300f\uff02';

/**
 * Of a value that was refused (class 22), or text that is no query or pattern (42601), PostgreSQL
 * quotes the value; in other messages it quotes names. Readers of JSON and of messages quote too.
 */
const quoted = new RegExp(`[${quotes}].*([${quotes}]|$)`, 's');

function messageOf(error: Error): string {
  const code = textOf(error, 'code') ?? '';
  const text = error.message.slice(0, messageCharactersMax);
  const isQuoting = /^(?:22...|42601)$/.test(code) || /^(?:Syntax|Field\w+)Error$/.test(error.name);
  return isQuoting ? text.replace(quoted, '"…"') : text;
}

/** The stack without its first lines, which repeat the message, whatever that looks like. */
function framesOf({ stack = '', message }: Error): string {
  const frames = stack.slice(Math.max(0, stack.indexOf(message)) + message.length);
  const start = frames.search(/^\s+at /m);
  return start === -1 ? '' : frames.slice(start, start + stackCharactersMax);
}

function textOf(error: Error, key: string): string | undefined {
  const value: unknown = Reflect.get(error, key);
  if (typeof value === 'number') return String(value);
  return typeof value === 'string' && value !== '' ? value : undefined;
}
