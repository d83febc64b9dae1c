/**
 * Room on a node's disk. SQL does not tell it: on this machine the file system is asked, if the
 * role may know where the data is; elsewhere it is said who can be asked.
 */

import { statfs } from 'node:fs/promises';
import type { DatabaseLogin } from '../../config.js';
import { settlesWithin } from '../../lib/interruption.js';
import type { NodeAddress } from '../driver.js';
import { isLocal } from './contact-verdict.js';
import type { NodeFacts } from './facts.js';
import { bytesText, type Finding, fail, ok, skipped, sqlName, warn } from './finding.js';

/** Free and whole size of a file system, in bytes. */
export interface Room {
  readonly free: number;
  readonly size: number;
}

const ROOM_TIMEOUT_MS = 2_000;

/** Asks the file system of a folder; undefined where that is not allowed, or takes too long. */
export async function readRoom(folder: string | undefined): Promise<Room | undefined> {
  if (folder === undefined) return undefined;
  // A network file system whose server is gone would hang.
  const asked = statfs(folder).then(
    ({ bavail, blocks, bsize }) => ({ free: bavail * bsize, size: blocks * bsize }),
    () => undefined,
  );
  return (await settlesWithin(asked, ROOM_TIMEOUT_MS)) ? asked : undefined;
}

/** The folder of the node's data, if it is on this machine and the role may know it. */
export function dataFolder(node: NodeAddress, { settings }: NodeFacts): string | undefined {
  return isLocal(node.host) ? settings.get('data_directory')?.setting : undefined;
}

const FREE_SHARE_MIN = 0.1;
const FREE_BYTES_MIN = 256 * 1024 * 1024;

/** The check `disk`. */
export function diskVerdict(
  node: NodeAddress,
  facts: NodeFacts,
  room: Room | undefined,
  { user }: DatabaseLogin,
): Finding {
  const size = `the database has ${bytesText(Number(facts.database.bytes))}`;
  if (room === undefined && isLocal(node.host) && !facts.settings.has('data_directory')) {
    return skipped(
      'disk',
      `${size}; the server does not tell ${user} in which folder`,
      'This lets the free space be looked at, as an administrator:',
      `grant pg_read_all_settings to ${sqlName(user)};`,
    );
  }
  if (room === undefined) {
    const reason = `${size}; how much room is left cannot be seen from here`;
    return skipped('disk', reason, 'Look at the machine that holds the data:', 'df -h');
  }
  const seen = `${size}; ${bytesText(room.free)} of ${bytesText(room.size)} are free`;
  if (room.free < FREE_BYTES_MIN) {
    return fail('disk', seen, 'A full disk stops the server: make room at once.', 'df -h');
  }
  if (room.free < room.size * FREE_SHARE_MIN) {
    return warn('disk', seen, 'A full disk stops the server: make room.', 'df -h');
  }
  return ok('disk', seen);
}

/** What a slot that nobody reads may keep before a warning. */
const SLOT_BYTES_MAX = 1024 * 1024 * 1024;

/** The check `slots`, of a primary: log that is kept for readers who are away fills the disk. */
export function slotsVerdict({ idleSlots, settings }: NodeFacts): Finding {
  const [worst] = idleSlots;
  if (worst === undefined) return ok('slots', 'no replication slot is idle');
  const kept = bytesText(Number(worst.bytes ?? 0n));
  const others = idleSlots.length > 1 ? `, the first of ${idleSlots.length}` : '';
  const seen = `nobody reads from the replication slot ${worst.slot}${others}; it keeps ${kept}`;
  const isBounded = (settings.get('max_slot_wal_keep_size')?.setting ?? '-1') !== '-1';
  if (Number(worst.bytes ?? 0n) < SLOT_BYTES_MAX || isBounded) return ok('slots', seen);
  return warn(
    'slots',
    seen,
    'It keeps all of the log until its reader is back, and may fill the disk. Bring the reader ' +
      'back, or drop the slot:',
    `select pg_drop_replication_slot('${worst.slot}');`,
  );
}
