/** The statements by which this room steers sessions and watches nodes. */

import { statement } from './statement.js';

/** What a node is at the moment it is asked: a result of another one than was meant is dropped. */
export interface Identity {
  in_recovery: boolean;
  /** Replayed by a standby; null on a primary. */
  replayed: string | null;
  started_at: string;
}

/**
 * Scope of a unit that changes nothing: whom it is for, how long it may take, how it is named in
 * pg_stat_activity; and what the node is. Every snapshot of a later step covers what was replayed
 * here. Parameters: project, principal, statement timeout in ms, application name.
 */
export const readScope = statement<Identity>({
  name: 'read-scope',
  intent: 'read',
  text: `
    select set_config('stowage.project', $1, true),
           set_config('stowage.principal', $2, true),
           set_config('statement_timeout', $3, true),
           set_config('application_name', $4, true),
           set_config('transaction_read_only', 'on', true),
           pg_is_in_recovery() as in_recovery,
           pg_last_wal_replay_lsn()::text as replayed,
           pg_postmaster_start_time()::text as started_at`,
});

/** Has the rest of a unit planned without the values of parameters. */
export const genericPlans = statement<{ set_config: string }>({
  name: 'generic-plans',
  intent: 'read',
  text: `select set_config('plan_cache_mode', 'force_generic_plan', true)`,
});

/**
 * Ends a unit whose node has not replayed an LSN, before its statement costs anything: SQL has no
 * plainer way to raise an error than to divide by zero. A primary passes. Parameter: the LSN.
 */
export const requireReplayed = statement<{ replayed: number }>({
  name: 'require-replayed',
  intent: 'read',
  text: `
    select 1 / (not pg_is_in_recovery()
                or coalesce(pg_last_wal_replay_lsn() >= $1::pg_lsn, $1::pg_lsn is null)
               )::integer as replayed`,
});

/**
 * Scope of a transaction that writes, as `read-scope` has it. A flushed LSN covers a commit only
 * from `synchronous_commit = local` upwards, so `off` is raised whoever set it.
 */
const writeSettings = `
           set_config('stowage.project', $1, true),
           set_config('stowage.principal', $2, true),
           set_config('statement_timeout', $3, true),
           set_config('application_name', $4, true),
           set_config('synchronous_commit',
                      case current_setting('synchronous_commit')
                        when 'off' then 'local'
                        else current_setting('synchronous_commit')
                      end, true)`;

/** Scope of a transaction whose node is looked at before it commits. */
export const writeScope = statement<Identity>({
  name: 'write-scope',
  intent: 'readPrimary',
  text: `
    select${writeSettings},
           pg_is_in_recovery() as in_recovery,
           pg_last_wal_replay_lsn()::text as replayed,
           pg_postmaster_start_time()::text as started_at`,
});

/**
 * Scope of one that commits before anybody has seen what its node is: ended here where that was
 * restarted since it was looked at. The fifth parameter: when it was started.
 */
export const writeScopeOfStarted = statement<Record<string, unknown>>({
  name: 'write-scope-of-started',
  intent: 'readPrimary',
  text: `
    select 1 / (pg_postmaster_start_time()::text = $5)::integer,${writeSettings}`,
});

/** Begins a transaction, which a standby refuses, at the isolation that the store counts on. */
export const begin = statement<never>({
  name: 'begin',
  intent: 'readPrimary',
  text: 'begin isolation level read committed, read write',
});

/**
 * Ahead of a COMMIT that travels alone: a session that ended before it answered this has not begun
 * COMMIT. (A statement timeout that is set here is no bound on it: measured, PostgreSQL ends the
 * timer before it commits.)
 */
