/**
 * The one place where errors of PostgreSQL, of the driver and of sockets get their meaning. Callers
 * never see a driver's message: it is the cause, which only the log has.
 */

import { type Reason, StowageError } from '../errors.js';
import { isServerError } from './driver.js';
import { NodeLost } from './node-lost.js';
import { StaleRoute } from './read-check.js';

/** What kind of thing went wrong. */
export type FailureClass =
  /** The node was written to and is a standby. */
  | 'demotion'
  /** The connection could not be made, or ended; what was sent may have been done. */
  | 'connection_lost'
  /** The node is starting, stopping or recovering: nothing was done. */
  | 'not_accepting'
  /** Another transaction, or replay on a standby, was in the way: nothing was done. */
  | 'conflict'
  /** Somebody or a timeout cancelled the statement: nothing was done. */
  | 'cancelled'
  | 'already_exists'
  | 'constraint'
  /** No partition holds the row's time. */
  | 'no_partition'
  /** A month takes no rows: it is sealed, out of range, or one of too many that would be new. */
  | 'month_refused'
  /** The server refused a value that validation let pass. */
  | 'bad_value'
  | 'too_many_connections'
  /** Disk or memory is exhausted. */
  | 'resources'
  /** A table, column or function is not as this program knows it. */
  | 'schema_mismatch'
  /** The role may not do this, or may not log in. */
  | 'not_permitted'
  | 'unknown';

/** SQLSTATEs that are told apart from the rest of their class. */
const byState: Readonly<Record<string, FailureClass>> = {
  '0A000': 'schema_mismatch', // a prepared statement's result type has changed
  '23505': 'already_exists',
  '25006': 'demotion',
  '25P03': 'connection_lost', // idle in transaction for too long: the session was ended
  '28P01': 'not_permitted',
  '3D000': 'schema_mismatch',
  '3F000': 'schema_mismatch',
  '40003': 'connection_lost', // statement completion unknown
  '42501': 'not_permitted',
  '42P01': 'schema_mismatch',
  '42703': 'schema_mismatch',
  '42883': 'schema_mismatch',
  '53300': 'too_many_connections',
  '55P03': 'conflict', // lock_timeout
  '57014': 'cancelled',
  '57P03': 'not_accepting',
  SW001: 'month_refused', // more than four new partitions
  SW002: 'month_refused', // a month out of range
  SW003: 'month_refused', // a sealed month
};

/** What the states of months are told as: the constants of the migration that raises them. */
const monthSentences: Readonly<Record<string, string>> = {
  SW001: 'More than four months of the request have no place yet; send fewer of them at once.',
  SW002: 'The time is not from 10 years ago to one hour ahead; nothing is appended.',
  SW003: 'The month is sealed; nothing is appended.',
};

/** The first two characters of a SQLSTATE. */
const byStateClass: Readonly<Record<string, FailureClass>> = {
  '08': 'connection_lost',
  '22': 'bad_value',
  '23': 'constraint',
  '28': 'not_permitted',
  '40': 'conflict',
  '53': 'resources',
  '54': 'bad_value', // program limits, such as an index row that is too large
  '57': 'connection_lost', // 57P01, 57P02, 57P05: the backend was ended
  '58': 'resources', // I/O errors
};

/**
 * PostgreSQL's function that refuses BEGIN READ WRITE on a standby. The code is 0A000 there, for
 * 25006 is kept for statements, and the message is in the server's language.
 */
const READ_WRITE_REFUSED_ROUTINE = 'call_bool_check_hook';

/** Tells what kind of failure an error is; `unknown` for a defect of our own. */
export function classify(error: unknown): FailureClass {
  if (isServerError(error)) {
    const code = error.code ?? '';
    // A check has its name: what has none is a row that no partition takes.
    if (code === '23514' && error.constraint === undefined) return 'no_partition';
    if (code === '0A000' && error.routine === READ_WRITE_REFUSED_ROUTINE) return 'demotion';
    // On a standby a recovery conflict has this code too, and ends the session when it is FATAL.
    if (code === '40001' && error.severity === 'FATAL') return 'connection_lost';
    return byState[code] ?? byStateClass[code.slice(0, 2)] ?? 'unknown';
  }
  const isLost = error instanceof NodeLost || isSocketError(error) || isDriverError(error);
  if (isLost) return 'connection_lost';
  return 'unknown';
}

/** Losses of one session that say nothing of its node: an idle one, or one in replay's way. */
const sessionStates = new Set(['25P03', '57P05', '40001']);

/** What an error says of the node, as opposed to the statement; undefined: nothing. */
export function nodeEvidence(error: unknown): 'lost' | 'demoted' | 'crowded' | undefined {
  // What the router did itself is known, and would else be told of a node that has come back.
  if (error instanceof NodeLost) return undefined;
  if (isServerError(error) && sessionStates.has(error.code ?? '')) return undefined;
  switch (classify(error)) {
    case 'connection_lost':
    case 'not_accepting':
      return 'lost';
    case 'demotion':
      return 'demoted';
    case 'too_many_connections':
    case 'resources':
      return 'crowded';
    default:
      return undefined;
  }
}

/** The guard of a read has divided by zero: the node has not replayed what the read needs. */
const GUARD_STATE = '22012';

/**
 * Where a read that failed may be repeated, by what lay behind it. A conflict on a standby is
 * replay's, and no other node's; on the primary it is between transactions and stays.
 */
