/** The statements by which this room steers sessions and watches nodes. */

import { statement } from './statement.js';

/**
 * Scope of a unit or transaction that changes nothing: whom it is for, how long it may take, how it
 * is named in pg_stat_activity. Parameters: project, principal, statement timeout in ms,
 * application name.
 */
export const readScope = statement<Record<string, string>>({
  name: 'read-scope',
  intent: 'read',
  text: `
    select set_config('stowage.project', $1, true),
           set_config('stowage.principal', $2, true),
           set_config('statement_timeout', $3, true),
           set_config('application_name', $4, true),
           set_config('transaction_read_only', 'on', true)`,
});

/**
 * The same for a transaction that writes. A flushed LSN covers a commit only from
 * `synchronous_commit = local` upwards, so `off` is raised whoever set it.
 */
export const writeScope = statement<Record<string, string>>({
  name: 'write-scope',
  intent: 'readPrimary',
  text: `
    select set_config('stowage.project', $1, true),
           set_config('stowage.principal', $2, true),
           set_config('statement_timeout', $3, true),
           set_config('application_name', $4, true),
           set_config('synchronous_commit',
                      case current_setting('synchronous_commit')
                        when 'off' then 'local'
                        else current_setting('synchronous_commit')
                      end, true)`,
});

/** Begins a transaction, which a standby refuses, at the isolation that the store counts on. */
export const begin = statement<never>({
  name: 'begin',
  intent: 'readPrimary',
  text: 'begin isolation level read committed, read write',
});

/**
 * Precedes COMMIT: a commit that waits for a standby may outlast the caller's deadline, and the
 * server itself ends the wait, so that no backend is left behind. Parameter: milliseconds.
 */
export const commitTimeout = statement<Record<string, string>>({
  name: 'commit-timeout',
  intent: 'readPrimary',
  text: `select set_config('statement_timeout', $1, true)`,
});

/** Begins a unit that only reads, on any node, where the session's defaults are anybody's. */
export const beginRead = statement<never>({
  name: 'begin-read',
  intent: 'read',
  text: 'begin isolation level read committed, read only',
});

/** The same with one snapshot for all steps. */
export const beginSnapshot = statement<never>({
  name: 'begin-snapshot',
  intent: 'read',
  text: 'begin isolation level repeatable read, read only',
});

/** Ends such a unit. */
export const commitRead = statement<never>({ name: 'commit-read', intent: 'read', text: 'commit' });

/**
 * What a session of the service's own has from its startup packet, for one transaction in a session
 * that a pooler lends. The search path, bytea and floats beside it, which no startup packet of ours
 * sets: a session of our own has the administrator's, a lent one perhaps what the last borrower
 * left. Last, a backend whose pooler has hung up ends its query within a second, for no cancel
 * request is sent through one; servers on Windows cannot look, and refuse to try. Parameters: lock
 * timeout and timeout of an idle transaction, in ms.
 */
export const pooledSession = statement<Record<string, string>>({
  name: 'pooled-session',
  intent: 'read',
  text: `
    select set_config('TimeZone', 'UTC', true),
           set_config('DateStyle', 'ISO', true),
           set_config('IntervalStyle', 'postgres', true),
           set_config('client_min_messages', 'warning', true),
           set_config('lock_timeout', $1, true),
           set_config('idle_in_transaction_session_timeout', $2, true),
           set_config('search_path', 'public', true),
           set_config('bytea_output', 'hex', true),
           set_config('extra_float_digits', '1', true),
           set_config('client_connection_check_interval',
                      case when version() ~ 'mingw|Visual|msvc' then '0' else '1000' end, true)`,
});

/** Commits; its tag is ROLLBACK where the transaction had failed. */
export const commit = statement<never>({ name: 'commit', intent: 'readPrimary', text: 'commit' });

/** Rolls back. */
export const rollback = statement<never>({
  name: 'rollback',
  intent: 'readPrimary',
  text: 'rollback',
});

/** The role a node has at this moment, and what a reader of it may have seen. */
export const readPosition = statement<{ in_recovery: boolean; lsn: string | null }>({
  name: 'read-position',
  intent: 'read',
  text: `
    select pg_is_in_recovery() as in_recovery,
           case when pg_is_in_recovery() then pg_last_wal_replay_lsn()
                else pg_current_wal_flush_lsn() end as lsn`,
});

/**
 * What a probe asks. The timeline is in the name of the WAL file: pg_control_checkpoint() tells the
 * former one until the first checkpoint after a promotion. On a standby it is not to be had.
 */
export const probe = statement<{
  in_recovery: boolean;
  system_identifier: bigint;
  wal_file: string | null;
  lsn: string | null;
  started_at: string;
}>({
  name: 'probe',
  intent: 'read',
  text: `
    select pg_is_in_recovery() as in_recovery,
           (select system_identifier from pg_control_system()) as system_identifier,
           case when pg_is_in_recovery() then null
                else pg_walfile_name(pg_current_wal_lsn()) end as wal_file,
           case when pg_is_in_recovery() then pg_last_wal_replay_lsn()
                else pg_current_wal_flush_lsn() end as lsn,
           pg_postmaster_start_time()::text as started_at`,
});

/** The keys that sign tokens. */
export const readTokenKeys = statement<{ key_id: number; secret: Buffer }>({
  name: 'read-token-keys',
  intent: 'read',
  text: 'select key_id, secret from token_keys order by key_id',
});
