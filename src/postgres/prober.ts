/**
 * Watches one node over a connection of its own: asks what it is, at an even pace, faster while
 * somebody waits for it. What must be recorded in the node's data goes over the same connection.
 */

import type { PostgresSettings } from '../config.js';
import { deferred } from '../lib/deferred.js';
import { settlesWithin } from '../lib/interruption.js';
import { begin, commit, commitLocally, probe, readHistory } from './control.sql.js';
import {
  createClient,
  type DriverClient,
  destroyClient,
  driverConfig,
  isServerError,
  type NodeAddress,
} from './driver.js';
import type { HostWatch } from './host-watch.js';
import { reportOf } from './node-report.js';
import { endFailed, makeUnit } from './pooled.js';
import type { NodeReport } from './router-state.js';
import { classify } from './sqlstate.js';
import type { Step, StepResult } from './unit.js';

/** What a probe saw. */
export type Observation =
  | { readonly kind: 'report'; readonly report: NodeReport }
  | { readonly kind: 'silent' }
  | { readonly kind: 'lost' };

/** Told of each observation, with the error that lay behind one. */
export type ObservationListener = (observation: Observation, cause: unknown) => void;

/** A connection takes more round trips than a probe; this many times its timeout. */
const CONNECT_TIMEOUT_FACTOR = 2;

/** How long a host may take to end its side of an idle connection. */
const END_TIMEOUT_MS = 500;

/** What is recorded waits for the disk. */
const RECORD_TIMEOUT_MS = 5_000;

/** However many ask, and whatever they are told: the fastest pace that anybody waits at. */
const PACE_MIN_MS = 5;

/** What has arrived by the time of a timer is read within this; later, where the timer was late. */
const READ_MS = 10;

/** One prober a node. */
export class Prober {
  readonly #settings: PostgresSettings;
  readonly #node: NodeAddress;
  readonly #onObservation: ObservationListener;
  readonly #host: HostWatch;
  readonly #first = deferred<void>();
  /** Intervals that were asked for, by who waits. */
  readonly #paces = new Set<{ readonly intervalMs: number }>();
  #client: DriverClient | undefined;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #record:
    | { readonly steps: readonly Step[]; readonly onEnd: (error: unknown) => void }
    | undefined;
  /** When the present or last beat, and the last attempt to record that failed, began. */
  #beganAtMs = Number.NEGATIVE_INFINITY;
  #failedAtMs = Number.NEGATIVE_INFINITY;
  #isClosed = false;
  /** Asked for while a probe was on its way: what that one sees may be older. */
  #isWoken = false;
  /** The last probe went unanswered: the next connection attempt only confirms it. */
  #isSilent = false;

  constructor(
    settings: PostgresSettings,
    node: NodeAddress,
    onObservation: ObservationListener,
    host: HostWatch,
  ) {
    this.#settings = settings;
    this.#node = node;
    this.#onObservation = onObservation;
    this.#host = host;
  }

  /** Begins. Resolves after the first probe, whatever it saw. */
  start(): Promise<void> {
    this.wake();
    return this.#first.promise;
  }