export function repetition(
  refusal: StowageError,
  route: { readonly role: 'primary' | 'standby'; readonly mustReplay: bigint | undefined },
): 'never' | 'elsewhere' | 'behind' {
  const { cause } = refusal;
  if (cause instanceof StaleRoute) return cause.kind === 'behind' ? 'behind' : 'elsewhere';
  if (isServerError(cause) && cause.code === GUARD_STATE && route.mustReplay !== undefined) {
    return 'behind';
  }
  switch (classify(cause)) {
    case 'connection_lost':
    case 'not_accepting':
    case 'too_many_connections':
    case 'resources':
      return 'elsewhere';
    case 'conflict':
      return route.role === 'standby' ? 'elsewhere' : 'never';
    default:
      return 'never';
  }
}

/** Codes of the operating system, and of Node for streams that are gone or TLS that failed. */
const SOCKET_CODE = /^(?:E[A-Z]+|ERR_(?:STREAM|SOCKET|TLS|SSL)_\w+|\w*CERT\w*)$/;

/** A host with several addresses, none of which answered, gives one error for all of them. */
function isSocketError(error: unknown): boolean {
  if (error instanceof AggregateError) return error.errors.some(isSocketError);
  return error instanceof Error && 'code' in error && SOCKET_CODE.test(String(error.code));
}

/** The driver's own errors have no code; these are all that 8.23.1 makes of a lost connection. */
const driverMessages = new Set([
  'Client has encountered a connection error and is not queryable',
  'Client was closed and is not queryable',
  'Connection terminated',
  'Connection terminated due to connection timeout',
  'Connection terminated unexpectedly',
  'Query read timeout',
  'The server does not support SSL connections',
  'There was an error establishing an SSL connection',
  'timeout exceeded when trying to connect',
  'timeout expired',
]);

function isDriverError(error: unknown): boolean {
  return error instanceof Error && driverMessages.has(error.message);
}

/** Where an error happened. */
export interface FailureContext {
  /** `write`: nothing was committed; who cannot tell does not come here. */
  readonly phase: 'read' | 'write';
  /** The node's name. */
  readonly node: string;
  /** On the clock of `performance.now()`. */
  readonly deadlineMs: number;
}

/** What RetryInfo tells callers of passing failures. */
const RETRY_DELAY_MS = 1_000;

/** Brings any error to the form that leaves the core. A StowageError stays what it is. */
export function toStowageError(error: unknown, context: FailureContext): StowageError {
  if (error instanceof StowageError) return error;
  if (error instanceof StaleRoute) return staleRoute(error, context);
  const failure = classify(error);
  const { reason, message } = reasonFor(failure, context, error);
  const isPassing = reason === 'OVERLOADED' || reason === 'NO_PRIMARY' || reason === 'NO_NODE';
  return new StowageError(reason, {
    ...(message === undefined ? {} : { message }),
    ...(isPassing ? { retryDelayMs: RETRY_DELAY_MS } : {}),
    metadata: metadataFor(error, reason, context),
    cause: error,
  });
}

/** Told only where no other node was left to repeat the work on. */
function staleRoute(error: StaleRoute, { phase, node }: FailureContext): StowageError {
  const passing = phase === 'read' ? 'NO_NODE' : 'NO_PRIMARY';
  return new StowageError(error.kind === 'behind' ? 'STANDBY_BEHIND' : passing, {
    retryDelayMs: RETRY_DELAY_MS,
    metadata: { node },
    cause: error,
  });
}

interface Answer {
  readonly reason: Reason;
  /** Where the table's sentence would say less. */
  readonly message?: string;
}

function reasonFor(failure: FailureClass, context: FailureContext, error: unknown): Answer {
  switch (failure) {
    case 'demotion':
      // A statement that says it reads and writes is a defect wherever it runs.
      return { reason: context.phase === 'read' ? 'INTERNAL' : 'NO_PRIMARY' };
    case 'connection_lost':
      return { reason: context.phase === 'write' ? 'NO_PRIMARY' : 'NO_NODE' };
    case 'not_accepting':
      return { reason: context.phase === 'read' ? 'NO_NODE' : 'NO_PRIMARY' };
    case 'conflict':
      return {
        reason: 'OVERLOADED',
        message: 'Another transaction was in the way; nothing was done: repeat after the delay.',
      };
    case 'cancelled':
      return performance.now() >= context.deadlineMs
        ? { reason: 'DEADLINE_EXCEEDED' }
        : { reason: 'CANCELLED', message: 'The database cancelled the statement.' };
    case 'already_exists':
      return { reason: 'ALREADY_EXISTS' };
    case 'bad_value':
      return {
        reason: 'INVALID_REQUEST',
        message: 'The database cannot hold a value of the request.',
      };
    case 'too_many_connections':
      return { reason: 'OVERLOADED', message: 'The database has no free connection.' };
    case 'resources':
      return { reason: 'OVERLOADED', message: 'The database has run out of disk or memory.' };
    case 'schema_mismatch':
      return { reason: 'SCHEMA_MISMATCH' };
    case 'month_refused': {
      const message = isServerError(error) ? monthSentences[error.code ?? ''] : undefined;
      return { reason: 'EVENT_TIME_OUT_OF_RANGE', ...(message === undefined ? {} : { message }) };
    }
    case 'constraint':
    case 'no_partition':
    case 'not_permitted':
    case 'unknown':
      return { reason: 'INTERNAL' };
  }
}

/** Facts that give nothing away; the constraint's name tells which rule was broken. */
function metadataFor(
  error: unknown,
  reason: Reason,
  context: FailureContext,
): Record<string, string> {
  if (reason === 'INTERNAL' || reason === 'SCHEMA_MISMATCH') return {};
  const constraint = isServerError(error) ? error.constraint : undefined;
  return constraint === undefined ? { node: context.node } : { constraint };
}
