/**
 * What reads and writes share: the nodes with their pools, what is known of them, how a node is
 * chosen and waited for, how errors become evidence, how tokens are made.
 */

import type { PostgresSettings } from '../config.js';
import { StowageError } from '../errors.js';
import { assert } from '../lib/assert.js';
import { backoffMs, pauseWithin } from '../lib/backoff.js';
import type { Limits } from '../lib/interruption.js';
import type { Token } from '../lib/token-layout.js';
import type { Call, ServedBy } from './call.js';
import { ClusterNode } from './cluster-node.js';
import type { SeverScope } from './connections.js';
import { demandOf } from './demand.js';
import { nodeName } from './driver.js';
import { publishQuery } from './events.js';
import { type Choice, chooseNode, type Demand, type Route, routeTo } from './freshness.js';
import { promotionOf } from './history.js';
import { interruptionError } from './lease.js';
import { NodeLost } from './node-lost.js';
import { type Served, StaleRoute } from './read-check.js';
import type { Reloadable } from './router-handle.js';
import type { StateLimits, Topology } from './router-state.js';
import type { SlowStatements } from './slow-statements.js';
import { nodeEvidence, toStowageError } from './sqlstate.js';
import type { Statement } from './statement.js';
import { formatToken, parseToken } from './token.js';
import type { TokenKeys } from './token-keys.js';
import { TopologyMonitor } from './topology-monitor.js';

/** No statement outside of streams runs longer, whatever the call's deadline. */
const UNARY_TIMEOUT_MAX_MS = 300_000;
/** What RetryInfo tells callers who found no node. */
const RETRY_DELAY_MS = 1_000;

/** How often nodes are asked while a call waits for one to catch up. */
const CATCH_UP_INTERVAL_MS = 5;
/** The same while a call waits for a node or for a primary, which takes longer. */
const NODE_INTERVAL_MS = 50;

/** A lease that is out for longer is a reason to ask its node, where the last answer is as old. */
const WATCH_AFTER_MS = 250;
const WATCH_INTERVAL_MS = 100;

/** Pauses before a repetition; each is twice as long as the one before. */
const BACKOFF_MS = { first: 10, max: 1_000 };

/** What a call has met so far. */
export interface Attempts {
  /** Of the next one, from 1. */
  number: number;
  readonly tried: Set<string>;
  readonly behind: Set<string>;
  /** When it stops to wait for a standby to catch up. */
  readonly waitsUntilMs: number;
  /** When it stops to wait for any node; undefined until it has to. */
  hopesUntilMs: number | undefined;
}

/** Something that is done on one node, for its errors and its event. */
export interface Work {
  /** The statement's name. */
  readonly name: string;
  readonly route: Route;
  readonly call: Call;
  readonly phase: 'read' | 'write';
  /** From 1. */
  readonly attempt: number;
}

/** Everything below the router's methods. */
export class Routing {
  readonly settings: PostgresSettings;
  readonly monitor: TopologyMonitor;
  readonly streamQueueTimeoutMs: number;
  /** Told of each statement's time; undefined: nobody wants to know. */
  slow: SlowStatements | undefined;
  #nodes: ReadonlyMap<string, ClusterNode> = new Map();
  /** Taken from the settings; their leases end. */
  readonly #retired = new Set<ClusterNode>();
  readonly #watching: NodeJS.Timeout;
  #isClosed = false;

  constructor(settings: PostgresSettings, streamQueueTimeoutMs: number, limits: StateLimits) {
    // A copy, and the one that all below look at: a reload changes it.
    this.settings = { ...settings };
    this.streamQueueTimeoutMs = streamQueueTimeoutMs;
    this.#nodes = this.#nodesAt(settings.nodes);
    this.monitor = new TopologyMonitor(this.settings, this, limits);
    this.#watching = setInterval(() => this.#watchLeases(), WATCH_INTERVAL_MS).unref();
  }

