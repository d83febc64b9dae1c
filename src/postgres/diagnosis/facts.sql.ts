/** What `stowage doctor` asks a node. Any role may, on any node; the server changes nothing. */

import type { TimestampValue } from '../../lib/timestamp.js';
import { statement } from '../statement.js';

/** The server's clock and nothing else, so that the round trip is short. */
export const readClock = statement<{ clock: TimestampValue }>({
  name: 'diagnose-clock',
  intent: 'read',
  text: 'select clock_timestamp() as clock',
});

/** What the server is. */
export const readServer = statement<{
  version: string;
  version_number: number;
  in_recovery: boolean;
  system_identifier: bigint;
  wal_file: string | null;
  lsn: string | null;
  connections: number;
  pid: number;
}>({
  name: 'diagnose-server',
  intent: 'read',
  text: `
    select current_setting('server_version') as version,
           current_setting('server_version_num')::int4 as version_number,
           pg_is_in_recovery() as in_recovery,
           (select system_identifier from pg_control_system()) as system_identifier,
           case when pg_is_in_recovery() then null
                else pg_walfile_name(pg_current_wal_lsn()) end as wal_file,
           case when pg_is_in_recovery() then pg_last_wal_replay_lsn()
                else pg_current_wal_flush_lsn() end as lsn,
           (select coalesce(sum(numbackends), 0)::int4 from pg_stat_database) as connections,
           pg_backend_pid() as pid`,
});

/** The database. As JSON, because versions before 17 have other columns for the locale. */
export const readDatabase = statement<{
  encoding: string;
  ctype: string;
  provider: string;
  locale: string | null;
  recorded_version: string | null;
  actual_version: string | null;
  connections_max: number;
  bytes: bigint;
}>({
  name: 'diagnose-database',
  intent: 'read',
  text: `
    select pg_encoding_to_char(d.encoding)::text as encoding,
           d.datctype::text as ctype,
           d.datlocprovider::text as provider,
           coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale') as locale,
           d.datcollversion::text as recorded_version,
           pg_database_collation_actual_version(d.oid) as actual_version,
           d.datconnlimit as connections_max,
           pg_database_size(d.oid) as bytes
      from pg_database d
     where d.datname = current_database()`,
});

/** Who we are there; `is_service` is null where the group does not exist. */
export const readRole = statement<{
  is_superuser: boolean;
  bypasses_rls: boolean;
  connections_max: number;
  is_service: boolean | null;
}>({
  name: 'diagnose-role',
  intent: 'read',
  text: `
    select r.rolsuper as is_superuser,
           r.rolbypassrls as bypasses_rls,
           r.rolconnlimit as connections_max,
           (select pg_has_role(r.oid, s.oid, 'usage')
              from pg_roles s where s.rolname = 'stowage_service') as is_service
      from pg_roles r
     where r.rolname = current_user`,
});

/** Settings, each with where its value comes from; those that the role may not see are missing. */
export const readSettings = statement<{ name: string; setting: string; source: string }>({
  name: 'diagnose-settings',
  intent: 'read',
  text: `
    select s.name, s.setting, s.source
      from pg_settings s
     where s.name = any (array['max_connections', 'superuser_reserved_connections',
                               'reserved_connections', 'fsync', 'full_page_writes',
                               'synchronous_commit', 'default_transaction_read_only',
                               'data_directory', 'max_slot_wal_keep_size'])`,
});

/** The extension that searching needs; no row where the server has no files of it. */
export const readExtension = statement<{ installed_version: string | null }>({
  name: 'diagnose-extension',
  intent: 'read',
  text: `
    select a.installed_version::text as installed_version
      from pg_available_extensions a
     where a.name = 'pg_trgm'`,
});

/** Replication as an ordinary role sees it: that processes run, not whom they serve. */
export const readReplication = statement<{
  pause_state: string | null;
  receivers: number;
  replayed_at: TimestampValue | null;
  senders: number;
}>({
  name: 'diagnose-replication',
  intent: 'read',
  text: `
    select case when pg_is_in_recovery() then pg_get_wal_replay_pause_state() end as pause_state,
           (select count(*)::int4 from pg_stat_wal_receiver) as receivers,
           pg_last_xact_replay_timestamp() as replayed_at,
           (select count(*)::int4 from pg_stat_replication) as senders`,
});

/** Slots that nobody reads from and that keep the most log; bytes are null on a standby. */
export const readIdleSlots = statement<{ slot: string; bytes: bigint | null }>({
  name: 'diagnose-idle-slots',
  intent: 'read',
  text: `
    select s.slot_name::text as slot,
           case when pg_is_in_recovery() then null
                else pg_wal_lsn_diff(pg_current_wal_lsn(), s.restart_lsn)::int8 end as bytes
      from pg_replication_slots s
     where not s.active and s.restart_lsn is not null
     order by s.restart_lsn, s.slot_name
     limit 10`,
});

/** What an administrator sees of the service's login. Parameter: the role. */
export const readLogin = statement<{
  has_role: boolean;
  may_login: boolean | null;
  is_expired: boolean | null;
}>({
  name: 'diagnose-login',
  intent: 'read',
  text: `
    select r.oid is not null as has_role,
           r.rolcanlogin as may_login,
           r.rolvaliduntil < clock_timestamp() as is_expired
      from (select $1::text as name) wanted
      left join pg_roles r on r.rolname = wanted.name`,
});

/** Whether the migrator can do its work. */
export const readMigrator = statement<{
  owner: string | null;
  is_owner: boolean | null;
  may_create: boolean;
  may_make_roles: boolean;
  groups: number;
}>({
  name: 'diagnose-migrator',
  intent: 'read',
  text: `
    select pg_get_userbyid(c.relowner)::text as owner,
           pg_has_role(r.oid, c.relowner, 'usage') as is_owner,
           has_schema_privilege(r.oid, 'public', 'create') as may_create,
           r.rolcreaterole or r.rolsuper as may_make_roles,
           (select count(*)::int4 from pg_roles g
             where g.rolname in ('stowage_service', 'stowage_readonly', 'stowage_retention'))
             as groups
      from pg_roles r
      left join pg_class c on c.oid = to_regclass('public.stowage_migrations')
     where r.rolname = current_user`,
});
