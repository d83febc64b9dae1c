/**
 * The only reader of the environment: the table of settings, parsed at once into a frozen Config.
 * Every mistake is reported together; what a secret holds is never repeated.
 */

import type { z } from 'zod';
import { type KeepingSettings, keepingSettings } from './config-keeping.js';
import {
  type FoundPassword,
  type Login,
  namedReader,
  noPassword,
  type PasswordSource,
  passFileReader,
  passwordOfFile,
  type ReadNamed,
  type SettingFiles,
  systemFiles,
} from './config-password.js';
import { ConfigError, isLoopback } from './config-schemas.js';
import { type Address, configTable, type LogLevel } from './config-table.js';
import { type TelemetrySettings, telemetrySettings } from './config-telemetry.js';
import { type DatabaseTarget, parseNodes, parseNodesFile } from './lib/database-url.js';
import type { Pooler } from './lib/database-url-parameters.js';

export { ConfigError, isLoopback } from './config-schemas.js';
export { type Address, configTable, type LogLevel } from './config-table.js';

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
  /** What stands before each node; default `none`. */
  readonly pooler: Pooler;
  /** Connections a node and process, all classes; default 20: 13 unary, 5 streams, 2 others. */
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
  /** How long a read may wait for a standby to come to its token; default 200. */
  readonly freshnessWaitMs: number;
  /** Default 5000. */
  readonly lockTimeoutMs: number;
  /** Default 60000. */
  readonly idleInTransactionTimeoutMs: number;
}

/** A login to the database, without what the service's pools need beside it. */
export type DatabaseLogin = Pick<
  PostgresSettings,
  'nodes' | 'database' | 'user' | 'password' | 'tls' | 'connectTimeoutMs'
>;

/** The migrator's login. */
export interface AdminLogin extends DatabaseLogin {
  /** The setting that its password came from; undefined: there is none. */
  readonly passwordSource: PasswordSource | undefined;
}

/** How the doors serve. */
export interface ServerSettings {
  readonly grpcAddress: Address;
  readonly httpAddress: Address;
  /** The bearer token that every call but health must send; undefined: none. Never logged. */
  readonly authToken: string | undefined;
  /** Host names that door 2 answers to beside loopback and its own address; lower case. */
  readonly allowedHosts: readonly string[];
  /** Origins whose pages may call door 2; `*` is any. */
  readonly allowedOrigins: readonly string[];
  /** Deadline of a unary call that brings none. */
  readonly unaryTimeoutMs: number;
  /** The longest deadline that a unary call may bring. */
  readonly unaryTimeoutMaxMs: number;
  readonly unaryInFlightMax: number;
  readonly streamsInFlightMax: number;
  /** How long a stream may wait for its reader. */
  readonly streamIdleTimeoutMs: number;
  /** Default 5000. */
  readonly streamHeartbeatMs: number;
  /** How long running calls may go on once the server is told to stop. */
  readonly shutdownGraceMs: number;
  /** How old a connection of door 1 grows before it is asked to come again. */
  readonly connectionAgeMaxMs: number;
}

/** Everything that is set, parsed and checked. */
export interface Config {
  readonly postgres: PostgresSettings;
  /** The setting that the service's password came from; undefined: there is none. */
  readonly passwordSource: PasswordSource | undefined;
  /** The migrator's login; undefined: the service's own is tried, see {@link ownersLogin}. */
  readonly admin: AdminLogin | undefined;
  readonly server: ServerSettings;
  /** Where `stowage dev` keeps its cluster. */
  readonly dataDir: string;
  /** Standbys of `stowage dev`. */
  readonly standbys: number;
  /** Whether `stowage serve` migrates before it serves. */
  readonly migrate: boolean;
  readonly logLevel: LogLevel;
  readonly telemetry: TelemetrySettings;
  readonly keeping: KeepingSettings;
}

type Key = keyof typeof configTable;
type Environment = Readonly<Record<string, string | undefined>>;
/** A value is undefined where the variable is unset and has no default. */
type Values = { [K in Key]: z.output<(typeof configTable)[K]['schema']> | undefined };

