/**
 * Keeps the topology: one prober a node, what queries meet by the way, and who waits for a change.
 * Does what the state machine asks for, and decides nothing itself.
 */

import type { PostgresSettings } from '../config.js';
import { StowageError } from '../errors.js';
import { type Deferred, deferred } from '../lib/deferred.js';
import { type Interruption, type Limits, NEVER, within } from '../lib/interruption.js';
import type { SeverScope } from './connections.js';
import { recordAcceptance, recordTimeline } from './control.sql.js';
import { type NodeAddress, nodeName } from './driver.js';
import {
  type HistoryEvent,
  historyChannel,
  type TopologyEvent,
  topologyChannel,
} from './events.js';
import { compareRanks, type Rank, sameHistory } from './history.js';
import { HostWatch } from './host-watch.js';
import { claimerOn } from './primary-choice.js';
import { Prober } from './prober.js';
import {
  type Effect,
  type Knowledge,
  type RouterEvent,
  type StateLimits,
  step,
  type Topology,
  unknownTopology,
  withNodes,
} from './router-state.js';
import { SYSTEM_PRINCIPAL } from './system-call.js';
import { transitionDetail } from './transition-detail.js';

/** What is done with the connections of a node. */
export interface ConnectionEffects {
  sever(node: string, scope: SeverScope): void;
  /** The node's name leads to these addresses and no others. */
  keepOnly(node: string, addresses: ReadonlySet<string>): void;
  warm(node: string): void;
}

/** Somebody who waits until the topology is as it needs it. */
interface Waiter {
  /** True once there is nothing more to wait for. */
  readonly check: () => boolean;
  readonly refuse: (error: StowageError) => void;
}

/** The one owner of the topology. */
export class TopologyMonitor {
  readonly #settings: PostgresSettings;
  readonly #connections: ConnectionEffects;
  readonly #probers = new Map<string, Prober>();
  readonly #waiters = new Set<Waiter>();
  readonly #listeners = new Set<(event: TopologyEvent) => void>();
  #topology: Topology;
  #isClosed = false;

  constructor(settings: PostgresSettings, connections: ConnectionEffects, limits: StateLimits) {
    this.#settings = settings;
    this.#connections = connections;
    this.#topology = unknownTopology(settings.nodes.map(nodeName), limits);
    for (const node of settings.nodes) this.#addProber(node);
  }

  #addProber(node: NodeAddress): Prober {
    const name = nodeName(node);
    const prober = new Prober(
      this.#settings,
      node,
      (seen, cause) => this.#take({ ...seen, node: name }, cause),
      new HostWatch(node.host, (addresses) => this.#connections.keepOnly(name, addresses)),
    );
    this.#probers.set(name, prober);
    return prober;
  }

  /** What is known now. */
  get topology(): Topology {
    return this.#topology;
  }

  /** Begins to probe; resolves after the first probe of every node, reachable or not. */
  async start(): Promise<void> {
    await Promise.all([...this.#probers.values()].map((prober) => prober.start()));
  }

  /** Takes in what a query met: holds until a probe, begun at once, says otherwise. */
  suspect(node: string, kind: 'lost' | 'demoted' | 'crowded', cause: unknown): void {
    this.#take({ kind, node }, cause);
    this.#probers.get(node)?.wake();
  }

  /** Asks a node at once what it is; what is known of it counts meanwhile. */
  ask(node: string): void {
    this.#probers.get(node)?.wake();
  }

  /** The same, where no question is on its way already. */
  check(node: string): void {
    this.#probers.get(node)?.check();
  }

  /** Takes in a timeline that a verified token tells of. */
  sight(timeline: number): void {
    this.#take({ kind: 'token', timeline, atMs: performance.now() }, undefined);
  }

  /** Tells of each transition once the topology has it; until the returned function is called. */
  subscribe(listener: (event: TopologyEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  #take(event: RouterEvent, cause: unknown): void {
    const former = this.#topology;
    const { topology, transitions, effects } = step(former, event);
    if (topology === former) return;
    this.#topology = topology;
    for (const { node, from, to } of transitions) {
      const fence = topology.nodes.get(node)?.fence;
      const detail = transitionDetail(event, { node, to }, fence, cause);
      const change: TopologyEvent = { node, from, to, detail, cause };
      for (const listener of this.#listeners) listener(change);
      topologyChannel.publish(change);
    }
    for (const effect of effects) this.#do(effect);
    if (!sameHistory(former.history, topology.history)) this.#settle();
    if (transitions.length > 0 || hasMoved(former, topology, event)) this.#wakeWaiters();
  }

  /**
   * Standbys are unknown until a new timeline's row has reached them, which takes moments: they are
   * asked more often for one interval, so that reads leave the primary as soon as they may.
   */
  #settle(): void {
    const isSettled = ({ nodes }: Topology) =>
      [...nodes.values()].every(({ state }) => state !== 'unknown') || undefined;
    const deadlineMs = performance.now() + this.#settings.probeIntervalMs;
    const limits = { signal: NEVER, deadlineMs };
    // Nobody waits for it: where there is no place for one more to wait, the next beat will do.
    this.until(isSettled, SETTLE_INTERVAL_MS, limits).catch(() => undefined);
  }

  #wakeWaiters(): void {
    for (const waiter of this.#waiters) {
      if (waiter.check()) this.#waiters.delete(waiter);
    }
  }

  #do(effect: Effect): void {
    switch (effect.kind) {
      case 'sever':
        this.#connections.sever(effect.node, effect.scope);
        break;
      case 'warm':
        this.#connections.warm(effect.node);
        break;
      case 'record_timeline':
        this.#recordTimeline(effect);
        break;
      case 'record_acceptance':
        this.#recordAcceptance(effect.node, effect.abandoned, SYSTEM_PRINCIPAL);
        break;
    }
  }

  #recordTimeline({ node, timeline, wasWatched }: Effect & { kind: 'record_timeline' }): void {
    const steps = [{ statement: recordTimeline, params: [timeline, wasWatched] }];
    this.#probers.get(node)?.record(steps, telling(node, `record timeline ${timeline}`));
  }

