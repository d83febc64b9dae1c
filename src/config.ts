/** The only reader of the environment. */

/** How to reach PostgreSQL and how much of it to use; every field is a setting. */
export interface PostgresSettings {
  /** The nodes, in any order: roles are discovered. */
  readonly nodes: readonly { readonly host: string; readonly port: number }[];
  readonly database: string;
  readonly user: string;
  /** Undefined where the server asks for none. Never logged. */
  readonly password: string | undefined;
  /** False: plain text. */
  readonly tls: false | { readonly ca: string | undefined; readonly rejectUnauthorized: boolean };
  /** Connections a node and process, all classes; default 20: 14 unary, 5 streams, 1 probe. */
  readonly connectionsMax: number;
  /** Connections kept warm a node; default 2. */
  readonly connectionsMin: number;
  /** Default 3000. */
  readonly connectTimeoutMs: number;
  /** Default 500. */
  readonly probeIntervalMs: number;
  /** Default 300. */
  readonly probeTimeoutMs: number;
  /** Calls that may wait for a connection, a node; default 1000. */
  readonly queueMax: number;
  /** How long a call may wait for a connection; default 1000. */
  readonly queueTimeoutMs: number;
  /** Default 5000. */
  readonly lockTimeoutMs: number;
  /** Default 60000. */
  readonly idleInTransactionTimeoutMs: number;
}
