/**
 * The text of a node's configuration files. One file per node, `stowage.conf`, is written whole
 * before each start and at each change of its upstream, so settings never depend on what a data
 * folder went through; settings that someone makes with ALTER SYSTEM still win.
 */

/** Superuser of the embedded cluster. */
export const SUPERUSER = 'postgres';

/** Name of the settings file that postgresql.conf includes. */
export const SETTINGS_NAME = 'stowage.conf';

/** Accepts nothing but SCRAM over loopback. */
export const HBA_TEXT = [
  '# TYPE  DATABASE     USER      ADDRESS       METHOD',
  'host    all          all       127.0.0.1/32  scram-sha-256',
  `host    replication  ${SUPERUSER}  127.0.0.1/32  scram-sha-256`,
  '',
].join('\n');

/** What a standby follows. */
export interface Upstream {
  readonly port: number;
}

/** What decides a node's settings. */
export interface SettingsInput {
  readonly nodeName: string;
  readonly majorVersion: number;
  readonly fsync: boolean;
  /** File in libpq's format that holds the password. */
  readonly passFile: string;
  /** The server a standby follows; undefined for a primary and for a standby that is cut off. */
  readonly upstream?: Upstream | undefined;
  /** Settings that override the others. */
  readonly extra: Readonly<Record<string, string>>;
}

/** Name of the replication slot that a standby uses on its upstream. */
export function slotName(nodeName: string): string {
  return `stowage_${nodeName}`;
}

/** Renders a node's settings file. */
export function renderSettings(input: SettingsInput): string {
  const settings: Record<string, string> = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    fsync: input.fsync ? 'on' : 'off',
    // A standby refuses to start with fewer connections, senders or slots than its primary had, and
    // the folder fresh from initdb already says 100 connections.
    max_connections: '200',
    max_wal_senders: '10',
    max_replication_slots: '10',
    shared_buffers: '64MB',
    wal_level: 'replica',
    hot_standby: 'on',
    hot_standby_feedback: 'off',
    // Counts statements for who looks after the database. It is of contrib, as pg_trgm is, without
    // which the schema cannot be made: so no binaries lack it.
    shared_preload_libraries: 'pg_stat_statements',
    // A slot keeps the log for a standby that is away, up to this much: a forgotten standby must
    // not fill the disk. One that comes back later is rebuilt.
    max_slot_wal_keep_size: '1GB',
    // A standby that is pointed to another primary starts before the slot it gets there.
    wal_keep_size: '256MB',
    // The default of 5 s would be the time a standby takes to notice its primary's return.
    wal_retrieve_retry_interval: '200ms',
    wal_receiver_status_interval: '1s',
    password_encryption: 'scram-sha-256',
    log_min_messages: 'warning',
    log_line_prefix: '%m [%p] %q%a ',
    timezone: 'UTC',
    log_timezone: 'UTC',
    lc_messages: 'C',
    // Version 18 would start three processes a node for asynchronous reads; loopback development
    // data is in the page cache.
    ...(input.majorVersion >= 18 && { io_method: 'sync' }),
    primary_conninfo: input.upstream === undefined ? '' : renderConnection(input, input.upstream),
    primary_slot_name: input.upstream === undefined ? '' : slotName(input.nodeName),
    ...input.extra,
  };
  const lines = Object.entries(settings).map(([key, value]) => `${key} = ${quoteSetting(value)}`);
  return `${lines.join('\n')}\n`;
}

function renderConnection(input: SettingsInput, upstream: Upstream): string {
  const parts: Record<string, string> = {
    host: '127.0.0.1',
    port: String(upstream.port),
    user: SUPERUSER,
    passfile: input.passFile,
    application_name: input.nodeName,
  };
  return Object.entries(parts)
    .map(([key, value]) => `${key}=${quoteConnectionValue(value)}`)
    .join(' ');
}

/** Quotes a value as postgresql.conf wants it. */
export function quoteSetting(value: string): string {
  return `'${value.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
}

/** Quotes a value as libpq's connection strings want it. */
export function quoteConnectionValue(value: string): string {
  return `'${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}

/** Renders a password file in libpq's format for every server of this machine. */
export function renderPassFile(password: string): string {
  return `127.0.0.1:*:*:${SUPERUSER}:${password}\n`;
}
