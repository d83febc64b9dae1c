/**
 * The one table of settings: variable, schema, default, unit, help. docs/config.md is rendered from
 * it; `config.ts` reads the environment by it.
 */

import { z } from 'zod';
import {
  address,
  flag,
  headers,
  httpUrl,
  integer,
  list,
  parsed,
  ratio,
  secretsKey,
  token,
} from './config-schemas.js';
import { parseDatabaseUrl } from './lib/database-url.js';
import { poolers } from './lib/database-url-parameters.js';

export type { Address } from './config-schemas.js';

/** The log's levels, from the most to the least. */
export const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];

/** One setting as the table and docs/config.md have it. */
export interface Setting<T = unknown> {
  /** Turns the text of the environment into the value. */
  readonly schema: z.ZodType<T, string>;
  /** The text that stands in when the variable is unset or empty; undefined: no value. */
  readonly default: string | undefined;
  /** What the number counts or the text is. */
  readonly unit: string;
  readonly help: string;
  readonly secret: boolean;
}

interface SettingOptions<T> {
  readonly schema: z.ZodType<T, string>;
  readonly default?: string;
  readonly unit: string;
  readonly help: string;
  readonly secret?: boolean;
}

function setting<T>(options: SettingOptions<T>): Setting<T> {
  return {
    schema: options.schema,
    default: options.default,
    unit: options.unit,
    help: options.help,
    secret: options.secret ?? false,
  };
}

const milliseconds = (defaultMs: number, minMs: number, maxMs: number, help: string) =>
  setting({ schema: integer(minMs, maxMs), default: String(defaultMs), unit: 'ms', help });

const count = (standard: number, min: number, max: number, unit: string, help: string) =>
  setting({ schema: integer(min, max), default: String(standard), unit, help });

