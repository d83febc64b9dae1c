/**
 * The router: takes each statement to a node that may run it and is fresh enough, over a lease from
 * the right pool, within the call's limits; what a node fails is done elsewhere where that is safe.
 */

import type { PostgresSettings } from '../config.js';
import type { StowageError } from '../errors.js';
import { assert } from '../lib/assert.js';
import type { Limits } from '../lib/interruption.js';
import type { Call, ServedBy } from './call.js';
import { readTokenKeys } from './control.sql.js';
import type { TopologyEvent } from './events.js';
import type { Demand } from './freshness.js';
import { inspect } from './inspector.js';
import { read } from './reader.js';
import type { Committed, StreamOptions, Transaction } from './router-api.js';
import type {
  Reloadable,
  RouterHandle,
  RouterOptions,
  TopologyChange,
  TopologySnapshot,
} from './router-handle.js';
import { STATE_LIMITS } from './router-state.js';
import { publish, Routing, servedBy, signed } from './routing.js';
import type { Sealer, TokenKey } from './sealed.js';
import { SlowStatements } from './slow-statements.js';
import type { Statement } from './statement.js';
import { openStream } from './stream-reader.js';
import { systemCall } from './system-call.js';
import { TokenKeys } from './token-keys.js';
import { snapshotOf } from './topology-snapshot.js';
import { watchTopology } from './topology-watch.js';
import { write } from './writer.js';

/** Makes a router; it connects to nothing before `start`. */
export function createRouter(
  settings: PostgresSettings,
  options: RouterOptions = {},
): RouterHandle {
  return new NodeRouter(settings, options);
}

const CLOSE_TIMEOUT_MS = 10_000;
const LOAD_KEYS_TIMEOUT_MS = 5_000;
const STREAM_IDLE_TIMEOUT_MS = 60_000;

class NodeRouter implements RouterHandle {
  readonly #routing: Routing;
  readonly #keys: TokenKeys;
  readonly #streamIdleTimeoutMs: number;

  constructor(settings: PostgresSettings, options: RouterOptions) {
    const { streamIdleTimeoutMs = STREAM_IDLE_TIMEOUT_MS } = options;
    this.#streamIdleTimeoutMs = streamIdleTimeoutMs;
    const limits = { ...STATE_LIMITS, fenceMs: options.fenceMs ?? STATE_LIMITS.fenceMs };
    this.#routing = new Routing(settings, streamIdleTimeoutMs, limits);
    if (options.slowStatements !== undefined) {
      this.#routing.slow = new SlowStatements(options.slowStatements, (...args) =>
        inspect(this.#routing, ...args),
      );
    }
    this.#keys = new TokenKeys(() => this.#loadKeys());
  }

  get sealer(): Sealer {
    return this.#keys;
  }

  async start(): Promise<void> {
    await this.#routing.monitor.start();
    // Read ahead where that is possible; the first call that needs them asks again.
    if (this.topology().canRead) await this.#keys.current().catch(() => undefined);
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
    const demand = await this.#routing.demandFor(statement, call, this.#keys);
    const { rows, route, token } = await read(this.#routing, { statement, params }, call, demand);
    call.onServed(servedBy(route), await signed(this.#keys, token));
    return rows as Row[];
  }

  transaction<T>(
    call: Call,
    body: (transaction: Transaction) => Promise<T>,
  ): Promise<Committed<T>> {
    return write(this.#routing, this.#keys, call, body);
  }

  async *stream<Batch>(
    statement: Statement,
    params: readonly unknown[],
    call: Call,
    options: StreamOptions<Batch>,
  ): AsyncGenerator<Batch, ServedBy, undefined> {
    assert(statement.intent !== 'write', 'a stream reads');
    const demand = await this.#routing.demandFor(statement, call, this.#keys);
    const { collector, node } = options;
    const idleTimeoutMs = this.#streamIdleTimeoutMs;
    const how = { demand, collector, node, idleTimeoutMs };
    const opened = await openStream(this.#routing, { statement, params }, call, how);
    const { stream, work, startedAtMs, token } = opened;
    let refusal: StowageError | undefined;
    try {
      call.onServed(servedBy(work.route), await signed(this.#keys, token));
      for (let batch = opened.first; batch !== undefined; batch = await stream.next()) yield batch;
      return servedBy(work.route);
    } catch (error) {
      refusal = this.#routing.explain(work, error);
      throw refusal;
    } finally {
      stream.abandon();
      publish(work, startedAtMs, refusal, refusal === undefined ? stream.rowCount : undefined);
    }
  }

  async #loadKeys(): Promise<TokenKey[]> {
    const { primary } = this.#routing.monitor.topology;
    const demand: Demand = primary === undefined ? { kind: 'eventual' } : { kind: 'primary' };
    const call = systemCall({
      method: 'stowage.internal/LoadKeys',
      timeoutMs: LOAD_KEYS_TIMEOUT_MS,
    });
    const step = { statement: readTokenKeys, params: [] };
    const { rows } = await read(this.#routing, step, call, demand);
    return (rows as NonNullable<(typeof readTokenKeys)['row']>[]).map((row) => ({
      id: row.key_id,
      secret: row.secret,
    }));
  }

  topology(): TopologySnapshot {
    return snapshotOf(this.#routing.monitor.topology, this.#routing.nodes);
  }

  watch(signal: AbortSignal, heartbeatMs: number): AsyncGenerator<TopologyChange, void, undefined> {
    const source = {
      topology: () => this.topology(),
      subscribe: (listener: (event: TopologyEvent) => void) =>
        this.#routing.monitor.subscribe(listener),
    };
    return watchTopology(source, signal, heartbeatMs);
  }

  reload(changed: Reloadable, timeoutMs: number = CLOSE_TIMEOUT_MS): Promise<void> {
    return this.#routing.reload(changed, timeoutMs);
  }

  acceptTimeline(timeline: number, by: string, limits: Limits): Promise<void> {
    return this.#routing.monitor.accept(timeline, by, limits);
  }

  inspect<Row>(
    node: string,
    statement: Statement<Row>,
    params: readonly unknown[],
    call: Call,
  ): Promise<Row[]> {
    return inspect(this.#routing, node, statement, params, call);
  }

  close(timeoutMs: number = CLOSE_TIMEOUT_MS): Promise<void> {
    return this.#routing.close(timeoutMs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
