/**
 * The driver as this room uses it. The published types of `pg` describe its public face only; what
 * is leaned on beyond it stands here and nowhere else, guarded by test/postgres/driver.test.ts
 * against the pinned version.
 */

import type { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import pg from 'pg';
import type { PostgresSettings } from '../config.js';

/** A parameter as it is sent: text, binary, or null. */
export type WireValue = string | Buffer | null;

/** `client.connection`: writes protocol messages; emits one event a message that arrives. */
export interface DriverConnection extends EventEmitter {
  /** The socket, or the TLS socket over it; its one `data` listener is the parser. */
  readonly stream: Socket;
  connect(port: number, host: string): void;
  requestSsl(): void;
  cancel(processId: number, secretKey: number): void;
  parse(message: { readonly name: string; readonly text: string }): void;
  describe(message: { readonly type: 'S'; readonly name: string }): void;
  bind(message: {
    readonly statement: string;
    readonly values: readonly WireValue[];
    readonly binary?: boolean;
  }): void;
  execute(message: { readonly rows: number }): void;
  flush(): void;
  close(message: { readonly type: 'S'; readonly name: string }): void;
  sync(): void;
}

/** A column as the server describes it. */
export interface ColumnDescription {
  readonly name: string;
  readonly dataTypeID: number;
}

/** What the client calls on the submission that it runs; `pg` calls this a Submittable. */
export interface Submission {
  submit(connection: DriverConnection): void;
  handleRowDescription(message: { readonly fields: readonly ColumnDescription[] }): void;
  handleDataRow(message: { readonly fields: readonly (string | null)[] }): void;
  handleCommandComplete(message: { readonly text: string }): void;
  handleEmptyQuery(): void;
  handlePortalSuspended(): void;
  handleCopyInResponse(): void;
  handleCopyData(): void;
  /** Of the server, or of the connection. Afterwards the client forgets the submission. */
  handleError(error: Error): void;
  handleReadyForQuery(): void;
}

/** A message that the server sends beside the results. */
export interface Notice {
  readonly code?: string;
  /** The server's C function; unlike the message it is in no language. */
  readonly routine?: string;
}

/** One connection to a node. */
export interface DriverClient extends EventEmitter {
  readonly connection: DriverConnection;
  /** The backend's process id and the secret of its cancel requests. */
  readonly processID: number;
  readonly secretKey: number;
  connect(): Promise<unknown>;
  /** Runs a submission; one at a time. */
  query(submission: Submission): Submission;
  /** `I` idle, `T` in a transaction, `E` in one that failed; null before the first answer. */
  getTransactionStatus(): 'I' | 'T' | 'E' | null;
  end(): Promise<void>;
}

/** One server of the cluster, by address. */
export interface NodeAddress {
  readonly host: string;
  readonly port: number;
}

/** A node's name: its address. */
export function nodeName({ host, port }: NodeAddress): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** What `purpose` a connection serves. */
export type Purpose = 'unary' | 'streams' | 'inspection' | 'probe';

/** Idle connections speak up after this long, so that firewalls and dead hosts are noticed. */
export const KEEPALIVE_DELAY_MS = 2_000;

/**
 * The driver's configuration for a node. Session settings travel in the startup packet: no further
 * round trip, and `DISCARD` cannot lose them half-way. A pooler in transaction mode refuses them,
 * and sets the application's name anew where a session last had another: see pooled.ts.
 */
export function driverConfig(
  settings: PostgresSettings,
  node: NodeAddress,
  purpose: Purpose,
): pg.ClientConfig {
  return {
    host: node.host,
    port: node.port,
    user: settings.user,
    database: settings.database,
    // A function, for the driver would fill a missing password from its own environment variables.
    password: () => settings.password ?? '',
    ssl: tlsOptions(settings),
    application_name: isPooled(settings) ? 'stowage' : `stowage ${purpose}`,
    connectionTimeoutMillis: settings.connectTimeoutMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEPALIVE_DELAY_MS,
    ...(isPooled(settings) ? {} : { options: sessionOptions(settings, purpose) }),
  };
}

/** Whether what is connected to is a pooler whose sessions last one transaction. */
export function isPooled({ pooler }: Pick<PostgresSettings, 'pooler'>): boolean {
  return pooler === 'transaction';
}

function tlsOptions(
  settings: Pick<PostgresSettings, 'tls'>,
): false | { ca?: string; rejectUnauthorized: boolean } {
  if (settings.tls === false) return false;
  const { ca, rejectUnauthorized } = settings.tls;
  return ca === undefined ? { rejectUnauthorized } : { ca, rejectUnauthorized };
}

function sessionOptions(settings: PostgresSettings, purpose: Purpose): string {
  const options: Record<string, string | number> = {
    TimeZone: 'UTC',
    DateStyle: 'ISO',
    IntervalStyle: 'postgres',
    client_min_messages: 'warning',
    lock_timeout: settings.lockTimeoutMs,
  };
  // A look at a node is a single unit, which is never idle; and it shows what others have.
  if (purpose !== 'inspection') {
    options['idle_in_transaction_session_timeout'] = settings.idleInTransactionTimeoutMs;
  }
  if (purpose === 'streams') {
    options['default_transaction_read_only'] = 'on';
    // The snapshot is taken by the first step, so that an LSN read after it covers all that the
    // stream will see. Under READ COMMITTED each step has its own snapshot.
    options['default_transaction_isolation'] = 'repeatable\\ read';
  }
  return Object.entries(options)
    .map(([name, value]) => `-c ${name}=${value}`)
    .join(' ');
}

/** A client that is not connected yet. It needs an `error` listener from its first moment on. */
export function createClient(config: pg.ClientConfig): DriverClient {
  return asDriverClient(new pg.Client(config));
}

/** A client of the driver's pool as this room uses it. */
export function asDriverClient(client: pg.Client): DriverClient {
  return client as unknown as DriverClient;
}

/** A connection that speaks the protocol only as far as a cancel request needs. */
export function createBareConnection(settings: Pick<PostgresSettings, 'tls'>): DriverConnection {
  return new pg.Connection({
    ssl: tlsOptions(settings),
  } as pg.ConnectionConfig) as unknown as DriverConnection;
}

/** Ends a connection at once, whatever it is doing; `reason` becomes the error of that. */
export function destroyClient(client: DriverClient, reason?: Error): void {
  client.connection.stream.destroy(reason);
}

/** True for an error that the server sent; false for one of the socket or of the driver. */
export function isServerError(error: unknown): error is pg.DatabaseError {
  return error instanceof pg.DatabaseError;
}

/** Reads the text form of an array of any dimension; null elements stay null. */
export function parseArray(text: string, element: (text: string) => unknown): unknown[] {
  // The published types of pg-types describe another function than the one that is there.
  const parser = pg.types.arrayParser as unknown as {
    create(source: string, transform: (text: string) => unknown): { parse(): unknown[] };
  };
  return parser.create(text, element).parse();
}
