/** What is said over SQL to keep standbys following: slots, streaming, positions. */
import { until } from '../lib/wait.js';
import { slotName } from './configuration.js';
import type { EmbeddedNode } from './node.js';

const SLOT_TIMEOUT_MS = 10_000;

/**
 * Makes the slots of these standbys on `primary` where they are missing, and drops the slots of
 * others, which would hold its log back for nobody.
 *
 * @returns the names of the standbys whose slot had lost its log: they must be rebuilt
 */
export async function arrangeSlots(
  primary: EmbeddedNode,
  standbys: readonly string[],
): Promise<string[]> {
  return primary.connect(async (sql) => {
    const wanted = standbys.map(slotName);
    const slots = await sql<{ slot_name: string; is_lost: boolean }>(
      `select slot_name, coalesce(wal_status = 'lost', false) as is_lost
         from pg_replication_slots where slot_type = 'physical' and slot_name like 'stowage\\_%'`,
    );
    const kept = new Set<string>();
    for (const slot of slots) {
      if (wanted.includes(slot.slot_name) && !slot.is_lost) {
        kept.add(slot.slot_name);
      } else {
        await sql('select pg_drop_replication_slot($1)', [slot.slot_name]);
      }
    }
    for (const name of wanted.filter((each) => !kept.has(each))) {
      await sql('select pg_create_physical_replication_slot($1, true)', [name]);
    }
    const lost = slots.filter((slot) => slot.is_lost).map((slot) => slot.slot_name);
    return standbys.filter((name) => lost.includes(slotName(name)));
  });
}

/** Makes the slot of one standby on `upstream` where it is missing. */
export async function ensureSlot(upstream: EmbeddedNode, standby: string): Promise<void> {
  await upstream.query(
    `select pg_create_physical_replication_slot($1, true)
      where not exists (select from pg_replication_slots where slot_name = $1)`,
    [slotName(standby)],
  );
}

/** Makes the slot of a stopped standby on `primary` afresh, holding the log from here on. */
export async function renewSlot(primary: EmbeddedNode, standby: string): Promise<void> {
  const name = slotName(standby);
  await primary.connect(async (sql) => {
    await until(
      // The sender of a standby that just died notices within moments.
      async () => {
        const [slot] = await sql<{ active: boolean }>(
          'select active from pg_replication_slots where slot_name = $1',
          [name],
        );
        return slot?.active !== true;
      },
      { timeoutMs: SLOT_TIMEOUT_MS, what: `the slot ${name} is no longer in use` },
    );
    await sql(
      'select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = $1',
      [name],
    );
    await sql('select pg_create_physical_replication_slot($1, true)', [name]);
  });
}

/** Reads the timeline that the primary writes. */
export async function readTimeline(primary: EmbeddedNode): Promise<number> {
  const [row] = await primary.query<{ timeline: number }>(
    `select ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::integer
       as timeline`,
  );
  return row?.timeline ?? 0;
}

/**
 * Whether the standby streams this timeline at this moment. One with log of its own, which the
 * primary never had, streams too: the former timeline, for a moment, again and again.
 */
export async function streams(standby: EmbeddedNode, timeline: number): Promise<boolean> {
  const rows = await standby.query(
    "select from pg_stat_wal_receiver where status = 'streaming' and received_tli = $1",
    [timeline],
  );
  return rows.length > 0;
}

/** Reads how far the primary's log has surely reached its disk, as text such as `0/3000148`. */
export async function readFlushLsn(primary: EmbeddedNode): Promise<string> {
  const [row] = await primary.query<{ lsn: string }>(
    'select pg_current_wal_flush_lsn()::text as lsn',
  );
  return row?.lsn ?? '0/0';
}

/**
 * Resolves once `standby` streams from `primary` and has replayed its log up to `lsn`. Position
 * alone would not do: a standby that went another way may have a higher one.
 *
 * @throws {Error} after `timeoutMs`
 */
export async function waitForReplay(
  primary: EmbeddedNode,
  standby: EmbeddedNode,
  lsn: string,
  timeoutMs: number,
): Promise<void> {
  await standby.connect(async (sql) => {
    await until(
      async () => {
        const [row] = await sql<{ caught_up: boolean | null }>(
          `select pg_last_wal_replay_lsn() >= $1::pg_lsn
              and exists (select from pg_stat_wal_receiver
                           where status = 'streaming' and sender_port = $2) as caught_up`,
          [lsn, primary.port],
        );
        return row?.caught_up === true;
      },
      { timeoutMs, pollMs: 5, what: `the node ${standby.name} has replayed ${lsn}` },
    );
  });
}

/** Resolves once the standby's receiver is gone. */
export async function waitForReceiverEnd(standby: EmbeddedNode): Promise<void> {
  await standby.connect(async (sql) => {
    await until(async () => (await sql('select from pg_stat_wal_receiver')).length === 0, {
      timeoutMs: SLOT_TIMEOUT_MS,
      what: `the node ${standby.name} has stopped receiving`,
    });
  });
}

/** Resolves once the standby's replay stands still. */
export async function waitForPause(standby: EmbeddedNode): Promise<void> {
  await standby.connect(async (sql) => {
    await until(
      async () => {
        const [row] = await sql<{ state: string }>(
          'select pg_get_wal_replay_pause_state() as state',
        );
        return row?.state === 'paused';
      },
      { timeoutMs: SLOT_TIMEOUT_MS, what: `the replay of the node ${standby.name} stands still` },
    );
  });
}
