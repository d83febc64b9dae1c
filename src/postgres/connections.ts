/**
 * The connections of one node for one purpose: opened, kept while idle, asked after a long idle
 * time, ended when old. Knows neither callers nor a bound on their number. The driver's own pool
 * tells neither which connections are out nor lets them be ended, and asks none whether it lives.
 */

import type { PostgresSettings } from '../config.js';
import { settlesWithin } from '../lib/interruption.js';
import {
  createClient,
  type DriverClient,
  destroyClient,
  driverConfig,
  type NodeAddress,
  type Purpose,
} from './driver.js';
import { NodeLost } from './node-lost.js';
import { Unit } from './unit.js';

/** When connections are asked and ended, in ms. */
export interface ConnectionTimes {
  /** Idle ones beyond the minimum are closed after this long. */
  readonly idleMs: number;
  /** The greatest age; a quarter less at random, so that those of one moment end one by one. */
  readonly ageMaxMs: number;
  /** Idle for longer, one is asked whether it lives before it is handed out. */
  readonly askAfterMs: number;
}

/** The usual ones. */
export const CONNECTION_TIMES: ConnectionTimes = {
  idleMs: 60_000,
  ageMaxMs: 30 * 60_000,
  askAfterMs: 30_000,
};

/** What connections tell of their node by the way. */
export interface ConnectionListener {
  /** The server says which role it has: at the start, and after a promotion with an answer. */
  onRole(role: 'primary' | 'standby'): void;
  /** An idle connection was asked and did not answer in time. */
  onSilence(): void;
}

/** One connection. */
export interface Connection {
  readonly client: DriverClient;
  readonly expiresAtMs: number;
  /** When it was last lent or given back, on the clock of `performance.now()`. */
  sinceMs: number;
  /** Over, or on its way out: it is not lent again. */
  isSpent: boolean;
}

const AGE_JITTER = 0.25;

/** How long a host may take to end its side. */
const END_TIMEOUT_MS = 500;

/** Which connections are of no use any more: `all` are those too that are lent. */
export type SeverScope = 'idle' | 'all';

/** Opens, keeps and ends. */
export class Connections {
  readonly #settings: PostgresSettings;
  readonly #node: NodeAddress;
  readonly #purpose: Purpose;
  readonly #times: ConnectionTimes;
  readonly #listener: ConnectionListener | undefined;
  /** The last is the one that was used last: the others may grow old and be closed. */
  #idle: Connection[] = [];
  /** Lent or being opened, the longest first. */
  readonly #out = new Set<Connection>();
  readonly #ending = new Set<Promise<void>>();
  /** Why none is opened or kept any more. */
  #closedBy: Error | undefined;

  constructor(
    settings: PostgresSettings,
    node: NodeAddress,
    purpose: Purpose,
    times: ConnectionTimes,
    listener: ConnectionListener | undefined,
  ) {
    this.#settings = settings;
    this.#node = node;
    this.#purpose = purpose;
    this.#times = times;
    this.#listener = listener;
  }

  /** Open ones and ones being opened. */
  get size(): number {
    return this.#idle.length + this.#out.size;
  }

  get idle(): number {
    return this.#idle.length;
  }