/** Every setting, in the order of docs/config.md. A key here is the variable's name. */
export const configTable = {
  DATABASE_URL: setting({
    schema: parsed(parseDatabaseUrl),
    unit: 'URL',
    help:
      'The database as postgres://user:password@host:port,host:port/database?sslmode=verify-full' +
      '&sslrootcert=ca.pem, all nodes in any order; sslmode is disable, require, verify-ca or ' +
      'verify-full; sslrootcert=system is what Node trusts; connect_timeout, in seconds, goes ' +
      'before STOWAGE_CONNECT_TIMEOUT_MS, and pooler before POSTGRES_POOLER. Used instead of ' +
      'POSTGRES_HOST, _PORT, _DB and _USER.',
    secret: true,
  }),
  POSTGRES_HOST: setting({
    schema: z.string(),
    default: '127.0.0.1',
    unit: 'names',
    help: 'The nodes as a comma list of host or host:port, in any order: roles are discovered.',
  }),
  STOWAGE_NODES_FILE: setting({
    schema: z.string(),
    unit: 'path',
    help:
      'A file with the nodes as host or host:port, separated by commas or line ends, used ' +
      'instead of the hosts in DATABASE_URL or POSTGRES_HOST. `stowage serve` reads it again on ' +
      'SIGHUP.',
  }),
  POSTGRES_PORT: count(5432, 1, 65_535, 'port', 'The port of every host that names none.'),
  POSTGRES_DB: setting({
    schema: z.string(),
    default: 'stowage',
    unit: 'name',
    help: 'The database.',
  }),
  POSTGRES_USER: setting({
    schema: z.string(),
    default: 'stowage',
    unit: 'name',
    help: 'The login role of the service, a member of stowage_service.',
  }),
  POSTGRES_PASSWORD: setting({
    schema: z.string(),
    unit: 'text',
    help: 'Its password; also for a DATABASE_URL that has none.',
    secret: true,
  }),
  POSTGRES_PASSWORD_FILE: setting({
    schema: z.string(),
    unit: 'path',
    help:
      'A file that holds the password and one line end, instead of POSTGRES_PASSWORD. ' +
      '`stowage serve` reads it again on SIGHUP.',
  }),
  PGPASSFILE: setting({
    schema: z.string(),
    unit: 'path',
    help:
      'A password file in the form of libpq, for a login whose password is nowhere else; lines ' +
      'of host:port:database:user:password. Nobody but its owner may have rights to it.',
  }),
  POSTGRES_POOLER: setting({
    schema: z.enum(poolers, `must be ${poolers.join(' or ')}`),
    default: 'none',
    unit: 'none or transaction',
    help:
      '`transaction`: each host is a PgBouncer in transaction mode before one PostgreSQL node. ' +
      'Migrations need STOWAGE_ADMIN_URL then.',
  }),
  POSTGRES_MIN_CONN: count(2, 0, 1000, 'connections', 'Connections kept warm, a node.'),
  POSTGRES_MAX_CONN: count(20, 4, 1000, 'connections', 'Connections in all, a node and process.'),
  STOWAGE_ADMIN_URL: setting({
    schema: parsed(parseDatabaseUrl),
    unit: 'URL',
    help:
      'The migrator’s connection, which owns the schema; vacuum, analyze and reindex use it too. ' +
      'In the form of DATABASE_URL, with the user postgres and the database stowage where it ' +
      'names none. It must reach the nodes themselves, past any pooler.',
    secret: true,
  }),
  STOWAGE_MIGRATE: setting({
    schema: flag,
    default: 'false',
    unit: 'true or false',
    help: 'Whether `stowage serve` migrates the database before it serves.',
  }),
  STOWAGE_GRPC_ADDRESS: setting({
    schema: address,
    default: '127.0.0.1:50051',
    unit: 'host:port',
    help: 'Where the gRPC door listens; port 0 takes a free one.',
  }),
  STOWAGE_HTTP_ADDRESS: setting({
    schema: address,
    default: '127.0.0.1:8080',
    unit: 'host:port',
    help: 'Where the Connect, gRPC-Web and health pages door listens; port 0 takes a free one.',
  }),
  STOWAGE_AUTH_TOKEN: setting({
    schema: token,
    unit: 'text',
    help:
      'When set, every call but health must send `authorization: Bearer` with it. Must be set to ' +
      'listen on another address than loopback.',
    secret: true,
  }),
  STOWAGE_AUTH_TOKEN_FILE: setting({
    schema: z.string(),
    unit: 'path',
    help: 'A file that holds the token, instead of STOWAGE_AUTH_TOKEN.',
  }),
  STOWAGE_ALLOWED_HOSTS: setting({
    schema: list,
    default: '',
    unit: 'names',
    help: 'Host names that the HTTP door answers to beside loopback and its own address.',
  }),
  STOWAGE_ALLOWED_ORIGINS: setting({
    schema: list,
    default: '',
    unit: 'origins',
    help: 'Origins whose web pages may call, such as https://app.example; `*` is any.',
  }),
  STOWAGE_LOG_LEVEL: setting({
    schema: z.enum(logLevels, `must be one of ${logLevels.join(', ')}`),
    default: 'info',
    unit: 'level',
    help: 'How much is logged: failed calls are at warn, others at info, health at debug.',
  }),
  STOWAGE_METRICS: setting({
    schema: flag,
    default: 'true',
    unit: 'true or false',
    help: 'Whether figures are counted, and told at /metrics and to a collector.',
  }),
  STOWAGE_TRACE_RATIO: setting({
    schema: ratio,
    unit: '0 to 1',
    help:
      'The share of traces that begin here and are recorded; those that a caller records are ' +
      'recorded in any case. Unset: no call is traced. Needs OTEL_EXPORTER_OTLP_ENDPOINT.',
  }),
  OTEL_EXPORTER_OTLP_ENDPOINT: setting({
    schema: httpUrl,
    unit: 'URL',
    help:
      'A collector that takes OTLP over HTTP, such as http://127.0.0.1:4318: metrics go to ' +
      'v1/metrics below it, traces to v1/traces.',
  }),
  OTEL_EXPORTER_OTLP_HEADERS: setting({
    schema: headers,
    default: '',
    unit: 'key=value,...',
    help: 'Headers that the collector asks for; values are percent-encoded.',
    secret: true,
  }),
  OTEL_METRIC_EXPORT_INTERVAL: milliseconds(
    60_000,
    100,
    3_600_000,
    'How often metrics are sent to the collector.',
  ),
  OTEL_SERVICE_NAME: setting({
    schema: z.string(),
    default: 'stowage',
    unit: 'name',
    help: 'The name of the service in metrics and traces.',
  }),
  STOWAGE_SLOW_STATEMENT_MS: milliseconds(
    1000,
    0,
    3_600_000,
    'Statements that take longer are logged, with a digest of their plan; 0: none.',
  ),
  STOWAGE_SLOW_STATEMENT_PARAMETERS: setting({
    schema: flag,
    default: 'false',
    unit: 'true or false',
    help: 'Whether that log has the parameters, cut to 1,000 characters: they are callers’ data.',
  }),
  STOWAGE_SERVER: setting({
    schema: z.string(),
    default: '127.0.0.1:50051',
    unit: 'host:port',
    help: 'The server that `stowage scan` and `stowage project` call.',
  }),
  STOWAGE_TOKEN: setting({
    schema: z.string(),
    unit: 'text',
    help: 'The token with which they call.',
    secret: true,
  }),
  STOWAGE_DATA_DIR: setting({
    schema: z.string(),
    default: '.stowage',
    unit: 'path',
    help: 'Where `stowage dev` keeps its cluster.',
  }),
  STOWAGE_STANDBYS: count(2, 0, 8, 'nodes', 'Standbys of the cluster of `stowage dev`.'),
  STOWAGE_UNARY_TIMEOUT_MS: milliseconds(
    30_000,
    1,
    3_600_000,
    'Deadline of a unary call that brings none.',
  ),
  STOWAGE_UNARY_TIMEOUT_MAX_MS: milliseconds(
    300_000,
    1,
    3_600_000,
    'The longest deadline of a unary call; longer ones are shortened to it.',
  ),
  STOWAGE_UNARY_IN_FLIGHT_MAX: count(
    1000,
    1,
    100_000,
    'calls',
    'Unary calls at the same time; one more is OVERLOADED.',
  ),
  STOWAGE_STREAMS_IN_FLIGHT_MAX: count(
    100,
    1,
    100_000,
    'calls',
    'Streams at the same time, watches of the topology too; one more is OVERLOADED.',
  ),
  STOWAGE_STREAM_IDLE_TIMEOUT_MS: milliseconds(
    60_000,
    100,
    3_600_000,
    'How long a stream waits for a caller that does not read, before SLOW_CONSUMER.',
  ),
  STOWAGE_STREAM_HEARTBEAT_MS: milliseconds(
    5000,
    10,
    60_000,
    'How long a stream may be silent before it sends a heartbeat.',
  ),
  STOWAGE_SHUTDOWN_GRACE_MS: milliseconds(
    10_000,
    0,
    3_600_000,
    'How long running calls may go on after SIGTERM; then they end with DRAINING.',
  ),
  STOWAGE_CONNECTION_AGE_MAX_MS: milliseconds(
    1_800_000,
    1000,
    86_400_000,
    'How old a gRPC connection grows before it is asked to come again.',
  ),
  STOWAGE_CONNECT_TIMEOUT_MS: milliseconds(
    3000,
    10,
    60_000,
    'How long connecting to a database node may take.',
  ),
  STOWAGE_PROBE_INTERVAL_MS: milliseconds(500, 10, 60_000, 'How often each node is probed.'),
  STOWAGE_PROBE_TIMEOUT_MS: milliseconds(300, 10, 60_000, 'How long a probe may take.'),
  STOWAGE_QUEUE_MAX: count(
    1000,
    0,
    100_000,
    'calls',
    'Calls that may wait for a connection, a node; one more is OVERLOADED.',
  ),
  STOWAGE_QUEUE_TIMEOUT_MS: milliseconds(
    1000,
    1,
    60_000,
    'How long a call may wait for a connection.',
  ),
  STOWAGE_FRESHNESS_WAIT_MS: milliseconds(
    200,
    0,
    60_000,
    'How long a read may wait for a standby to come to its token, at most half of its deadline; ' +
      'then the primary is asked.',
  ),
  STOWAGE_LOCK_TIMEOUT_MS: milliseconds(
    5000,
    1,
    600_000,
    'How long a statement may wait for a lock.',
  ),
  STOWAGE_IDLE_IN_TRANSACTION_TIMEOUT_MS: milliseconds(
    60_000,
    1,
    3_600_000,
    'How long a transaction may stand idle before PostgreSQL ends it.',
  ),
  STOWAGE_REQUEST_LOG_HOURS: count(
    24,
    1,
    8760,
    'hours',
    'How long the answer of a write with a `request_id` is kept for repeats. The same for all ' +
      'servers of a database: the shortest of them counts.',
  ),
  STOWAGE_AUDIT_MUTATIONS: setting({
    schema: flag,
    default: 'true',
    unit: 'true or false',
    help: 'Whether every write appends an audit event of its own, in the same commit.',
  }),
  STOWAGE_AUDIT_LATE_EVENTS: setting({
    schema: flag,
    default: 'false',
    unit: 'true or false',
    help: 'Whether events for months that are sealed are taken; such a month is sealed again.',
  }),
  STOWAGE_AUDIT_SEAL_DAYS: count(
    35,
    1,
    3_650,
    'days',
    'How long after its end, or after it was made, a month of the audit trail is sealed.',
  ),
  STOWAGE_SECRETS_KEY: setting({
    schema: secretsKey,
    unit: 'Base64',
    help: 'What encrypts the secrets of hooks: 32 random bytes. Unset: no hook can have one.',
    secret: true,
  }),
} as const satisfies Record<string, Setting>;
