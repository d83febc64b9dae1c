/**
 * What a node is asked of itself, by whoever may log in: cheap enough for once a second. What only
 * other roles may know is null, or missing from a count.
 */

import type { TimestampValue } from '../../lib/timestamp.js';
import { statement } from '../../postgres/statement.js';

/**
 * Client sessions. Who may not see the sessions of other roles finds their type null; those that
 * have a database and a user are clients, or workers of one.
 */
export const readSessions = statement<{
  server_version: string;
  in_recovery: boolean;
  total: number;
  active: number;
  idle: number;
  idle_in_transaction: number;
  waiting_for_lock: number;
  hidden: number;
  max: number;
  reserved: number;
  idle_in_transaction_ms: number | null;
}>({
  name: 'health-sessions',
  intent: 'read',
  text: `
    select split_part(current_setting('server_version'), ' ', 1) as server_version,
           pg_is_in_recovery() as in_recovery,
           count(*)::int4 as total,
           (count(*) filter (where s.state in ('active', 'fastpath function call')))::int4
             as active,
           (count(*) filter (where s.state = 'idle'))::int4 as idle,
           (count(*) filter (where s.state like 'idle in transaction%'))::int4
             as idle_in_transaction,
           (count(*) filter (where s.wait_event_type = 'Lock'))::int4 as waiting_for_lock,
           (count(*) filter (where s.state is null))::int4 as hidden,
           current_setting('max_connections')::int4 as max,
           current_setting('superuser_reserved_connections')::int4
             + coalesce(current_setting('reserved_connections', true), '0')::int4 as reserved,
           (max(extract(epoch from clock_timestamp() - s.state_change) * 1000)
             filter (where s.state like 'idle in transaction%'))::float8
             as idle_in_transaction_ms
      from pg_stat_activity s
     where s.datid is not null and s.usesysid is not null
       and coalesce(s.backend_type, 'client backend') = 'client backend'`,
});

/** The database's counters and its size. */
export const readActivity = statement<{
  blocks_hit: bigint;
  blocks_read: bigint;
  committed: bigint;
  rolled_back: bigint;
  deadlocks: bigint;
  conflicts: bigint;
  temporary_bytes: bigint;
  size_bytes: bigint;
  reset_at: TimestampValue | null;
}>({
  name: 'health-activity',
  intent: 'read',
  text: `
    select d.blks_hit as blocks_hit, d.blks_read as blocks_read, d.xact_commit as committed,
           d.xact_rollback as rolled_back, d.deadlocks, d.conflicts,
           d.temp_bytes as temporary_bytes, pg_database_size(d.datid) as size_bytes,
           d.stats_reset as reset_at
      from pg_stat_database d
     where d.datname = current_database()`,
});

/**
 * The log, and what keeps it, which a slot that is lost does no more. Slots that a standby copies
 * from its primary (since version 17, and so by way of JSON) are read from by nobody, as they
 * should be. Commits wait for one standby, or for as many as stand before the list of their names.
 */
export const readWal = statement<{
  lsn: string | null;
  slot: string | null;
  retained_bytes: bigint | null;
  inactive_slots: number;
  archiving: boolean;
  archive_failures: bigint;
  archive_failed_at: TimestampValue | null;
  archived_at: TimestampValue | null;
  missing_synchronous: number;
}>({
  name: 'health-wal',
  intent: 'read',
  text: `
    select p.lsn, o.slot_name::text as slot,
           case when o.restart_lsn is not null
                then greatest(0, pg_wal_lsn_diff(p.lsn, o.restart_lsn))::int8 end
             as retained_bytes,
           (select count(*)::int4
              from pg_replication_slots s
             where not s.active and s.restart_lsn is not null
               and s.wal_status is distinct from 'lost'
               and not coalesce((to_jsonb(s) ->> 'synced')::bool, false)) as inactive_slots,
           case current_setting('archive_mode')
             when 'always' then true when 'on' then not pg_is_in_recovery() else false end
             as archiving,
           a.failed_count as archive_failures, a.last_failed_time as archive_failed_at,
           a.last_archived_time as archived_at,
           case when pg_is_in_recovery() or y.names = ''
                  or current_setting('synchronous_commit') in ('off', 'local') then 0
                else greatest(0, coalesce(y.wanted, '1')::int4
                    - (select count(*)
                         from pg_stat_replication r
                        where coalesce(r.sync_state, 'sync') in ('sync', 'quorum')))::int4 end
             as missing_synchronous
      from (select case when pg_is_in_recovery() then pg_last_wal_replay_lsn()
                        else pg_current_wal_flush_lsn() end as lsn) p
      cross join pg_stat_archiver a
      cross join (select n.names, substring(n.names from '(?i)^\\s*(?:first|any)?\\s*(\\d+)\\s*\\(')
                           as wanted
                    from (select current_setting('synchronous_standby_names')) n (names)) y
      left join (select s.slot_name, s.restart_lsn
                   from pg_replication_slots s
                  where s.restart_lsn is not null
                    and s.wal_status is distinct from 'lost'
                  order by s.restart_lsn, s.slot_name
                  limit 1) o on true`,
});