const allKeys = Object.keys(configTable) as readonly Key[];

/** Reads the process's environment. @throws ConfigError with every mistake at once */
export function loadConfig(): Config {
  return parseConfig(process.env);
}

/** What the commands that call a server take from the environment. */
export interface ClientSettings {
  readonly server: string;
  /** Never logged. */
  readonly token: string | undefined;
}

/** Reads what a client needs and nothing else. @throws ConfigError */
export function loadClientDefaults(environment: Environment = process.env): ClientSettings {
  const problems: string[] = [];
  const values = readValues(environment, problems, ['STOWAGE_SERVER', 'STOWAGE_TOKEN']);
  if (problems.length > 0) {
    throw new ConfigError(problems);
  }
  return { server: known(values.STOWAGE_SERVER), token: values.STOWAGE_TOKEN };
}

/**
 * Parses an environment; an empty variable counts as unset.
 * @throws ConfigError with every mistake at once
 */
export function parseConfig(environment: Environment, files: SettingFiles = systemFiles): Config {
  const problems: string[] = [];
  const values = readValues(environment, problems);
  const read = namedReader(files, problems);
  const passFile = passFileReader(values.PGPASSFILE, files, problems);
  const { passwordSource, ...postgres } = postgresSettings(values, problems, read, passFile);
  if (values.DATABASE_URL !== undefined && environment['POSTGRES_HOST']) {
    problems.push('POSTGRES_HOST: set DATABASE_URL or POSTGRES_HOST, not both');
  }
  const admin = adminLogin(values, problems, read, passFile);
  if (values.STOWAGE_MIGRATE && admin === undefined && postgres.pooler === 'transaction') {
    problems.push(`STOWAGE_MIGRATE: needs STOWAGE_ADMIN_URL, ${pastThePooler}`);
  }
  const server = serverSettings(values, problems, read);
  const telemetry = telemetrySettings(values, problems);
  if (problems.length > 0) {
    throw new ConfigError(problems);
  }
  return Object.freeze({
    postgres: Object.freeze(postgres),
    passwordSource,
    admin,
    server: Object.freeze(server),
    dataDir: known(values.STOWAGE_DATA_DIR),
    standbys: known(values.STOWAGE_STANDBYS),
    migrate: known(values.STOWAGE_MIGRATE),
    logLevel: known(values.STOWAGE_LOG_LEVEL),
    telemetry: Object.freeze(telemetry),
    keeping: Object.freeze(keepingSettings(values)),
  });
}

function readValues(environment: Environment, problems: string[], keys = allKeys): Values {
  const values: Partial<Record<Key, unknown>> = {};
  for (const key of keys) {
    const text = environment[key] || configTable[key].default;
    if (text === undefined) {
      continue;
    }
    const result = configTable[key].schema.safeParse(text);
    if (result.success) {
      values[key] = result.data;
    } else {
      // The message alone: zod's own texts could repeat what was given.
      problems.push(`${key}: ${result.error.issues.map((issue) => issue.message).join('; ')}`);
    }
  }
  // Each value was made by its own key's schema.
  return values as Values;
}

/** A setting with a default is undefined only beside a problem, and then nobody sees the value. */
function known<T>(value: T | undefined): T {
  return value as T;
}

type PassFile = (login: Login) => FoundPassword;