  /** Probes at once rather than at the next beat; no more often than every 5 ms. */
  wake(): void {
    if (this.#running !== undefined) this.#isWoken = true;
    else this.#beatAfter(PACE_MIN_MS);
  }

  /** The next beat begins this long after the last one did, or at once where that is over. */
  #beatAfter(intervalMs: number): void {
    clearTimeout(this.#timer);
    if (this.#isClosed) return;
    const remainingMs = this.#beganAtMs + intervalMs - performance.now();
    const beat = () => {
      this.#running = this.#beat();
    };
    if (remainingMs <= 0) beat();
    else this.#timer = setTimeout(beat, remainingMs);
  }

  /** Probes at once, unless a probe is on its way. */
  check(): void {
    if (this.#running === undefined) this.wake();
  }

  /** Probes at least this often until the returned function is called. */
  hurry(intervalMs: number): () => void {
    const pace = { intervalMs };
    this.#paces.add(pace);
    if (this.#running === undefined) this.#beatAfter(this.#intervalMs());
    return () => {
      this.#paces.delete(pace);
    };
  }

  /**
   * Runs steps in one transaction that does not wait for standbys, then probes again. Asked for
   * again before it has run, the later one counts. After a failure it has to wait for an interval,
   * for what a full disk or a missing grant refuses is asked for again with every report.
   * @param onEnd told why it failed, or undefined.
   */
  record(steps: readonly Step[], onEnd: (error: unknown) => void): void {
    const plain = (statement: Step['statement']): Step => ({ statement, params: [] });
    this.#record = { steps: [plain(begin), plain(commitLocally), ...steps, plain(commit)], onEnd };
    if (this.#mayRecord()) this.wake();
  }

  #mayRecord(): boolean {
    const pauseMs = this.#settings.probeIntervalMs - PACE_MIN_MS;
    return performance.now() - this.#failedAtMs >= pauseMs;
  }

  async #beat(): Promise<void> {
    this.#beganAtMs = performance.now();
    this.#isWoken = false;
    if (this.#mayRecord()) await this.#runRecord();
    await this.#observe();
    this.#running = undefined;
    this.#first.resolve();
    this.#beatAfter(this.#isWoken ? PACE_MIN_MS : this.#intervalMs());
  }

  #intervalMs(): number {
    const asked = [...this.#paces].map(({ intervalMs }) => intervalMs);
    return Math.min(this.#settings.probeIntervalMs, ...asked);
  }

  async #runRecord(): Promise<void> {
    const record = this.#record;
    this.#record = undefined;
    if (record === undefined || this.#client === undefined) return;
    const client = this.#client;
    const unit = makeUnit(this.#settings, record.steps);
    client.query(unit);
    const isEnded = await settlesWithin(unit.done, RECORD_TIMEOUT_MS);
    if (!isEnded || !(await endFailed(this.#settings, client, RECORD_TIMEOUT_MS))) this.#drop();
    const failed = (error: unknown) => {
      this.#failedAtMs = this.#beganAtMs;
      record.onEnd(error);
    };
    await unit.done.then(() => record.onEnd(undefined), failed);
  }

  async #observe(): Promise<void> {
    const isReused = this.#client !== undefined;
    try {
      this.#client ??= await this.#connect();
      const report = await this.#ask(this.#client);
      this.#isSilent = false;
      if (this.#isClosed) return;
      this.#onObservation({ kind: 'report', report }, undefined);
      void this.#checkHost(this.#client);
    } catch (error) {
      this.#drop();
      if (this.#isClosed) return;
      this.#host.doubt();
      // The end of an idle connection says little of the node: a fresh one is tried first. What a
      // fresh one meets counts, for to try again at once would be a busy loop.
      if (isReused) this.#isWoken = true;
      this.#isSilent = isTimeout(error);
      if (this.#isSilent) this.#onObservation({ kind: 'silent' }, error);
      else if (!isReused) this.#onObservation({ kind: 'lost' }, error);
    }
  }

  /** Behind the probe, which a slow name server must not hold up. */
  async #checkHost(client: DriverClient): Promise<void> {
    const addresses = await this.#host.check();
    const { remoteAddress } = client.connection.stream;
    if (addresses === undefined || remoteAddress === undefined || addresses.has(remoteAddress)) {
      return;
    }
    // The name leads to another server now, though this one may still answer.
    if (this.#client !== client) return;
    this.#drop();
    this.wake();
  }

  async #connect(): Promise<DriverClient> {
    const { probeTimeoutMs } = this.#settings;
    const client = createClient({
      ...driverConfig(this.#settings, this.#node, 'probe'),
      connectionTimeoutMillis: probeTimeoutMs * (this.#isSilent ? 1 : CONNECT_TIMEOUT_FACTOR),
    });
    client.on('error', () => {
      // The server has ended it: the next probe tells why, and need not wait for its beat. One that
      // is on its way meets the end itself.
      if (this.#client === client) this.check();
    });
    try {
      await client.connect();
    } catch (error) {
      destroyClient(client);
      throw error;
    }
    return client;
  }

  async #ask(client: DriverClient): Promise<NodeReport> {
    const askedAtMs = performance.now();
    const unit = makeUnit(this.#settings, [
      { statement: probe, params: [] },
      { statement: readHistory, params: [] },
    ]);
    client.query(unit);
    if (!(await this.#answers(unit.done))) {
      throw new ProbeTimeout(`no answer within ${this.#settings.probeTimeoutMs} ms`);
    }
    const isKept = await unit.done.then(
      () => true,
      (error: unknown) => refusesHistory(error, unit.results.length),
    );
    if (!(await endFailed(this.#settings, client, this.#settings.probeTimeoutMs))) this.#drop();
    return reportOf(unit.results, askedAtMs, isKept);
  }

  /** A timer that came late proves nothing: the answer may lie in the socket, unread. */
  async #answers(done: Promise<StepResult[]>): Promise<boolean> {
    const { probeTimeoutMs } = this.#settings;
    const askedAtMs = performance.now();
    if (await settlesWithin(done, probeTimeoutMs)) return true;
    const lateMs = performance.now() - askedAtMs - probeTimeoutMs;
    return settlesWithin(done, Math.min(probeTimeoutMs, Math.max(READ_MS, lateMs)));
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

/** A database that is not migrated has no history: who it is counts all the same. */
function refusesHistory(error: unknown, completed: number): false {
  const kind = isServerError(error) && completed > 0 ? classify(error) : 'unknown';
  if (kind === 'schema_mismatch' || kind === 'not_permitted') return false;
  throw error;
}
