/** Watches one node over a connection of its own: asks what it is, at an even pace. */

import type { PostgresSettings } from '../config.js';
import { deferred } from '../lib/deferred.js';
import { settlesWithin } from '../lib/interruption.js';
import { probe } from './control.sql.js';
import {
  createClient,
  type DriverClient,
  destroyClient,
  driverConfig,
  type NodeAddress,
} from './driver.js';
import { parseLsn } from './lsn.js';
import { makeUnit } from './pooled.js';
import type { NodeReport, Observation } from './topology.js';

/** Told of each observation, with the error that lay behind one. */
export type ObservationListener = (observation: Observation, cause: unknown) => void;

/** A connection takes more round trips than a probe; this many times its timeout. */
const CONNECT_TIMEOUT_FACTOR = 2;

/** How long a host may take to end its side of an idle connection. */
const END_TIMEOUT_MS = 500;

/** One prober a node. */
export class Prober {
  readonly #settings: PostgresSettings;
  readonly #node: NodeAddress;
  readonly #onObservation: ObservationListener;
  readonly #first = deferred<void>();
  #client: DriverClient | undefined;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #isClosed = false;
  /** Asked for while a probe was on its way: what that one sees may be older. */
  #isWoken = false;

  constructor(settings: PostgresSettings, node: NodeAddress, onObservation: ObservationListener) {
    this.#settings = settings;
    this.#node = node;
    this.#onObservation = onObservation;
  }

  /** Begins. Resolves after the first probe, whatever it saw. */
  start(): Promise<void> {
    this.wake();
    return this.#first.promise;
  }

  /** Probes at once rather than at the next beat. */
  wake(): void {
    if (this.#isClosed) return;
    if (this.#running !== undefined) {
      this.#isWoken = true;
      return;
    }
    clearTimeout(this.#timer);
    this.#running = this.#beat();
  }

  async #beat(): Promise<void> {
    const startedAtMs = performance.now();
    this.#isWoken = false;
    await this.#observe();
    this.#running = undefined;
    this.#first.resolve();
    if (this.#isClosed) return;
    if (this.#isWoken) {
      this.wake();
      return;
    }
    const elapsedMs = performance.now() - startedAtMs;
    const delayMs = Math.max(0, this.#settings.probeIntervalMs - elapsedMs);
    this.#timer = setTimeout(() => this.wake(), delayMs);
  }

  async #observe(): Promise<void> {
    const isReused = this.#client !== undefined;
    try {
      this.#client ??= await this.#connect();
      const report = await this.#ask(this.#client);
      if (!this.#isClosed) this.#onObservation(report, undefined);
    } catch (error) {
      this.#drop();
      if (this.#isClosed) return;
      // The end of an idle connection says little of the node: a fresh one is tried first. What a
      // fresh one meets counts, for to try again at once would be a busy loop.
      if (isReused) this.#isWoken = true;
      if (isTimeout(error)) this.#onObservation({ kind: 'silent' }, error);
      else if (!isReused) this.#onObservation({ kind: 'lost' }, error);
    }
  }

  async #connect(): Promise<DriverClient> {
    const client = createClient({
      ...driverConfig(this.#settings, this.#node, 'probe'),
      connectionTimeoutMillis: this.#settings.probeTimeoutMs * CONNECT_TIMEOUT_FACTOR,
    });
    client.on('error', () => {
      // The server has ended it: the next probe tells why, and need not wait for its beat.
      if (this.#client === client) this.wake();
    });
    try {
      await client.connect();
    } catch (error) {
      destroyClient(client);
      throw error;
    }
    return client;
  }

  async #ask(client: DriverClient): Promise<Observation> {
    const askedAtMs = performance.now();
    const unit = makeUnit(this.#settings, [{ statement: probe, params: [] }]);
    client.query(unit);
    if (!(await settlesWithin(unit.done, this.#settings.probeTimeoutMs))) {
      throw new ProbeTimeout(`no answer within ${this.#settings.probeTimeoutMs} ms`);
    }
    const [result] = await unit.done;
    const row = result?.rows[0] as (typeof probe)['row'];
    if (row === undefined) throw new Error('a probe has no row');
    return { kind: 'report', report: readReport(row, askedAtMs) };
  }

  #drop(): void {
    const client = this.#client;
    this.#client = undefined;
    if (client !== undefined) destroyClient(client);
  }

  /** Ends the watch and its connection. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#first.resolve();
    // Mid-probe the connection is cut, so that closing does not wait for a silent host; the probe
    // may still make one, which is ended as an idle one is.
    if (this.#running !== undefined) this.#drop();
    await this.#running;
    if (this.#client !== undefined) await settlesWithin(this.#client.end(), END_TIMEOUT_MS);
    this.#drop();
  }
}

class ProbeTimeout extends Error {
  override readonly name = 'ProbeTimeout';
}

/** Silence, as opposed to a refusal: the driver's words for a connect timeout are these. */
function isTimeout(error: unknown): boolean {
  if (error instanceof ProbeTimeout) return true;
  return error instanceof Error && error.message === 'timeout expired';
}

function readReport(row: NonNullable<(typeof probe)['row']>, askedAtMs: number): NodeReport {
  return {
    askedAtMs,
    role: row.in_recovery ? 'standby' : 'primary',
    // The identifier is unsigned; SQL has no type for that and shows it as a signed one.
    systemIdentifier: BigInt.asUintN(64, row.system_identifier),
    timeline: row.wal_file === null ? undefined : Number.parseInt(row.wal_file.slice(0, 8), 16),
    lsn: row.lsn === null ? undefined : parseLsn(row.lsn),
    startedAt: row.started_at,
  };
}