  #recordAcceptance(node: string, abandoned: Rank, by: string): void {
    const timeline = this.#topology.nodes.get(node)?.report?.timeline;
    const params = [abandoned.generation + 1, timeline, abandoned.timeline, by];
    const steps = [{ statement: recordAcceptance, params }];
    const detail = `accept timeline ${timeline} instead of ${abandoned.timeline}`;
    this.#probers.get(node)?.record(steps, telling(node, detail));
  }

  /**
   * Waits until `pick` finds what it needs; nodes are asked every `intervalMs` meanwhile.
   * @throws StowageError OVERLOADED when too many wait, DRAINING; what `pick` throws.
   */
  async until<T>(
    pick: (topology: Topology) => T | undefined,
    intervalMs: number,
    limits: Limits,
  ): Promise<{ readonly value: T } | { readonly interruption: Interruption }> {
    if (this.#isClosed) throw new StowageError('DRAINING');
    const found = pick(this.#topology);
    if (found !== undefined) return { value: found };
    if (this.#waiters.size >= this.#settings.queueMax) {
      throw new StowageError('OVERLOADED', {
        message: 'Too many calls wait for a node; repeat after the delay.',
        retryDelayMs: REFUSED_RETRY_DELAY_MS,
      });
    }
    const came = deferred<T>();
    const waiter: Waiter = {
      check: () => settle(came, () => pick(this.#topology)),
      refuse: (error) => came.reject(error),
    };
    this.#waiters.add(waiter);
    const calm = [...this.#probers.values()].map((prober) => prober.hurry(intervalMs));
    try {
      return await within(came.promise, limits);
    } finally {
      this.#waiters.delete(waiter);
      for (const release of calm) release();
    }
  }

  /**
   * Gives a newer timeline up for this one.
   * @throws StowageError TIMELINE_NOT_FOUND, PRIMARY_PRESENT while another takes writes, NO_PRIMARY
   * when it did not become the primary in time.
   */
  async accept(timeline: number, by: string, limits: Limits): Promise<void> {
    const { newest } = this.#topology as Knowledge;
    const claimer = claimerOn(this.#topology as Knowledge, timeline);
    if (claimer === undefined || claimer === 'several') {
      throw new StowageError('TIMELINE_NOT_FOUND', {
        ...(claimer === 'several' ? { message: SEVERAL_CLAIM } : {}),
        metadata: { timeline: `${timeline}` },
      });
    }
    const { name } = claimer.node;
    const isPrimary = (topology: Topology) => topology.primary === name || undefined;
    if (isPrimary(this.#topology)) return;
    const { primary, timeline: present } = this.#topology;
    if (primary !== undefined) {
      const metadata = { node: primary, timeline: `${present}` };
      throw new StowageError('PRIMARY_PRESENT', { metadata });
    }
    // One of the newest rank gives nothing up: it waits for its row.
    if (compareRanks(claimer.rank, newest) < 0) this.#recordAcceptance(name, newest, by);
    const outcome = await this.until(isPrimary, ACCEPT_INTERVAL_MS, limits);
    if ('interruption' in outcome) {
      throw new StowageError('NO_PRIMARY', { retryDelayMs: REFUSED_RETRY_DELAY_MS });
    }
  }

  /** Other nodes: what is known of those that stay is kept. */
  async setNodes(nodes: readonly NodeAddress[]): Promise<void> {
    const names = new Set(nodes.map(nodeName));
    const gone = [...this.#probers].filter(([name]) => !names.has(name));
    for (const [name] of gone) this.#probers.delete(name);
    this.#topology = withNodes(this.#topology, [...names]);
    const added = nodes.filter((node) => !this.#probers.has(nodeName(node)));
    await Promise.all([
      ...gone.map(([, prober]) => prober.close()),
      ...added.map((node) => this.#addProber(node).start()),
    ]);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const waiter of this.#waiters) waiter.refuse(new StowageError('DRAINING'));
    await Promise.all([...this.#probers.values()].map((prober) => prober.close()));
  }
}

const REFUSED_RETRY_DELAY_MS = 500;
const ACCEPT_INTERVAL_MS = 50;
const SETTLE_INTERVAL_MS = 20;
const SEVERAL_CLAIM =
  'Several nodes take writes on the timeline and nothing tells which is right; stop all but one.';

/**
 * Whether a standby has come further: a probe that says the same again wakes nobody, nor does one
 * of the primary, which goes forward all the time and is waited for by nobody.
 */
function hasMoved(former: Topology, topology: Topology, event: RouterEvent): boolean {
  if (event.kind === 'token' || !sameHistory(former.history, topology.history)) return true;
  if (event.node === topology.primary) return false;
  const lsnIn = ({ nodes }: Topology) => nodes.get(event.node)?.report?.lsn;
  return lsnIn(former) !== lsnIn(topology);
}

/** Passes on what was found; false while nothing is. */
function settle<T>(came: Deferred<T>, pick: () => T | undefined): boolean {
  try {
    const found = pick();
    if (found === undefined) return false;
    came.resolve(found);
  } catch (error) {
    came.reject(error);
  }
  return true;
}

function telling(node: string, detail: string): (cause: unknown) => void {
  return (cause) => historyChannel.publish({ node, detail, cause } satisfies HistoryEvent);
}