/** Who follows the node; of those only the name can be told without `pg_read_all_stats`. */
export const readReplicas = statement<{
  name: string;
  address: string | null;
  state: string | null;
  sync_state: string | null;
  flush_lag_bytes: bigint | null;
  replay_lag_bytes: bigint | null;
}>({
  name: 'health-replicas',
  intent: 'read',
  text: `
    select coalesce(r.application_name, '') as name, host(r.client_addr) as address, r.state,
           r.sync_state,
           case when r.flush_lsn is not null
                then greatest(0, pg_wal_lsn_diff(p.lsn, r.flush_lsn))::int8 end
             as flush_lag_bytes,
           case when r.replay_lsn is not null
                then greatest(0, pg_wal_lsn_diff(p.lsn, r.replay_lsn))::int8 end
             as replay_lag_bytes
      from pg_stat_replication r
      cross join (select case when pg_is_in_recovery()
                              then coalesce(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())
                              else pg_current_wal_lsn() end as lsn) p
     where r.state is distinct from 'backup'
     order by r.application_name, r.pid
     limit 32`,
});

/** How a standby receives. */
export const readReceiver = statement<{
  receiving: boolean;
  status: string | null;
  sender: string | null;
  replay_paused: boolean;
}>({
  name: 'health-receiver',
  intent: 'read',
  text: `
    select w.pid is not null as receiving, w.status, w.sender_host as sender,
           case when pg_is_in_recovery() then pg_get_wal_replay_pause_state() <> 'not paused'
                else false end as replay_paused
      from (values (1)) one
      left join pg_stat_wal_receiver w on true`,
});

/**
 * What autovacuum has to do: its rule for dead rows, with what tables have set for themselves, and
 * the bound on it that version 18 brought. Counts come from where pg_stat_user_tables has them,
 * which would join every table with every index first; and the rule is looked up for tables only
 * that have dead rows. Tables of sessions alone are nothing to autovacuum.
 */
export const readAutovacuum = statement<{
  enabled: boolean;
  workers: number;
  workers_max: number;
  tables_due: number;
  tables_overdue: number;
  dead_rows: bigint;
  oldest_transaction_age: bigint;
}>({
  name: 'health-autovacuum',
  intent: 'read',
  text: `
    with dead as materialized (
      select c.reltuples, c.reloptions, pg_stat_get_dead_tuples(c.oid) as rows
        from pg_class c
        join pg_namespace n on n.oid = c.relnamespace
       where c.relkind in ('r', 'm') and c.relpersistence <> 't'
         and n.nspname not in ('pg_catalog', 'pg_toast', 'information_schema')
    )
    select current_setting('autovacuum')::bool and current_setting('track_counts')::bool
             as enabled,
           (select count(*)::int4
              from pg_stat_activity s
             where s.datname = current_database() and s.usesysid is null
               and coalesce(s.backend_type, 'autovacuum worker') = 'autovacuum worker')
             as workers,
           current_setting('autovacuum_max_workers')::int4 as workers_max,
           (count(*) filter (where t.rows > t.threshold))::int4 as tables_due,
           (count(*) filter (where t.rows > greatest(5 * t.threshold, 100000)))::int4
             as tables_overdue,
           coalesce(sum(t.rows), 0)::int8 as dead_rows,
           (select greatest(max(age(d.datfrozenxid)), max(mxid_age(d.datminmxid)))::int8
              from pg_database d) as oldest_transaction_age
      from (select dead.rows,
                   least(coalesce(o.threshold,
                                  current_setting('autovacuum_vacuum_threshold')::float8)
                           + coalesce(o.scale,
                                      current_setting('autovacuum_vacuum_scale_factor')::float8)
                             * greatest(dead.reltuples, 0),
                         nullif(coalesce(o.threshold_max,
                                  current_setting('autovacuum_vacuum_max_threshold', true)::float8),
                                -1)) as threshold
              from dead
              cross join lateral (
                select max(p.option_value::float8)
                         filter (where p.option_name = 'autovacuum_vacuum_threshold')
                         as threshold,
                       max(p.option_value::float8)
                         filter (where p.option_name = 'autovacuum_vacuum_scale_factor') as scale,
                       max(p.option_value::float8)
                         filter (where p.option_name = 'autovacuum_vacuum_max_threshold')
                         as threshold_max
                  from pg_options_to_table(dead.reloptions) p
                 where p.option_name like 'autovacuum\\_vacuum\\_%'
              ) o
             where dead.rows > 0) t`,
});