export const aheadOfCommit = statement<Record<string, never>>({
  name: 'ahead-of-commit',
  intent: 'readPrimary',
  text: 'select',
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
 * The same on a standby, with the newest timeline that its data tell of at this moment. Parameter:
 * the system identifier, signed.
 */
export const readReplayedPosition = statement<{
  in_recovery: boolean;
  lsn: string | null;
  timeline: number | null;
  recorded_at: bigint | null;
}>({
  name: 'read-replayed-position',
  intent: 'read',
  text: `
    select pg_is_in_recovery() as in_recovery,
           case when pg_is_in_recovery() then pg_last_wal_replay_lsn()
                else pg_current_wal_flush_lsn() end as lsn,
           newest.timeline, newest.recorded_at
    from (select) as here
    left join (
      select timeline, (extract(epoch from recorded_at) * 1000000)::int8 as recorded_at
      from timelines where system_identifier = $1::int8 order by timeline desc limit 1
    ) as newest on true`,
});

/**
 * What a probe asks. The timeline is in the name of the WAL file: pg_control_checkpoint() tells the
 * former one until the first checkpoint after a promotion. On a standby it is not to be had; the
 * checkpoint's, which may be older, betrays one that was promoted and set back while nobody looked.
 */
export const probe = statement<{
  in_recovery: boolean;
  system_identifier: bigint;
  checkpoint_timeline: number;
  wal_file: string | null;
  lsn: string | null;
  started_at: string;
}>({
  name: 'probe',
  intent: 'read',
  text: `
    select pg_is_in_recovery() as in_recovery,
           (select system_identifier from pg_control_system()) as system_identifier,
           (select timeline_id from pg_control_checkpoint()) as checkpoint_timeline,
           case when pg_is_in_recovery() then null
                else pg_walfile_name(pg_current_wal_lsn()) end as wal_file,
           case when pg_is_in_recovery() then pg_last_wal_replay_lsn()
                else pg_current_wal_flush_lsn() end as lsn,
           pg_postmaster_start_time()::text as started_at`,
});

/**
 * What a node's data say of its past, and which nodes are drained. Rows of another cluster, which
 * came with a dump, tell nothing of this one.
 */
export const readHistory = statement<{
  timelines: number[] | null;
  switch_lsns: string[] | null;
  recorded_lsns: string[] | null;
  recorded_at: bigint[] | null;
  generations: number[] | null;
  abandoned: number[] | null;
  drained: string[] | null;
}>({
  name: 'read-history',
  intent: 'read',
  text: `
    with here as materialized (
      select system_identifier from pg_control_system()
    ), recent as (
      select timeline, switch_lsn, recorded_lsn,
             (extract(epoch from recorded_at) * 1000000)::int8 as recorded_at
      from timelines where system_identifier = (select system_identifier from here)
      order by timeline desc limit 64
    ), accepted as (
      select generation, abandoned_timeline
      from timeline_acceptances where system_identifier = (select system_identifier from here)
      order by generation desc limit 64
    )
    select (select array_agg(timeline order by timeline) from recent) as timelines,
           (select array_agg(switch_lsn::text order by timeline) from recent) as switch_lsns,
           (select array_agg(recorded_lsn::text order by timeline) from recent) as recorded_lsns,
           (select array_agg(recorded_at order by timeline) from recent) as recorded_at,
           (select array_agg(generation order by generation) from accepted) as generations,
           (select array_agg(abandoned_timeline order by generation) from accepted) as abandoned,
           (select array_agg(node order by node)
            from (select node from node_drains order by node limit 256) as drains) as drained`,
});

/** Precedes what is recorded of the history: it must not wait for standbys, nor be lost. */
export const commitLocally = statement<Record<string, string>>({
  name: 'commit-locally',
  intent: 'readPrimary',
  text: `select set_config('synchronous_commit', 'local', true)`,
});

/**
 * Records a primary's timeline with all that lead to it. The switch points come from the node's
 * history file where the schema's owner may read it; else from where replay ended, which the node
 * knows until it is restarted, and which is the last switch only; else from the last note of where
 * the former primary had come to. Nothing where the node is on another timeline than it was asked
 * for: the connection may be a fresh one by now. Parameters: timeline, whether the node was watched
 * as it was promoted.
 */
export const recordTimeline = statement<never>({
  name: 'record-timeline',
  intent: 'write',
  text: `
    with history as (
      select history_timeline, switch_lsn from stowage_timeline_history($1::integer)
    ), known as (
      select max(timeline) as newest, coalesce(max(reached_lsn), '0/0') as reached
      from timelines
      where system_identifier = (select system_identifier from pg_control_system())
    ), due as (
      select history_timeline, switch_lsn from history
      union all
      select $1::integer,
             case when $2::boolean and newest = $1::integer - 1
                  then coalesce(pg_last_wal_replay_lsn(), reached)
                  else reached end
      from known
      where not exists (select from history where history_timeline = $1::integer)
    )
    insert into timelines (timeline, switch_lsn)
    select history_timeline, switch_lsn from due
    where pg_walfile_name(pg_current_wal_lsn()) like lpad(upper(to_hex($1::integer)), 8, '0') || '%'
    on conflict do nothing`,
});

/**
 * Records that a newer timeline was given up, in the data of a node that is on the older one.
 * Parameters: generation, both timelines, who.
 */
export const recordAcceptance = statement<never>({
  name: 'record-acceptance',
  intent: 'write',
  text: `
    insert into timeline_acceptances (generation, timeline, abandoned_timeline, accepted_by)
    select $1::integer, $2::integer, $3::integer, $4
    where pg_walfile_name(pg_current_wal_lsn()) like lpad(upper(to_hex($2::integer)), 8, '0') || '%'
    on conflict do nothing`,
});

/** The keys that sign tokens. */
export const readTokenKeys = statement<{ key_id: number; secret: Buffer }>({
  name: 'read-token-keys',
  intent: 'read',
  text: 'select key_id, secret from token_keys order by key_id',
});