function postgresSettings(
  values: Values,
  problems: string[],
  read: ReadNamed,
  passFile: PassFile,
): PostgresSettings & Pick<Config, 'passwordSource'> {
  const url = values.DATABASE_URL;
  const connectionsMax = known(values.POSTGRES_MAX_CONN);
  const connectionsMin = known(values.POSTGRES_MIN_CONN);
  if (connectionsMin > connectionsMax) {
    problems.push('POSTGRES_MIN_CONN: must not be over POSTGRES_MAX_CONN');
  }
  const login = {
    nodes: nodesOf(values, problems, read),
    database: url?.database ?? known(values.POSTGRES_DB),
    user: url?.user ?? known(values.POSTGRES_USER),
  };
  const { password, source } = servicePassword(values, problems, read, () => passFile(login));
  return {
    ...login,
    password,
    passwordSource: source,
    tls: tlsOf('DATABASE_URL', url, read),
    pooler: url?.pooler ?? known(values.POSTGRES_POOLER),
    connectionsMax,
    connectionsMin,
    connectTimeoutMs: url?.connectTimeoutMs ?? known(values.STOWAGE_CONNECT_TIMEOUT_MS),
    probeIntervalMs: known(values.STOWAGE_PROBE_INTERVAL_MS),
    probeTimeoutMs: known(values.STOWAGE_PROBE_TIMEOUT_MS),
    queueMax: known(values.STOWAGE_QUEUE_MAX),
    queueTimeoutMs: known(values.STOWAGE_QUEUE_TIMEOUT_MS),
    freshnessWaitMs: known(values.STOWAGE_FRESHNESS_WAIT_MS),
    lockTimeoutMs: known(values.STOWAGE_LOCK_TIMEOUT_MS),
    idleInTransactionTimeoutMs: known(values.STOWAGE_IDLE_IN_TRANSACTION_TIMEOUT_MS),
  };
}

function servicePassword(
  values: Values,
  problems: string[],
  read: ReadNamed,
  passFile: () => FoundPassword,
): FoundPassword {
  const path = values.POSTGRES_PASSWORD_FILE;
  if (path !== undefined && values.POSTGRES_PASSWORD !== undefined) {
    problems.push('POSTGRES_PASSWORD_FILE: set it or POSTGRES_PASSWORD, not both');
    return noPassword;
  }
  if (values.DATABASE_URL?.password !== undefined) {
    return { password: values.DATABASE_URL.password, source: 'DATABASE_URL' };
  }
  if (values.POSTGRES_PASSWORD !== undefined) {
    return { password: values.POSTGRES_PASSWORD, source: 'POSTGRES_PASSWORD' };
  }
  if (path === undefined) return passFile();
  const text = read('POSTGRES_PASSWORD_FILE', path);
  const password = text === undefined ? undefined : passwordOfFile(text, problems);
  return { password, source: 'POSTGRES_PASSWORD_FILE' };
}

/** How long the migrator waits for a node: nobody waits for it, and the node may be starting. */
const adminConnectTimeoutMs = 10_000;

const pastThePooler =
  'the nodes themselves as their owner reaches them: its locks are held by a session, which a ' +
  'pooler in transaction mode does not keep';

/**
 * The login that owns the schema: the migrator's, else the service's own is tried.
 * @throws ConfigError where the service's own leads to a pooler
 */
export function ownersLogin({ admin, postgres }: Config): DatabaseLogin {
  if (admin !== undefined) return admin;
  if (postgres.pooler === 'none') return postgres;
  throw new ConfigError([`STOWAGE_ADMIN_URL: must be set for this, ${pastThePooler}`]);
}

function adminLogin(
  values: Values,
  problems: string[],
  read: ReadNamed,
  passFile: PassFile,
): AdminLogin | undefined {
  const url = values.STOWAGE_ADMIN_URL;
  if (url === undefined) return undefined;
  if (url.pooler === 'transaction') {
    problems.push(`STOWAGE_ADMIN_URL: has pooler=transaction; it names ${pastThePooler}`);
  }
  const { nodes, database = 'stowage', user = 'postgres' } = url;
  const { password, source } =
    url.password === undefined
      ? passFile({ nodes, database, user })
      : ({ password: url.password, source: 'STOWAGE_ADMIN_URL' } as const);
  return Object.freeze({
    nodes,
    database,
    user,
    password,
    passwordSource: source,
    tls: tlsOf('STOWAGE_ADMIN_URL', url, read),
    connectTimeoutMs: url.connectTimeoutMs ?? adminConnectTimeoutMs,
  });
}

