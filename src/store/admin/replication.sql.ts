/** The statement on replication, as the node sees it that sends. */

import { statement } from '../../postgres/statement.js';

/** A receiver, with its slot where it has one; or a slot that nobody reads from. */
export interface LinkRow {
  readonly receiver: string | null;
  readonly address: string | null;
  readonly state: string | null;
  readonly sync_state: string | null;
  readonly send_lag_bytes: bigint | null;
  readonly flush_lag_bytes: bigint | null;
  readonly replay_lag_bytes: bigint | null;
  readonly replay_lag_ms: number | null;
  readonly slot: string | null;
  readonly slot_retained_bytes: bigint | null;
  readonly slot_wal_status: string | null;
  readonly synchronous_standby_names: string;
}

/** Null where the position is: greatest() alone would make a zero of that. */
const behind = (lsn: string): string =>
  `case when ${lsn} is not null then greatest(0, pg_wal_lsn_diff(here.lsn, ${lsn})) end::int8`;

/** The most that a node is asked for. */
const LINKS_MAX = 1_000;

/**
 * Links of the node, in one row at least: without any its slot and receiver are null. Without
 * pg_read_all_stats the receivers have a name and no positions.
 */
export const readLinks = statement<LinkRow>({
  name: 'admin-replication',
  intent: 'read',
  text: `
    with here as materialized (
      select case when pg_is_in_recovery()
          then coalesce(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())
          else pg_current_wal_lsn() end as lsn
    ), links as (
      select r.application_name as receiver, host(r.client_addr) as address, r.state,
        r.sync_state, r.sent_lsn, r.flush_lsn, r.replay_lsn, r.replay_lag,
        s.slot_name::text as slot, s.restart_lsn, s.wal_status
      from pg_stat_replication r
      full join pg_replication_slots s on s.active_pid = r.pid
      order by receiver nulls last, slot
      limit ${LINKS_MAX}
    )
    select l.receiver, l.address, l.state, l.sync_state,
      ${behind('l.sent_lsn')} as send_lag_bytes,
      ${behind('l.flush_lsn')} as flush_lag_bytes,
      ${behind('l.replay_lsn')} as replay_lag_bytes,
      extract(epoch from l.replay_lag)::float8 * 1000 as replay_lag_ms,
      l.slot, ${behind('l.restart_lsn')} as slot_retained_bytes,
      l.wal_status as slot_wal_status,
      current_setting('synchronous_standby_names') as synchronous_standby_names
    from here
    left join links l on true
    order by l.receiver nulls last, l.slot`,
});
