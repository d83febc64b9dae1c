/**
 * Which statements are prepared on a connection. Bounded by the registry of statements: nothing
 * else is prepared by name, and behind a pooler nothing at all.
 */

import type { ColumnDescription, DriverConnection } from './driver.js';
import { type TextParser, textParser } from './types.js';

/** A column of a prepared statement's result. */
export interface Column {
  readonly name: string;
  readonly parse: TextParser;
}

/** What is prepared of a statement. */
export interface Preparable {
  readonly name: string;
  readonly text: string;
  /** See `Statement.plan`. */
  readonly plan?: 'custom' | 'generic';
}

/** A statement on one connection. */
export interface PreparedStatement {
  /** Empty where it is prepared for one execution. */
  readonly name: string;
  /**
   * True once an execution was completed. False: it was sent, but an error left it open whether the
   * server has it.
   */
  isReady: boolean;
  /** Empty for a statement without rows. */
  columns: readonly Column[];
}

const connections = new WeakMap<DriverConnection, Map<string, PreparedStatement>>();

/**
 * Sends what prepares a statement, unless the connection has it already; one with a custom plan is
 * sent each time, and so are all where nothing may be named. `sent` holds what the present unit has
 * sent so far, `undefined` where nothing may be named.
 */
export function prepare(
  connection: DriverConnection,
  statement: Preparable,
  sent: Set<PreparedStatement> | undefined,
): PreparedStatement {
  const { name, text, plan } = statement;
  if (plan === 'custom' || sent === undefined) return prepareOnce(connection, text);
  const known = connections.get(connection) ?? new Map<string, PreparedStatement>();
  connections.set(connection, known);
  const found = known.get(name);
  if (found !== undefined && (found.isReady || sent.has(found))) return found;
  // Closing a statement that the server does not have is no error.
  if (found !== undefined) connection.close({ type: 'S', name });
  connection.parse({ name, text });
  // Described once a connection, not at every execution: statements spell their columns out, and
  // PostgreSQL refuses to run one whose result type has changed since.
  connection.describe({ type: 'S', name });
  const prepared: PreparedStatement = { name, isReady: false, columns: [] };
  known.set(name, prepared);
  sent.add(prepared);
  return prepared;
}

/**
 * The nameless statement lives until the next one, and PostgreSQL plans the first executions of
 * any statement for their parameters: this one has no others.
 */
function prepareOnce(connection: DriverConnection, text: string): PreparedStatement {
  connection.parse({ name: '', text });
  connection.describe({ type: 'S', name: '' });
  return { name: '', isReady: false, columns: [] };
}

/** The columns that the server described. */
export function columnsOf(fields: readonly ColumnDescription[]): Column[] {
  return fields.map(({ name, dataTypeID }) => ({ name, parse: textParser(dataTypeID) }));
}