  #nodesAt(addresses: PostgresSettings['nodes']): ReadonlyMap<string, ClusterNode> {
    const nodes = addresses.map((address): [string, ClusterNode] => {
      const name = nodeName(address);
      const known = this.#nodes.get(name);
      if (known !== undefined) return [name, known];
      const listener = {
        onRole: (role: Route['role']) => this.#hear(name, role),
        onSilence: () => this.monitor.ask(name),
      };
      const { settings, streamQueueTimeoutMs } = this;
      return [name, new ClusterNode(settings, address, streamQueueTimeoutMs, listener)];
    });
    return new Map(nodes);
  }

  /**
   * A session lives on through a promotion and says so with its next answer; what is known of the
   * node may be older.
   */
  #hear(name: string, role: Route['role']): void {
    const report = this.monitor.topology.nodes.get(name)?.report;
    if (report !== undefined && report.role !== role) this.monitor.ask(name);
  }

  /**
   * What was sent to a host that has fallen silent hangs until the prober finds out: nodes whose
   * leases are out for long are asked more often. One timer for all, for one a query costs more.
   */
  #watchLeases(): void {
    const beforeMs = performance.now() - WATCH_AFTER_MS;
    for (const { name, lentSinceMs } of this.#nodes.values()) {
      if (lentSinceMs === undefined || lentSinceMs > beforeMs) continue;
      const askedAtMs = this.monitor.topology.nodes.get(name)?.report?.askedAtMs ?? 0;
      if (askedAtMs < beforeMs) this.monitor.check(name);
    }
  }

  /** In the order of the settings. */
  get nodes(): readonly ClusterNode[] {
    return [...this.#nodes.values()];
  }

  /** The node that a route leads to. @throws NodeLost */
  nodeOf({ node: name }: Route): ClusterNode {
    const node = this.#nodes.get(name);
    // A reload has taken it away since.
    if (node === undefined) throw new NodeLost(name);
    return node;
  }

  /** A node that comes up gets its warm connections before the calls come. */
  warm(name: string): void {
    void this.#nodes.get(name)?.unary.warm();
  }

  /** Ends the connections of a node that are of no use any more. */
  sever(name: string, scope: SeverScope): void {
    this.#nodes.get(name)?.sever(scope);
  }

  /** Ends a node's connections to other addresses than these. */
  keepOnly(name: string, addresses: ReadonlySet<string>): void {
    this.#nodes.get(name)?.keepOnly(addresses);
  }

  /**
   * Takes other nodes and another password; nothing once it is closed, for nobody would end what
   * is opened then. Leases of nodes that are gone may end within `timeoutMs`.
   * @returns once each new one was probed.
   */
  async reload({ nodes, password }: Reloadable, timeoutMs: number): Promise<void> {
    if (this.#isClosed) return;
    Object.assign(this.settings, { nodes, password });
    const former = this.nodes;
    this.#nodes = this.#nodesAt(nodes);
    for (const node of former) {
      if (this.#nodes.has(node.name)) continue;
      this.#retired.add(node);
      void node.retire(timeoutMs).then(() => this.#retired.delete(node));
    }
    await this.monitor.setNodes(nodes);
  }

  /** What a statement needs of its node, by its intent and its call. */
  async demandFor(statement: Statement<unknown>, call: Call, keys: TokenKeys): Promise<Demand> {
    if (statement.intent === 'readPrimary') return { kind: 'primary' };
    return demandOf(call, async (text) => {
      const { systemIdentifier } = this.monitor.topology;
      if (systemIdentifier === undefined) throw noNode('NO_NODE');
      const token = await parseToken(text, systemIdentifier, (id) => keys.find(id));
      this.monitor.sight(token.timeline);
      return token;
    });
  }

  /** A fresh record of what a call meets. */
  attempts(limits: Limits): Attempts {
    const nowMs = performance.now();
    const { freshnessWaitMs } = this.settings;
    const remainingMs = Math.max(0, limits.deadlineMs - nowMs);
    return {
      number: 1,
      tried: new Set(),
      behind: new Set(),
      waitsUntilMs: nowMs + Math.min(freshnessWaitMs, remainingMs / 2),
      hopesUntilMs: undefined,
    };
  }

  /**
   * Chooses a node, waiting for one where none will do: for a standby to catch up as long as the
   * call may wait for that, for a primary until shortly before the deadline, for any node at all as
   * long as a call may stand in line.
   * @throws StowageError NO_PRIMARY, NO_NODE, STANDBY_BEHIND, OVERLOADED, TOKEN_HISTORY_LOST, the
   * signal's reason.
   */
  async route(demand: Demand, attempts: Attempts, limits: Limits): Promise<Route> {
    for (;;) {
      // One look at the clock: a wait that ended between two would be refused, not served.
      const nowMs = performance.now();
      const choice = this.#choose(demand, attempts, nowMs);
      if (choice.kind === 'route') return choice.route;
      const { untilMs, intervalMs } = this.#patience(choice.reason, demand, attempts, limits);
      if (untilMs <= nowMs) throw noNode(choice.reason);
      // All have had their turn: whichever comes back first will do.
      attempts.tried.clear();
      const pick = () => {
        const found = this.#choose(demand, attempts, performance.now());
        return found.kind === 'route' ? found.route : undefined;
      };
      const outcome = await this.monitor.until(pick, intervalMs, {
        ...limits,
        deadlineMs: untilMs,
      });
      if ('value' in outcome) return outcome.value;
      if (outcome.interruption === 'aborted') throw interruptionError('aborted', limits);
      if (choice.reason !== 'STANDBY_BEHIND') throw noNode(choice.reason);
    }
  }

  /** How long a call waits for what it lacks, and how often the nodes are asked meanwhile. */
  #patience(
    reason: StowageError['reason'],
    demand: Demand,
    attempts: Attempts,
    limits: Limits,
  ): { readonly untilMs: number; readonly intervalMs: number } {
    if (reason === 'STANDBY_BEHIND') {
      const untilMs = demand.kind === 'at_least' ? attempts.waitsUntilMs : 0;
      return { untilMs: Math.min(untilMs, limits.deadlineMs), intervalMs: CATCH_UP_INTERVAL_MS };
    }
    if (demand.kind === 'primary' && limits.deadlineMs !== Infinity) {
      return { untilMs: shortlyBefore(limits), intervalMs: NODE_INTERVAL_MS };
    }
    // A stream has no deadline; it waits for a primary as long as it may stand in line.
    const hopeMs =
      demand.kind === 'primary' ? this.streamQueueTimeoutMs : this.settings.queueTimeoutMs;
    attempts.hopesUntilMs ??= performance.now() + hopeMs;
    const untilMs = Math.min(attempts.hopesUntilMs, limits.deadlineMs);
    return { untilMs, intervalMs: NODE_INTERVAL_MS };
  }

  /** The route to one node; undefined where it may not be read. */
  routeTo(name: string): Route | undefined {
    return routeTo(this.monitor.topology, name, performance.now());
  }

  /** Pauses before an attempt beyond the second: the first repetition is for another node. */
  async backOff({ number }: Attempts, limits: Limits): Promise<void> {
    if (number <= 2) return;
    await pauseWithin(backoffMs(number - 2, BACKOFF_MS.first, BACKOFF_MS.max), limits);
  }

  /** Chooses a node as things are. @throws StowageError TOKEN_HISTORY_LOST */
  #choose(demand: Demand, attempts: Attempts, nowMs: number): Choice {
    return chooseNode(this.monitor.topology, demand, {
      nowMs,
      outstanding: (name) => this.#nodes.get(name)?.outstanding ?? 0,
      tried: attempts.tried,
      behind: attempts.behind,
      waitMs: Math.max(0, attempts.waitsUntilMs - nowMs),
    });
  }

  /** What the caller is told of an error, after the topology was told what it says of the node. */
  explain({ route, call, phase }: Work, error: unknown): StowageError {
    const origin = error instanceof StowageError ? error.cause : error;
    const evidence = nodeEvidence(origin);
    if (evidence === 'lost') this.monitor.suspect(route.node, 'lost', origin);
    if (evidence === 'crowded') this.monitor.suspect(route.node, 'crowded', origin);
    if (evidence === 'demoted' && route.role === 'primary' && phase === 'write') {
      this.monitor.suspect(route.node, 'demoted', origin);
    }
    if (origin instanceof StaleRoute) {
      const isEvidence = origin.kind !== 'behind' && origin.kind !== 'given_up';
      if (!isEvidence) this.monitor.ask(route.node);
      else this.monitor.suspect(route.node, 'demoted', origin);
    }
    return toStowageError(error, { phase, node: route.node, deadlineMs: call.deadlineMs });
  }

  /**
   * Where a read stands in history; undefined where that is not known: it counts all the same.
   * @param topology as it was when the read began: a primary may be followed by another one before
   * its last answer comes, and that is not of the history of the other one.
   */
  tokenOf(
    { lsn, newest }: Served,
    role: Route['role'],
    topology: Topology = this.monitor.topology,
  ): Token | undefined {
    const { history, systemIdentifier, timeline: unrecorded } = topology;
    const row = newest ?? history.timelines.at(-1);
    const timeline = row?.timeline ?? unrecorded;
    if (lsn === undefined || timeline === undefined || systemIdentifier === undefined) {
      return undefined;
    }
    const promotion = row === undefined ? 0 : promotionOf(row);
    const precision = role === 'primary' ? 'exact' : 'replayed';
    return { systemIdentifier, timeline, promotion, lsn, precision };
  }

  /** Makes tokens of the present primary's LSNs, whatever becomes of it meanwhile. */
  primaryPosition(): (lsn: bigint) => Token {
    const template = this.tokenOf({ lsn: 0n, newest: undefined }, 'primary');
    assert(template !== undefined, 'a primary has told of its history');
    return (lsn) => ({ ...template, lsn });
  }

  /** Waits for leases at most `timeoutMs`, then ends all else. */
  async close(timeoutMs: number): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#watching);
    const nodes = [...this.nodes, ...this.#retired];
    await Promise.all(nodes.map((node) => node.close(timeoutMs)));
    await this.monitor.close();
  }
}

/** Early enough that the caller learns what was lacking, rather than that time ran out. */
function shortlyBefore({ deadlineMs }: Limits): number {
  const remainingMs = Math.max(0, deadlineMs - performance.now());
  return deadlineMs - Math.min(ANSWER_MARGIN_MS, remainingMs / 10);
}

const ANSWER_MARGIN_MS = 250;

function noNode(reason: StowageError['reason']): StowageError {
  return new StowageError(reason, { retryDelayMs: RETRY_DELAY_MS });
}

/** Tells listeners how a piece of work went. */
export function publish(
  { name, route, call, attempt }: Work,
  startedAtMs: number,
  error: StowageError | undefined,
  rows?: number,
): void {
  publishQuery(() => ({
    statement: name,
    node: route.node,
    role: route.role,
    startedAtMs,
    durationMs: performance.now() - startedAtMs,
    rows,
    attempt,
    isFallback: route.isFallback,
    requestId: call.requestId,
    trace: call.trace,
    reason: error?.reason,
    cause: error?.cause,
  }));
}

/** A unary call's limits, with the router's bound on its deadline. */
export function unaryLimits(call: Call): Limits {
  const latestMs = performance.now() + UNARY_TIMEOUT_MAX_MS;
  return { signal: call.signal, deadlineMs: Math.min(call.deadlineMs, latestMs) };
}

/** Who served, as callers are told. */
export function servedBy({ node, role, lagMs }: Route): ServedBy {
  return { node, role, lagMs };
}

/** The signed form of a token; none where the keys cannot be read: what it is for still counts. */
export async function signed(
  keys: TokenKeys,
  token: Token | undefined,
): Promise<string | undefined> {
  if (token === undefined) return undefined;
  const key = keys.loaded ?? (await keys.current().catch(() => undefined));
  return key && formatToken(key, token);
}
