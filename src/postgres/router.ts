/**
 * The router: takes each statement to a node that may run it and is fresh enough, over a lease from
 * the right pool, within the call's limits. Retries nothing and waits for no replay: a call that
 * needs either fails with a typed error.
 */

import type { PostgresSettings } from '../config.js';
import { StowageError } from '../errors.js';
import { assert } from '../lib/assert.js';
import type { Limits } from '../lib/interruption.js';
import type { Call, ServedBy } from './call.js';
import { ClusterNode } from './cluster-node.js';
import { readPosition, readTokenKeys } from './control.sql.js';
import { demandOf, requireHistory } from './demand.js';
import { publishQuery, type TopologyEvent } from './events.js';
import { chooseNode, type Demand, lagOf, type Route } from './freshness.js';
import { forAtMost } from './lease.js';
import { parseLsn } from './lsn.js';
import type { Committed, StreamOptions, Transaction, TupleCollector } from './router-api.js';
import type {
  RouterHandle,
  RouterOptions,
  TopologyChange,
  TopologySnapshot,
} from './router-handle.js';
import { readScopeStep } from './scope.js';
import type { Sealer, TokenKey } from './sealed.js';
import { nodeEvidence, toStowageError } from './sqlstate.js';
import type { Statement } from './statement.js';
import { BatchStream } from './stream.js';
import { systemCall } from './system-call.js';
import { formatToken, parseToken } from './token.js';
import { TokenKeys } from './token-keys.js';
import { TopologyMonitor } from './topology-monitor.js';
import { watchTopology } from './topology-watch.js';
import { LeasedTransaction } from './transaction.js';
import type { Step, StepResult } from './unit.js';

/** Makes a router; it connects to nothing before `start`. */
export function createRouter(
  settings: PostgresSettings,
  options: RouterOptions = {},
): RouterHandle {
  return new NodeRouter(settings, options);
}

/** No statement outside of streams runs longer, whatever the call's deadline. */
const UNARY_TIMEOUT_MAX_MS = 300_000;

const CLOSE_TIMEOUT_MS = 10_000;
const WARM_TIMEOUT_MS = 5_000;
const LOAD_KEYS_TIMEOUT_MS = 5_000;
const STREAM_IDLE_TIMEOUT_MS = 60_000;
const PRIMARY: Demand = { kind: 'primary' };
const POSITION: Step = { statement: readPosition, params: [] };

/** Something that is done on one node, for its errors and its event. */
interface Work {
  /** The statement's name. */
  readonly name: string;
  readonly route: Route;
  readonly call: Call;
  readonly phase: 'read' | 'write';
}

class NodeRouter implements RouterHandle {
  readonly #nodes: ReadonlyMap<string, ClusterNode>;
  readonly #monitor: TopologyMonitor;
  readonly #keys: TokenKeys;
  readonly #streamIdleTimeoutMs: number;

  constructor(settings: PostgresSettings, options: RouterOptions) {
    const { streamIdleTimeoutMs = STREAM_IDLE_TIMEOUT_MS } = options;
    const nodes = settings.nodes.map(
      (address) => new ClusterNode(settings, address, streamIdleTimeoutMs),
    );
    this.#nodes = new Map(nodes.map((node) => [node.name, node]));
    this.#monitor = new TopologyMonitor(settings, (event) => this.#onTopology(event));
    this.#keys = new TokenKeys(() => this.#loadKeys());
    this.#streamIdleTimeoutMs = streamIdleTimeoutMs;
  }

  get sealer(): Sealer {
    return this.#keys;
  }

  async start(): Promise<void> {
    await this.#monitor.start();
    // Read ahead where that is possible; the first call that needs them asks again.
    await this.#keys.current().catch(() => undefined);
  }

  async run<Row>(
    statement: Statement<Row>,
    params: readonly unknown[],
    call: Call,
  ): Promise<Row[]> {
    if (statement.intent === 'write') {
      const { value } = await this.transaction(call, (running) => running.run(statement, params));
      return value;
    }
    const demand = await this.#demandFor(statement, call);
    const work: Work = { name: statement.name, route: this.#choose(demand), call, phase: 'read' };
    const { rows, lsn } = await this.#read(work, { statement, params });
    requireHistory(demand, work.route, lsn);
    call.onServed(servedBy(work.route), await this.#tokenAt(lsn));
    return rows as Row[];
  }

  /** One statement with its scope, and how far its node had come, in one round trip. */
  #read(work: Work, step: Step): Promise<{ rows: unknown[]; lsn: bigint | undefined }> {
    const limits = unaryLimits(work.call);
    return this.#published(work, async (node) => {
      const lease = await node.unary.acquire(limits);
      try {
        const scope = readScopeStep(work.call, limits.deadlineMs);
        const results = await lease.run([scope, step, POSITION], limits);
        return { rows: results[1]?.rows ?? [], lsn: this.#positionIn(results[2], work.route) };
      } finally {
        lease.release('clean');
      }
    });
  }

