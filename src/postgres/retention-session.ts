/**
 * The session in which partitions leave: the schema's owner's, on the primary, one among all
 * servers. What goes is noted before it goes, so that no export promises to have shown it. Refuses
 * to decide what goes.
 */

import type { Client } from 'pg';
import type { DatabaseLogin } from '../config.js';
import { StowageError } from '../errors.js';
import { type AdminConnection, openAdminConnection } from './admin-connection.js';
import { asDriverClient, destroyClient, isServerError, nodeName } from './driver.js';
import { ownerReachedNone } from './maintenance-failure.js';
import { findRelation, prepareSession, takeTable } from './maintenance-relations.js';
import { runCancellable } from './maintenance-work.js';
import { toStowageError } from './sqlstate.js';

/**
 * How long a detach waits for transactions that use the table. It keeps nobody waiting meanwhile,
 * but whoever called waits, and an old transaction may never end.
 */
const DETACH_WAIT_MS = 60_000;
/** What a note says beyond the time that its detach may take: to begin it takes moments. */
const NOTE_MARGIN_MS = 60_000;
/** Leases are made in moments; who waits for longer is in the way of exports that begin. */
const LEASES_WAIT_MS = 5_000;
/** How long what goes on may still take once its caller has left: it is never cut without need. */
const ANSWER_WAIT_MS = 6_000;

/** What the registry says of a partition: a month that was made again has several entries. */
const newestEntry = `source = $1 and partition = $2 and range_start = $3
           and made_at = (select max(made_at) from storage_partitions
                          where source = $1 and partition = $2 and range_start = $3)`;

/** What a session is for. */
export interface RetentionOrder {
  /** Names it in the database: the request's id. */
  readonly id: string;
  /** The table of all, such as `storage_audit`. */
  readonly source: string;
  /** Ends the waits of a detach. */
  readonly signal: AbortSignal;
  /** Default: a minute. */
  readonly detachWaitMs?: number;
}

/** A partition as retention takes it; times as PostgreSQL reads them. */
export interface LeavingPartition {
  readonly oid: string;
  readonly name: string;
  readonly starts: string;
  readonly ends: string;
  /** `pending`: an earlier detach did not end. `detached`: it was to be dropped, and is there. */
  readonly state: 'attached' | 'pending' | 'detached';
}

/** One retention's session. */
export class RetentionSession {
  readonly #connection: AdminConnection;
  readonly #login: DatabaseLogin;
  readonly #order: RetentionOrder;
  readonly #detachWaitMs: number;

  private constructor(connection: AdminConnection, login: DatabaseLogin, order: RetentionOrder) {
    this.#connection = connection;
    this.#login = login;
    this.#order = order;
    this.#detachWaitMs = order.detachWaitMs ?? DETACH_WAIT_MS;
  }