function nodesOf(values: Values, problems: string[], read: ReadNamed): PostgresSettings['nodes'] {
  const { STOWAGE_NODES_FILE: path, DATABASE_URL: url } = values;
  if (path === undefined && url !== undefined) return url.nodes;
  const port = known(values.POSTGRES_PORT);
  try {
    if (path === undefined) return parseNodes(known(values.POSTGRES_HOST), port);
    const text = read('STOWAGE_NODES_FILE', path);
    return text === undefined ? [] : parseNodesFile(text, port);
  } catch (error) {
    const key = path === undefined ? 'POSTGRES_HOST' : 'STOWAGE_NODES_FILE';
    problems.push(`${key}: ${(error as Error).message}`);
    return [];
  }
}

/**
 * libpq's modes. `require` without a root certificate encrypts and checks nobody, as in libpq;
 * verify-ca checks the name too, for the driver has no half-way.
 */
function tlsOf(
  key: string,
  url: DatabaseTarget | undefined,
  read: ReadNamed,
): PostgresSettings['tls'] {
  const mode = url?.sslMode ?? 'disable';
  if (mode === 'disable') {
    return false;
  }
  const ca = read(key, url?.sslRootCert);
  return { ca, rejectUnauthorized: mode !== 'require' || ca !== undefined };
}

function serverSettings(values: Values, problems: string[], read: ReadNamed): ServerSettings {
  const authToken = authTokenOf(values, problems, read);
  for (const key of ['STOWAGE_GRPC_ADDRESS', 'STOWAGE_HTTP_ADDRESS'] as const) {
    const address = values[key];
    if (address !== undefined && authToken === undefined && !isLoopback(address.host)) {
      problems.push(
        `${key}: ${address.host} can be reached from other machines; set STOWAGE_AUTH_TOKEN or ` +
          'STOWAGE_AUTH_TOKEN_FILE to ask callers for a token, or listen on 127.0.0.1',
      );
    }
  }
  return {
    grpcAddress: known(values.STOWAGE_GRPC_ADDRESS),
    httpAddress: known(values.STOWAGE_HTTP_ADDRESS),
    authToken,
    allowedHosts: known(values.STOWAGE_ALLOWED_HOSTS),
    allowedOrigins: known(values.STOWAGE_ALLOWED_ORIGINS),
    unaryTimeoutMs: known(values.STOWAGE_UNARY_TIMEOUT_MS),
    unaryTimeoutMaxMs: known(values.STOWAGE_UNARY_TIMEOUT_MAX_MS),
    unaryInFlightMax: known(values.STOWAGE_UNARY_IN_FLIGHT_MAX),
    streamsInFlightMax: known(values.STOWAGE_STREAMS_IN_FLIGHT_MAX),
    streamIdleTimeoutMs: known(values.STOWAGE_STREAM_IDLE_TIMEOUT_MS),
    streamHeartbeatMs: known(values.STOWAGE_STREAM_HEARTBEAT_MS),
    shutdownGraceMs: known(values.STOWAGE_SHUTDOWN_GRACE_MS),
    connectionAgeMaxMs: known(values.STOWAGE_CONNECTION_AGE_MAX_MS),
  };
}

function authTokenOf(values: Values, problems: string[], read: ReadNamed): string | undefined {
  const path = values.STOWAGE_AUTH_TOKEN_FILE;
  if (path === undefined) {
    return values.STOWAGE_AUTH_TOKEN;
  }
  if (values.STOWAGE_AUTH_TOKEN !== undefined) {
    problems.push('STOWAGE_AUTH_TOKEN_FILE: set it or STOWAGE_AUTH_TOKEN, not both');
  }
  const text = read('STOWAGE_AUTH_TOKEN_FILE', path);
  const result = configTable.STOWAGE_AUTH_TOKEN.schema.safeParse(text?.trim() ?? '');
  if (text !== undefined && !result.success) {
    problems.push('STOWAGE_AUTH_TOKEN_FILE: its token must be 32 to 1024 visible characters');
  }
  return result.data;
}