  /** Since when the one that is out for longest is; undefined: none is. */
  get lentSinceMs(): number | undefined {
    for (const { sinceMs } of this.#out) return sinceMs;
    return undefined;
  }

  /** Lends one that was used lately, at once; undefined where there is none. */
  lendWarm(): Connection | undefined {
    const connection = this.#idle.at(-1);
    if (connection === undefined) return undefined;
    const nowMs = performance.now();
    const isFresh = nowMs - connection.sinceMs <= this.#times.askAfterMs;
    if (!isFresh || nowMs >= connection.expiresAtMs) return undefined;
    this.#idle.pop();
    return this.#lent(connection, nowMs);
  }

  /** Lends one that answers, else a new one. @throws NodeLost, what the driver says */
  async lend(): Promise<Connection> {
    for (;;) {
      const connection = this.lendWarm() ?? this.#idle.pop();
      if (connection === undefined) return this.open();
      const nowMs = performance.now();
      const isAsked = nowMs - connection.sinceMs > this.#times.askAfterMs;
      this.#lent(connection, nowMs);
      const isOld = nowMs >= connection.expiresAtMs;
      if (!isOld && (!isAsked || (await this.#lives(connection)))) return connection;
      this.giveBack(connection, isOld);
      const { errored } = connection.client.connection.stream;
      if (errored instanceof NodeLost) throw errored;
    }
  }

  #lent(connection: Connection, nowMs: number): Connection {
    connection.sinceMs = nowMs;
    this.#out.add(connection);
    return connection;
  }

  /** Asks with an empty round trip. The first that stays silent speaks for all that are as old. */
  async #lives(connection: Connection): Promise<boolean> {
    const ping = new Unit([]);
    connection.client.query(ping);
    if (await settlesWithin(ping.done, this.#settings.probeTimeoutMs)) return !connection.isSpent;
    const usedAfterMs = performance.now() - this.#times.askAfterMs;
    this.#endIdle(({ sinceMs }) => sinceMs < usedAfterMs);
    this.#listener?.onSilence();
    return false;
  }

  /** Opens one, and lends it. @throws what the driver says, NodeLost, why it was closed. */
  async open(): Promise<Connection> {
    // A caller may come from a question that ended with what it was asked of.
    if (this.#closedBy !== undefined) throw this.#closedBy;
    const client = createClient(driverConfig(this.#settings, this.#node, this.#purpose));
    const nowMs = performance.now();
    const ageMaxMs = this.#times.ageMaxMs * (1 - Math.random() * AGE_JITTER);
    const expiresAtMs = nowMs + ageMaxMs;
    const connection: Connection = { client, expiresAtMs, sinceMs: nowMs, isSpent: false };
    const onOver = () => this.#forget(connection);
    client.on('error', onOver);
    client.on('end', onOver);
    client.connection.on('parameterStatus', ({ parameterName, parameterValue }) => {
      if (parameterName !== 'in_hot_standby') return;
      this.#listener?.onRole(parameterValue === 'on' ? 'standby' : 'primary');
    });
    this.#out.add(connection);
    try {
      await client.connect();
      return connection;
    } catch (error) {
      this.#out.delete(connection);
      destroyClient(client);
      throw error;
    }
  }

  #forget(connection: Connection): void {
    connection.isSpent = true;
    this.#idle = this.#idle.filter((idle) => idle !== connection);
  }

  /** Takes one back that was lent; it is kept where it is usable and not too old. */
  giveBack(connection: Connection, isUsable: boolean): void {
    this.#out.delete(connection);
    const nowMs = performance.now();
    const isKept =
      !connection.isSpent && this.#closedBy === undefined && nowMs < connection.expiresAtMs;
    if (isUsable && isKept) {
      connection.sinceMs = nowMs;
      this.#idle.push(connection);
    } else if (isUsable) this.#end(connection);
    else destroyClient(connection.client);
  }

  /** Ends idle ones that have grown old, and those beyond the minimum that nobody needs. */
  tend(sizeMin: number): void {
    const nowMs = performance.now();
    let spare = this.size - sizeMin;
    this.#endIdle(({ expiresAtMs, sinceMs }) => {
      const isOver = nowMs >= expiresAtMs || (spare > 0 && nowMs - sinceMs > this.#times.idleMs);
      if (isOver) spare -= 1;
      return isOver;
    });
  }

  /** Ends what goes to other addresses: idle ones at once, lent ones once they are back. */
  keepOnly(addresses: ReadonlySet<string>): void {
    const isElsewhere = ({ client }: Connection) => {
      const { remoteAddress } = client.connection.stream;
      return remoteAddress !== undefined && !addresses.has(remoteAddress);
    };
    this.#endIdle(isElsewhere);
    for (const connection of this.#out) {
      if (isElsewhere(connection)) connection.isSpent = true;
    }
  }

  /**
   * Ends idle ones, without a word to a host that may be silent; lent ones are not lent again, and
   * with `all` end at once, with `reason` as their error.
   */
  sever(scope: SeverScope, reason: NodeLost): void {
    for (const connection of this.#idle) {
      connection.isSpent = true;
      destroyClient(connection.client);
    }
    this.#idle = [];
    for (const connection of this.#out) {
      connection.isSpent = true;
      if (scope === 'all') destroyClient(connection.client, reason);
    }
  }

  #endIdle(isOver: (connection: Connection) => boolean): void {
    const over = this.#idle.filter(isOver);
    this.#idle = this.#idle.filter((connection) => !over.includes(connection));
    for (const connection of over) this.#end(connection);
  }

  #end(connection: Connection): void {
    connection.isSpent = true;
    const { client } = connection;
    const ended = settlesWithin(client.end(), END_TIMEOUT_MS).then(() => {
      destroyClient(client);
      this.#ending.delete(ended);
    });
    this.#ending.add(ended);
  }

  /**
   * Opens none any more, and keeps none: idle ones end in order, lent ones once they are back.
   * @param reason told to who would open one.
   */
  shut(reason: Error): void {
    this.#closedBy = reason;
    this.#endIdle(() => true);
  }

  /** Ends what is lent at once; resolves when all are ended. */
  async close(): Promise<void> {
    for (const connection of this.#out) {
      connection.isSpent = true;
      destroyClient(connection.client);
    }
    await Promise.all(this.#ending);
  }
}