  /**
   * Opens a session and takes the turn of all servers, and the table against maintenance jobs.
   * @throws StowageError NO_PRIMARY, MAINTENANCE_UNAVAILABLE where the login does not own the
   *   table, MAINTENANCE_RUNNING.
   */
  static async open(login: DatabaseLogin, order: RetentionOrder): Promise<RetentionSession> {
    const connection = await openAdminConnection(login).catch((error: unknown) => {
      throw ownerReachedNone(error);
    });
    const session = new RetentionSession(connection, login, order);
    try {
      await session.#guarded(async (client) => {
        order.signal.throwIfAborted();
        await prepareSession(client, order.id);
        await client.query("set timezone = 'UTC'");
        const relation = await findRelation(client, 'table', order.source);
        await takeTable(client, { lockedBy: 'retention' }, 'A retention runs already');
        await takeTable(client, relation);
      });
      return session;
    } catch (error) {
      await connection.close();
      throw error;
    }
  }

  /**
   * Notes that a partition goes, before it does: exports that began before the note, or begin until
   * the detach must have become visible, cannot be whole. Leases are looked at under a lock that
   * keeps new ones out.
   * @throws StowageError EXPORT_IN_PROGRESS unless forced.
   */
  async noteDrop(partition: LeavingPartition, force: boolean): Promise<void> {
    await this.#noting(partition, partition.ends, force, (client) =>
      client.query(
        `update storage_partitions set dropped_at = clock_timestamp() + $4 * interval '1 ms'
         where ${newestEntry}`,
        [...this.#entryOf(partition), this.#detachWaitMs + NOTE_MARGIN_MS],
      ),
    );
  }

  /**
   * Notes that rows before a time go; the service deletes no others. A note of a drop that never
   * began is forgotten.
   * @throws StowageError EXPORT_IN_PROGRESS unless forced.
   */
  async noteDeletion(partition: LeavingPartition, before: string, force: boolean): Promise<void> {
    await this.#noting(partition, before, force, (client) =>
      client.query(
        `update storage_partitions
         set dropped_at = null, deleted_before = greatest(deleted_before, $4),
           deleted_at = clock_timestamp()
         where ${newestEntry}`,
        [...this.#entryOf(partition), before],
      ),
    );
  }

  /** Takes a note back where the partition is still there as it was. */
  async takeBack({ oid, name, starts }: LeavingPartition): Promise<void> {
    await this.#guarded(async (client) => {
      await client.query(
        `update storage_partitions set dropped_at = null
         where source = $1 and partition = $2 and range_start = $3
           and dropped_at > clock_timestamp()
           and exists (select from pg_inherits where inhrelid = $4 and not inhdetachpending)`,
        [this.#order.source, name, starts, oid],
      );
    });
  }

  /**
   * Detaches a partition that was noted, in whatever state it is, and drops it. Readers and writers
   * of the table do not notice: the detach waits for those that were there before it.
   * @throws StowageError OVERLOADED where a transaction has used the table for too long: the next
   *   retention goes on from there; the signal's reason.
   */
  async drop(partition: LeavingPartition): Promise<void> {
    try {
      await this.#guarded(async (client) => {
        if (partition.state === 'attached') await this.#detach(client, partition, 'concurrently');
        if (partition.state === 'pending') await this.#detach(client, partition, 'finalize');
        await this.#dropDetached(client, partition);
      });
    } catch (error) {
      // Where it was not detached after all, nothing has left.
      await this.takeBack(partition).catch(() => undefined);
      throw error;
    }
  }

  /** Ends the session, and with it the turn. Never rejects. */
  close(): Promise<void> {
    return this.#connection.close();
  }

  async #detach(
    client: Client,
    { oid, name }: LeavingPartition,
    how: 'concurrently' | 'finalize',
  ): Promise<void> {
    const { source, signal } = this.#order;
    const { rows } = await client.query<{ text: string }>(
      `select format('alter table public.%I detach partition %I.%I %s',
                     $1::text, nspname, relname, $2::text) as text
       from pg_class join pg_namespace on pg_namespace.oid = relnamespace
       where pg_class.oid = $3`,
      [source, how, oid],
    );
    const [command] = rows;
    if (command === undefined) return;
    // The whole of it: lock_timeout would begin anew for each transaction that it waits for.
    await client.query(`set statement_timeout = ${this.#detachWaitMs}`);
    try {
      await runCancellable({ client, login: this.#login, signal }, command.text);
    } catch (error) {
      if (isTimeout(error) && !signal.aborted) throw stillUsed(name, error);
      throw error;
    } finally {
      await client.query('set statement_timeout = 0').catch(() => undefined);
    }
  }

  async #dropDetached(client: Client, partition: LeavingPartition): Promise<void> {
    const { rows } = await client.query<{ text: string }>(
      `select format('drop table %I.%I', nspname, relname) as text
       from pg_class join pg_namespace on pg_namespace.oid = relnamespace
       where pg_class.oid = $1`,
      [partition.oid],
    );
    await inTransaction(client, this.#detachWaitMs, async () => {
      await client.query(
        `update storage_partitions set dropped_at = clock_timestamp() where ${newestEntry}`,
        this.#entryOf(partition),
      );
      if (this.#order.source === 'storage_audit') {
        await client.query('delete from audit_late_months where range_start = $1', [
          partition.starts,
        ]);
      }
      for (const { text } of rows) await client.query(text);
    });
  }

  async #noting(
    partition: LeavingPartition,
    until: string,
    force: boolean,
    note: (client: Client) => Promise<unknown>,
  ): Promise<void> {
    const { name, starts, ends } = partition;
    await this.#guarded((client) =>
      inTransaction(client, LEASES_WAIT_MS, async () => {
        await client.query('lock table export_leases in share mode');
        const { rows } = await client.query<{ expires_at: Date }>(
          `select expires_at from export_leases
           where source = $1 and range_start < $3 and range_end > $2
             and expires_at > clock_timestamp()
           order by expires_at desc limit 1`,
          [this.#order.source, starts, until],
        );
        const [lease] = rows;
        if (lease !== undefined && !force) throw exportInProgress(name, lease.expires_at);
        // What was made by hand has none yet.
        await client.query(
          `insert into storage_partitions (source, partition, range_start, range_end)
           select $1, $2, $3, $4
           where not exists (select from storage_partitions
                             where source = $1 and partition = $2 and range_start = $3)`,
          [...this.#entryOf(partition), ends],
        );
        await note(client);
      }),
    );
  }

  /** Parameters of {@link newestEntry}. */
  #entryOf({ name, starts }: LeavingPartition): string[] {
    return [this.#order.source, name, starts];
  }

  /**
   * Gives errors their form; one that a cancel has made is the signal's reason. What a node has not
   * answered soon after that is given up with the session: it may have fallen silent.
   */
  async #guarded(body: (client: Client) => Promise<void>): Promise<void> {
    const { client } = this.#connection;
    const { signal } = this.#order;
    let givingUp: NodeJS.Timeout | undefined;
    const onLeft = () => {
      givingUp = setTimeout(() => destroyClient(asDriverClient(client)), ANSWER_WAIT_MS);
    };
    if (signal.aborted) onLeft();
    else signal.addEventListener('abort', onLeft, { once: true });
    try {
      await body(client);
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      const node = nodeName(client);
      throw toStowageError(error, { phase: 'write', node, deadlineMs: Infinity });
    } finally {
      signal.removeEventListener('abort', onLeft);
      clearTimeout(givingUp);
    }
  }
}