  async transaction<T>(
    call: Call,
    body: (transaction: Transaction) => Promise<T>,
  ): Promise<Committed<T>> {
    // Before anything is written: a commit whose token cannot be signed could not be answered.
    const key = await this.#keys.current();
    const route = this.#choose(PRIMARY);
    const { timeline, systemIdentifier } = this.#monitor.topology;
    assert(timeline !== undefined && systemIdentifier !== undefined, 'a primary has told both');
    const limits = unaryLimits(call);
    const work: Work = { name: 'transaction', route, call, phase: 'write' };
    return this.#published(work, async (node) => {
      const lease = await node.unary.acquire(limits);
      const release = () => lease.release('clean');
      const running = new LeasedTransaction(lease, { call, limits, node: node.name });
      let value: T;
      try {
        value = await body(running);
      } catch (error) {
        release();
        throw error;
      }
      const lsn = await running.commit(release);
      const token = formatToken(key, { systemIdentifier, timeline, lsn });
      call.onServed(servedBy(route), token);
      return { value, token };
    });
  }

  async *stream<Batch>(
    statement: Statement,
    params: readonly unknown[],
    call: Call,
    options: StreamOptions<Batch>,
  ): AsyncGenerator<Batch, ServedBy, undefined> {
    assert(statement.intent !== 'write', 'a stream reads');
    const demand = await this.#demandFor(statement, call);
    const route = options.node === undefined ? this.#choose(demand) : this.#pinned(options.node);
    const work: Work = { name: statement.name, route, call, phase: 'read' };
    const startedAtMs = performance.now();
    let refusal: StowageError | undefined;
    let stream: BatchStream<Batch> | undefined;
    try {
      stream = await this.#openStream(work, { statement, params }, options.collector);
      for (let isFirst = true; ; isFirst = false) {
        const batch = await stream.next();
        if (isFirst) {
          const lsn = this.#positionIn(stream.results[1], route);
          requireHistory(demand, route, lsn);
          call.onServed(servedBy(route), await this.#tokenAt(lsn));
        }
        if (batch === undefined) return servedBy(route);
        yield batch;
      }
    } catch (error) {
      refusal = this.#explain(work, error);
      throw refusal;
    } finally {
      stream?.abandon();
      publish(work, startedAtMs, refusal);
    }
  }

  async #openStream<Batch>(
    { route, call }: Work,
    step: Step,
    collector: TupleCollector<Batch>,
  ): Promise<BatchStream<Batch>> {
    const lease = await this.#nodeOf(route).streams.acquire(call);
    // Behind the scope, which takes the snapshot, and before the rows: see sessionOptions.
    const steps = [readScopeStep(call, call.deadlineMs), POSITION, step];
    const idleTimeoutMs = this.#streamIdleTimeoutMs;
    return new BatchStream({ lease, steps, collector, limits: call, idleTimeoutMs });
  }

  async #demandFor(statement: Statement<unknown>, call: Call): Promise<Demand> {
    if (statement.intent === 'readPrimary') return PRIMARY;
    return demandOf(call, async (text) => {
      const { systemIdentifier } = this.#monitor.topology;
      if (systemIdentifier === undefined) throw new StowageError('NO_NODE');
      return parseToken(text, systemIdentifier, (id) => this.#keys.find(id));
    });
  }

  #choose(demand: Demand): Route {
    const outstanding = (name: string) => this.#nodes.get(name)?.outstanding ?? 0;
    return chooseNode(this.#monitor.topology, demand, performance.now(), outstanding);
  }

  /** The node that a stream's earlier slices ran on. */
  #pinned(name: string): Route {
    const node = this.#monitor.topology.nodes.get(name);
    if (node?.state === 'primary') return { node: name, role: 'primary', lagMs: 0 };
    if (node?.state !== 'standby') throw new StowageError('NO_NODE', { metadata: { node: name } });
    return { node: name, role: 'standby', lagMs: lagOf(node, performance.now()) };
  }

  #nodeOf(route: Route): ClusterNode {
    const node = this.#nodes.get(route.node);
    assert(node !== undefined, 'a route leads to a node');
    return node;
  }

  /** Does the work on its node and tells listeners how it went. */
  async #published<T>(work: Work, act: (node: ClusterNode) => Promise<T>): Promise<T> {
    const startedAtMs = performance.now();
    try {
      const value = await act(this.#nodeOf(work.route));
      publish(work, startedAtMs, undefined);
      return value;
    } catch (error) {
      const refusal = this.#explain(work, error);
      publish(work, startedAtMs, refusal);
      throw refusal;
    }
  }

  /** What the caller is told of an error, after the topology was told what it says of the node. */
  #explain({ route, call, phase }: Work, error: unknown): StowageError {
    const origin = error instanceof StowageError ? error.cause : error;
    const evidence = nodeEvidence(origin);
    if (evidence === 'lost') this.#monitor.suspect(route.node, { kind: 'lost' }, origin);
    if (evidence === 'demoted' && route.role === 'primary' && phase === 'write') {
      this.#monitor.suspect(route.node, { kind: 'demoted' }, origin);
    }
    return toStowageError(error, { phase, node: route.node, deadlineMs: call.deadlineMs });
  }

  /**
   * How far the node had come; undefined where its role has changed since it was chosen: its LSN is
   * of a timeline that is not known yet.
   * @throws StowageError NO_PRIMARY when what was the primary is a standby.
   */
  #positionIn(result: StepResult | undefined, route: Route): bigint | undefined {
    const row = result?.rows[0] as (typeof readPosition)['row'];
    if (row === undefined) return undefined;
    const role = row.in_recovery ? 'standby' : 'primary';
    if (role !== route.role) {
      this.#monitor.suspect(route.node, { kind: 'demoted' }, undefined);
      if (route.role === 'primary') throw new StowageError('NO_PRIMARY');
      return undefined;
    }
    return row.lsn === null ? undefined : parseLsn(row.lsn);
  }

  /** The token of a read; none where history or keys are not known: the read still counts. */
  async #tokenAt(lsn: bigint | undefined): Promise<string | undefined> {
    const { timeline, systemIdentifier } = this.#monitor.topology;
    if (lsn === undefined || timeline === undefined || systemIdentifier === undefined) {
      return undefined;
    }
    const key = this.#keys.loaded ?? (await this.#keys.current().catch(() => undefined));
    return key && formatToken(key, { systemIdentifier, timeline, lsn });
  }

  async #loadKeys(): Promise<TokenKey[]> {
    const { primary } = this.#monitor.topology;
    const route = this.#choose(primary === undefined ? { kind: 'eventual' } : PRIMARY);
    const call = systemCall({
      method: 'stowage.internal/LoadKeys',
      timeoutMs: LOAD_KEYS_TIMEOUT_MS,
    });
    const work: Work = { name: readTokenKeys.name, route, call, phase: 'read' };
    const { rows } = await this.#read(work, { statement: readTokenKeys, params: [] });
    return (rows as NonNullable<(typeof readTokenKeys)['row']>[]).map((row) => ({
      id: row.key_id,
      secret: row.secret,
    }));
  }

  /** A node that comes up gets its warm connections before the calls come. */
  #onTopology({ node, to }: TopologyEvent): void {
    if (to === 'primary' || to === 'standby') {
      void this.#nodes.get(node)?.unary.warm(forAtMost(WARM_TIMEOUT_MS));
    }
  }

  topology(): TopologySnapshot {
    const { nodes, primary, timeline, systemIdentifier } = this.#monitor.topology;
    const nowMs = performance.now();
    const snapshots = [...this.#nodes.values()].map((node) => {
      const view = nodes.get(node.name);
      const state = view?.state ?? 'unknown';
      const lagMs = state === 'primary' ? 0 : view && lagOf(view, nowMs);
      return {
        name: node.name,
        state,
        fence: undefined,
        timeline: view?.report?.timeline,
        lagMs,
        lagBytes: undefined,
        lsn: view?.report?.lsn,
        startedAt: view?.report?.startedAt,
        answeredMsAgo: view?.report && nowMs - view.report.askedAtMs,
        isDrained: false,
        isDoubted: false,
        pools: node.snapshot(),
      };
    });
    return {
      nodes: snapshots,
      primary,
      timeline,
      systemIdentifier,
      epoch: 0,
      history: [],
      hasPrimary: primary !== undefined,
      canRead: snapshots.some(({ state }) => state === 'primary' || state === 'standby'),
    };
  }

  watch(signal: AbortSignal, heartbeatMs: number): AsyncGenerator<TopologyChange, void, undefined> {
    const source = {
      topology: () => this.topology(),
      subscribe: (listener: (event: TopologyEvent) => void) => this.#monitor.subscribe(listener),
    };
    return watchTopology(source, signal, heartbeatMs);
  }

  async acceptTimeline(): Promise<void> {
    throw new StowageError('UNIMPLEMENTED');
  }

  async close(timeoutMs: number = CLOSE_TIMEOUT_MS): Promise<void> {
    await Promise.all([...this.#nodes.values()].map((node) => node.close(timeoutMs)));
    await this.#monitor.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

function publish(
  { name, route, call }: Work,
  startedAtMs: number,
  error: StowageError | undefined,
): void {
  publishQuery(() => ({
    statement: name,
    node: route.node,
    role: route.role,
    durationMs: performance.now() - startedAtMs,
    requestId: call.requestId,
    reason: error?.reason,
    cause: error?.cause,
  }));
}

function unaryLimits(call: Call): Limits {
  const latestMs = performance.now() + UNARY_TIMEOUT_MAX_MS;
  return { signal: call.signal, deadlineMs: Math.min(call.deadlineMs, latestMs) };
}

function servedBy({ node, role, lagMs }: Route): ServedBy {
  return { node, role, lagMs };
}
