/**
 * Errors as the log has them: what failed and where, in as many words as hold no data. PostgreSQL
 * quotes rows and parameters in some of its texts, and collectors answer with what they like.
 */

/** Errors behind an error; what lies deeper tells no more. */
const causesMax = 3;
const messageCharactersMax = 1000;
const stackCharactersMax = 4000;

/** An error in the log. */
export interface LoggedError {
  readonly type: string;
  readonly message: string;
  readonly code?: string;
  readonly stack?: string;
  /** Facts of PostgreSQL's that name parts of the schema, never values. */
  readonly [fact: string]: unknown;
  readonly cause?: unknown;
}

/** What is logged of an error of PostgreSQL's; `detail` and `where`, for two, hold data. */
const facts = ['severity', 'schema', 'table', 'column', 'dataType', 'constraint', 'routine'];

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

/**
 * Of a value that was refused (class 22), or text that is no query or pattern (42601), PostgreSQL
 * quotes the value; in other messages it quotes names. Readers of JSON and of messages quote too.
 */
function messageOf(error: Error): string {
  const code = textOf(error, 'code') ?? '';
  const text = error.message.slice(0, messageCharactersMax);
  const isQuoting = /^(?:22...|42601)$/.test(code) || /^(?:Syntax|Field\w+)Error$/.test(error.name);
  return isQuoting ? text.replace(/".*("|$)/s, '"…"') : text;
}

/** The stack without its first lines, which repeat the message. */
function framesOf({ stack = '' }: Error): string {
  const start = stack.search(/^\s+at /m);
  return start === -1 ? '' : stack.slice(start, start + stackCharactersMax);
}

function textOf(error: Error, key: string): string | undefined {
  const value: unknown = Reflect.get(error, key);
  return typeof value === 'string' && value !== '' ? value : undefined;
}
