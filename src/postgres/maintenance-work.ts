/**
 * What a maintenance job does in its session: VACUUM, ANALYZE and REINDEX CONCURRENTLY, a partition
 * after the other, each ended by a cancel request where it is not wanted any more.
 */

import type { Client } from 'pg';
import type { DatabaseLogin } from '../config.js';
import { settlesWithin } from '../lib/interruption.js';
import { watchBackend } from './backend-watch.js';
import { sendCancel } from './cancel.js';
import { asDriverClient, destroyClient } from './driver.js';
import { LeftBehind } from './maintenance-failure.js';
import { type MaintenanceProgress, noProgress, readProgress } from './maintenance-progress.js';
import {
  type Command,
  commandOn,
  type IndexPlace,
  leftoversOf,
  placeOf,
  type Relation,
} from './maintenance-relations.js';

/**
 * How long a command waits for its table: what conflicts with it is other maintenance and DDL,
 * neither readers nor writers, but whoever comes behind it waits with it.
 */
const TABLE_WAIT_MS = 5_000;
/** How long the remains of a REINDEX wait for the transactions that held it up. */
const CLEAN_UP_WAIT_MS = 60_000;
/** A request that comes between two statements hits nothing: it is sent until the command ends. */
const CANCEL_INTERVAL_MS = 500;
const CANCEL_TIMEOUT_MS = 2_000;
/** A node that has not taken so many one after another is silent: the session is given up. */
const CANCELS_LOST_MAX = 2;
const WATCH_END_MS = 1_000;

/** What a job does. */
export type MaintenanceKind = 'vacuum' | 'analyze' | 'reindex';

/** One job's work. */
export interface Work {
  readonly client: Client;
  readonly login: DatabaseLogin;
  readonly kind: MaintenanceKind;
  /** Of a vacuum: statistics are made anew behind it. */
  readonly analyze: boolean;
  readonly relation: Relation;
  /** Ends it. */
  readonly signal: AbortSignal;
  readonly onProgress: (progress: MaintenanceProgress) => void;
}

/** The commands and, where they are counted, how many are done. */
interface Steps {
  done: number;
  readonly parts: readonly string[] | undefined;
}

/**
 * Does the work and tells how far it is, twice a second.
 * @throws what the commands throw, {@link LeftBehind} around it; the signal's reason.
 */
export async function doMaintenance(work: Work): Promise<void> {
  const { client, login, relation, signal } = work;
  const steps: Steps = { done: 0, parts: relation.parts };
  const told = (progress: MaintenanceProgress) => work.onProgress(counted(steps, progress));
  const isOver = new AbortController();
  const watched = watchBackend(login, client, isOver.signal, async (watcher, pid) => {
    const progress = await readProgress(watcher, pid);
    if (!isOver.signal.aborted) told(progress);
  });
  try {
    told(noProgress);
    if (work.kind !== 'analyze') {
      for (const oid of relation.parts ?? [relation.oid]) {
        signal.throwIfAborted();
        await (work.kind === 'vacuum' ? sweep(work, 'vacuum', oid) : reindex(work, oid));
        steps.done += 1;
        told(noProgress);
      }
    }
    // Of the whole, which takes the partitions along, one after another: nothing else does it for
    // the table of all, not even autovacuum.
    if (work.kind === 'analyze' || work.analyze) await sweep(work, 'analyze', relation.oid);
  } finally {
    isOver.abort();
    // A primary that has fallen silent must not hold up the job's end.
    await settlesWithin(watched, WATCH_END_MS);
  }
}

/** In partitions, where there are some; ANALYZE takes them in the order of their oids. */
function counted({ done, parts }: Steps, progress: MaintenanceProgress): MaintenanceProgress {
  if (parts === undefined) return progress;
  const at = done === 0 && progress.table !== undefined ? parts.indexOf(progress.table) : done;
  return { phase: progress.phase, done: Math.max(0, at), total: parts.length, unit: 'partitions' };
}

async function sweep(work: Work, command: Command, oid: string): Promise<void> {
  await setLockTimeout(work.client, TABLE_WAIT_MS);
  await run(work, command, oid);
}

/**
 * Waits for its table within the bound and, once it had it, for old transactions without one, for
 * PostgreSQL has one bound for both.
 */
async function reindex(work: Work, oid: string): Promise<void> {
  const { client } = work;
  await setLockTimeout(client, TABLE_WAIT_MS);
  const place = await placeOf(client, oid);
  if (place === undefined) return;
  await client.query('begin');
  try {
    await run(work, 'lock', place.table);
  } finally {
    await client.query('rollback');
  }
  await setLockTimeout(client, 0);
  for (const left of await leftoversOf(client, place)) await run(work, 'drop', left);
  try {
    await run(work, 'reindex', oid);
  } catch (error) {
    if (await cleanUp(client, place)) throw error;
    throw new LeftBehind(error);
  }
}

/** After a REINDEX that failed; whether that succeeded. */
async function cleanUp(client: Client, place: IndexPlace): Promise<boolean> {
  try {
    await setLockTimeout(client, CLEAN_UP_WAIT_MS);
    for (const left of await leftoversOf(client, place)) {
      const text = await commandOn(client, 'drop', left);
      if (text !== undefined) await client.query(text);
    }
    return true;
  } catch {
    return false;
  }
}

async function setLockTimeout(client: Client, timeoutMs: number): Promise<void> {
  await client.query("select set_config('lock_timeout', $1, false)", [String(timeoutMs)]);
}

/** Runs one command, cancelled when the signal is aborted; nothing where the relation is gone. */
async function run(work: Work, command: Command, oid: string): Promise<void> {
  const text = await commandOn(work.client, command, oid);
  work.signal.throwIfAborted();
  if (text !== undefined) await runCancellable(work, text);
}

/**
 * Runs a text, cancelled when the signal is aborted.
 * @throws what the text throws.
 */
export async function runCancellable(
  { client, login, signal }: Pick<Work, 'client' | 'login' | 'signal'>,
  text: string,
): Promise<void> {
  const running = client.query(text);
  let cancelled: Promise<void> | undefined;
  const cancel = () => {
    cancelled = cancelUntilOver(login, client, running);
  };
  signal.addEventListener('abort', cancel, { once: true });
  try {
    await running;
  } finally {
    signal.removeEventListener('abort', cancel);
    // Its last request must not hit what comes next.
    await cancelled;
  }
}

async function cancelUntilOver(
  login: DatabaseLogin,
  client: Client,
  running: Promise<unknown>,
): Promise<void> {
  const node = { host: client.host, port: client.port };
  const backend = asDriverClient(client);
  let lost = 0;
  do {
    lost = (await sendCancel(login, node, backend, CANCEL_TIMEOUT_MS)) ? 0 : lost + 1;
    if (lost === CANCELS_LOST_MAX) destroyClient(backend);
  } while (!(await settlesWithin(running, CANCEL_INTERVAL_MS)));
}