/** The error for what a running export still needs. */
export function exportInProgress(partition: string, expiresAt: Date): StowageError {
  const expires = expiresAt.toISOString();
  return new StowageError('EXPORT_IN_PROGRESS', {
    message:
      `A running export still needs ${partition}, at the longest until ${expires} if it stops; ` +
      'repeat then, or set force.',
    metadata: { partition, expires_at: expires },
    retryDelayMs: Math.max(1_000, Math.min(60_000, expiresAt.getTime() - Date.now())),
  });
}

function stillUsed(partition: string, cause: unknown): StowageError {
  return new StowageError('OVERLOADED', {
    message:
      `An old transaction still uses the table that ${partition} is to leave; ` +
      '`stowage admin activity` tells whose. Repeat when it has ended: it goes on from here.',
    metadata: { partition },
    retryDelayMs: 60_000,
    cause,
  });
}

function isTimeout(error: unknown): boolean {
  return isServerError(error) && error.code === '57014';
}

async function inTransaction(
  client: Client,
  lockWaitMs: number,
  body: () => Promise<void>,
): Promise<void> {
  await client.query('begin');
  try {
    await client.query(`set local lock_timeout = ${lockWaitMs}`);
    await body();
    await client.query('commit');
  } catch (error) {
    await client.query('rollback').catch(() => undefined);
    throw error;
  }
}
