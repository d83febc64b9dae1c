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

/** Begins a transaction, which a standby refuses. */
export const begin = statement<never>({
  name: 'begin',
  intent: 'readPrimary',
  text: 'begin read write',
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
