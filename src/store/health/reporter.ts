/**
 * Asks all nodes how they are, and remembers it for a second: however many ask, each node has one
 * question a second, and never more than one at a time. Waits for no node longer than it takes to
 * answer a caller who is in a hurry; a node that is late is told as it was.
 */

import type { NodeHealth } from '../../../gen/stowage/v1/health_pb.js';
import { settlesWithin } from '../../lib/interruption.js';
import type { NodeSnapshot, RouterHandle } from '../../postgres/router-handle.js';
import { systemCall } from '../../postgres/system-call.js';
import { observeNode } from './observe.js';
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
    node.silentSinceMs ??= performance.now();
    node.question ??= this.#observe(name, node).finally(() => {
      node.question = undefined;
    });
    return node.question;
  }

  async #observe(name: string, node: NodeMemory): Promise<void> {
    const { cluster, signal, askTimeoutMs: timeoutMs = ASK_TIMEOUT_MS } = this.#options;
    const call = systemCall({ method: 'stowage.internal/Health', timeoutMs, signal });
    try {
      node.told = await observeNode(cluster, name, call);
      node.silentSinceMs = undefined;
    } catch {
      // Told by its statement's event; here it counts that nothing new is known.
    }
  }
}

interface NodeMemory {
  told: NodeHealth | undefined;
  /** Since when it is asked in vain. */
  silentSinceMs: number | undefined;
  /** The one that is under way. */
  question: Promise<void> | undefined;
}

function memory(): NodeMemory {
  return { told: undefined, silentSinceMs: undefined, question: undefined };
}

function knowledgeOf({ told, silentSinceMs }: NodeMemory): NodeKnowledge {
  const silentMs = silentSinceMs === undefined ? undefined : performance.now() - silentSinceMs;
  return { told, silentMs };
}
