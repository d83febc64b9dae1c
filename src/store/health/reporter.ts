/**
 * Asks all nodes how they are, and remembers it for a second: however many ask, each node has one
 * question a second, and never more than one at a time; fewer where the answer costs it much, as
 * with twenty thousand tables. Waits for no node longer than a caller may wait who is in a hurry; a
 * node that is late is told as it was.
 */

import type { NodeHealth } from '../../../gen/stowage/v1/health_pb.js';
import { settlesWithin } from '../../lib/interruption.js';
import type { NodeSnapshot, RouterHandle } from '../../postgres/router-handle.js';
import { systemCall } from '../../postgres/system-call.js';
import { observeNode } from './observe.js';
import { RecentReads } from './recent-reads.js';
import { type HealthReport, makeReport, type NodeKnowledge, type ServerVitals } from './report.js';

/** What the reporter asks, and how patiently. */
export interface HealthReporterOptions {
  readonly cluster: Pick<RouterHandle, 'topology' | 'inspect'>;
  /** The answering server's own state, now. */
  server(): ServerVitals;
  /** Ends the questions that are under way, and all later ones at once. */
  readonly signal: AbortSignal;
  /** How long a report is given again; default 1,000. */
  readonly keepMs?: number;
  /** How long a report waits for the nodes; default 150. */
  readonly waitMs?: number;
  /** How long a question may take before it is given up; default 5,000. */
  readonly askTimeoutMs?: number;
}

const KEEP_MS = 1_000;
const WAIT_MS = 150;
const ASK_TIMEOUT_MS = 5_000;

/** A question that took longer lets the node rest: a tenth of a connection's time is enough. */
const CHEAP_MS = 250;
const REST_FACTOR = 10;
/** What took that long has waited for something rather than worked. */
const REST_MAX_MS = 10_000;

/** One a server. */
export class HealthReporter {
  readonly #options: HealthReporterOptions;
  #nodes: ReadonlyMap<string, NodeMemory> = new Map();
  #current: Promise<HealthReport> | undefined;
  #begunAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: HealthReporterOptions) {
    this.#options = options;
  }

  /** How all is, at most a second ago. Never rejects; takes some 150 ms at most. */
  report(): Promise<HealthReport> {
    const { keepMs = KEEP_MS } = this.#options;
    const nowMs = performance.now();
    if (this.#current === undefined || nowMs - this.#begunAtMs >= keepMs) {
      this.#begunAtMs = nowMs;
      this.#current = this.#ask();
    }
    return this.#current;
  }

  /** The same from memory alone, now: no node is asked, and what they told is left out. */
  glance(): HealthReport {
    const { cluster, server } = this.#options;
    return makeReport(cluster.topology(), new Map(), server());
  }

  async #ask(): Promise<HealthReport> {
    const { cluster, server, waitMs = WAIT_MS } = this.#options;
    const { nodes } = cluster.topology();
    // Made anew, so that nodes that were taken out of the settings are forgotten.
    this.#nodes = new Map(nodes.map(({ name }) => [name, this.#nodes.get(name) ?? memory()]));
    const asked = nodes.map((node) => this.#askNode(node));
    await settlesWithin(Promise.all(asked), waitMs);
    const known = [...this.#nodes].map(([name, node]) => [name, knowledgeOf(node)] as const);
    return makeReport(cluster.topology(), new Map(known), server());
  }

  /** Resolves with the end of the node's question, whatever came of it. */
  #askNode({ name, state }: NodeSnapshot): Promise<void> {
    const node = this.#nodes.get(name);
    if (node === undefined) return Promise.resolve();
    if (state === 'unreachable') {
      // The router knows already, and asks it far more often.
      node.silentSinceMs = undefined;
      return Promise.resolve();
    }
    const nowMs = performance.now();
    if (nowMs < node.restsUntilMs) return Promise.resolve();
    node.silentSinceMs ??= nowMs;
    node.question ??= this.#observe(name, node).finally(() => {
      node.question = undefined;
    });
    return node.question;
  }

  async #observe(name: string, node: NodeMemory): Promise<void> {
    const { cluster, signal, askTimeoutMs: timeoutMs = ASK_TIMEOUT_MS } = this.#options;
    const call = systemCall({ method: 'stowage.internal/Health', timeoutMs, signal });
    const startedAtMs = performance.now();
    try {
      node.told = await observeNode(cluster, name, call);
      node.toldAtMs = performance.now();
      node.silentSinceMs = undefined;
      node.reads.add(node.told.activity, node.toldAtMs);
    } catch {
      // Told by its statement's event; here it counts that nothing new is known.
    }
    const tookMs = performance.now() - startedAtMs;
    if (tookMs > CHEAP_MS) {
      node.restsUntilMs = startedAtMs + Math.min(REST_FACTOR * tookMs, REST_MAX_MS);
    }
  }
}

interface NodeMemory {
  told: NodeHealth | undefined;
  /** On the clock of `performance.now()`, as are the following. */
  toldAtMs: number;
  /** Since when it is asked in vain. */
  silentSinceMs: number | undefined;
  /** Before it nothing is asked. */
  restsUntilMs: number;
  /** The one that is under way. */
  question: Promise<void> | undefined;
  readonly reads: RecentReads;
}

function memory(): NodeMemory {
  return {
    ...{ told: undefined, toldAtMs: 0, silentSinceMs: undefined, question: undefined },
    restsUntilMs: Number.NEGATIVE_INFINITY,
    reads: new RecentReads(),
  };
}

function knowledgeOf({ told, toldAtMs, silentSinceMs, reads }: NodeMemory): NodeKnowledge {
  const nowMs = performance.now();
  const silentMs = silentSinceMs === undefined ? undefined : nowMs - silentSinceMs;
  return { told, toldMsAgo: nowMs - toldAtMs, silentMs, reads: reads.lately };
}
