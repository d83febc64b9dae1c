/** Keeps the topology: one prober a node, and what queries meet by the way. */

import type { PostgresSettings } from '../config.js';
import type { NodeAddress } from './driver.js';
import { type TopologyEvent, topologyChannel } from './events.js';
import { Prober } from './prober.js';
import { type Observation, observe, type Topology, unknownTopology } from './topology.js';

/** A node's name: its address. */
export function nodeName({ host, port }: NodeAddress): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** The one owner of the topology. */
export class TopologyMonitor {
  readonly #probers: ReadonlyMap<string, Prober>;
  readonly #onChange: (event: TopologyEvent) => void;
  readonly #listeners = new Set<(event: TopologyEvent) => void>();
  #topology: Topology;

  /** @param onChange told of each change of a node's state, beside the event channel. */
  constructor(settings: PostgresSettings, onChange: (event: TopologyEvent) => void) {
    this.#onChange = onChange;
    this.#topology = unknownTopology(settings.nodes.map(nodeName));
    this.#probers = new Map(
      settings.nodes.map((node) => {
        const name = nodeName(node);
        return [
          name,
          new Prober(settings, node, (seen, cause) => this.#observe(name, seen, cause)),
        ];
      }),
    );
  }

  /** What is known now. */
  get topology(): Topology {
    return this.#topology;
  }

  /** Begins to probe; resolves after the first probe of every node, reachable or not. */
  async start(): Promise<void> {
    await Promise.all([...this.#probers.values()].map((prober) => prober.start()));
  }

  /**
   * Tells the listener of each change of a node's state, in order, when the topology has it. It
   * must not throw.
   * @returns what ends that.
   */
  subscribe(listener: (event: TopologyEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  /** Takes in what a query met: holds until a probe, begun at once, says otherwise. */
  suspect(name: string, observation: Observation, cause: unknown): void {
    this.#observe(name, observation, cause);
    this.#probers.get(name)?.wake();
  }

  #observe(name: string, observation: Observation, cause: unknown): void {
    const former = this.#topology;
    this.#topology = observe(former, name, observation);
    for (const node of this.#topology.nodes.values()) {
      const from = former.nodes.get(node.name)?.state ?? 'unknown';
      if (from === node.state) continue;
      const detail = `${observation.kind} at ${name}`;
      const event: TopologyEvent = { node: node.name, from, to: node.state, detail, cause };
      this.#onChange(event);
      for (const listener of this.#listeners) listener(event);
      topologyChannel.publish(event);
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#probers.values()].map((prober) => prober.close()));
  }
}
