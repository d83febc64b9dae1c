/** Lets faults happen at random, alone or overlapping by chance, and knows when it was calm. */

import { pause } from '../../src/lib/wait.js';
import type { Surroundings } from './attempt.js';
import { type Fault, type FaultScene, faults } from './faults.js';
import type { Recorder } from './recorder.js';

/** Faults at the same time. */
const AT_ONCE_MAX = 2;

/** How long after a fault its consequences may still be told: four probe intervals. */
const AFTERMATH_MS = 2_000;

/** A pause in which the aftermath ends. */
const CALM_MS = AFTERMATH_MS + 1_500;

/** Chances to find a fault whose nodes are free. */
const CHOICES_MAX = 5;

/** The faults of one run. */
export class FaultDriver implements Surroundings {
  readonly #scene: FaultScene;
  readonly #recorder: Recorder;
  readonly #taken = new Set<string>();
  readonly #running = new Set<Promise<void>>();
  /** When each node that a fault broke is surely well again. */
  readonly #brokenUntilMs = new Map<string, number>();
  /** By name, for progress. */
  readonly #underWay: string[] = [];
  #lastEndMs = Number.NEGATIVE_INFINITY;
  #failure: unknown;

  constructor(scene: FaultScene, recorder: Recorder) {
    this.#scene = scene;
    this.#recorder = recorder;
  }

  isCalmSince(ms: number): boolean {
    return this.#running.size === 0 && this.#lastEndMs + AFTERMATH_MS < ms;
  }

  hasNodeSince(ms: number): boolean {
    const nodes = this.#scene.rig.cluster.nodes;
    return nodes.some(({ name }) => (this.#brokenUntilMs.get(name) ?? 0) < ms);
  }

  /** The names of the faults that are not mended yet. */
  get underWay(): readonly string[] {
    return this.#underWay;
  }

  isServerDownSince(server: number, ms: number): boolean {
    return this.#scene.rig.servers[server]?.isDownSince(ms) ?? false;
  }

  /**
   * Lets faults begin until the signal aborts; resolves once the last one is mended.
   * @throws {Error} when one could not be mended: the rig is of no use any more
   */
  async run(stopping: AbortSignal): Promise<void> {
    const { random } = this.#scene;
    while (!stopping.aborted && this.#failure === undefined) {
      // Now and then it is calm for so long that nothing excuses a refusal.
      await pause(random.below(8) === 0 ? CALM_MS : 100 + random.below(1_000));
      if (stopping.aborted || this.#running.size >= AT_ONCE_MAX) continue;
      this.#begin();
    }
    await Promise.all(this.#running);
    if (this.#failure !== undefined) throw this.#failure;
  }

  #begin(): void {
    for (let choice = 1; choice <= CHOICES_MAX; choice += 1) {
      const fault = this.#choose();
      const takes = fault.takes(this.#scene);
      if (takes.some((name) => this.#taken.has(name))) continue;
      const running = this.#let(fault, takes).finally(() => this.#running.delete(running));
      this.#running.add(running);
      return;
    }
  }

  #choose(): Fault {
    return this.#scene.random.pick(faults.flatMap((fault) => Array(fault.weight).fill(fault)));
  }

  async #let(fault: Fault, takes: readonly string[]): Promise<void> {
    const { faults: counts } = this.#recorder;
    counts.set(fault.name, (counts.get(fault.name) ?? 0) + 1);
    for (const name of takes) this.#taken.add(name);
    this.#underWay.push(fault.name);
    const broken = fault.breaks(this.#scene, takes);
    for (const name of broken) this.#brokenUntilMs.set(name, Number.POSITIVE_INFINITY);
    try {
      await fault.run(this.#scene, takes);
    } catch (error) {
      this.#failure ??= new Error(`the fault "${fault.name}" was not mended`, { cause: error });
    } finally {
      this.#lastEndMs = performance.now();
      this.#underWay.splice(this.#underWay.indexOf(fault.name), 1);
      for (const name of takes) this.#taken.delete(name);
      for (const name of broken) this.#brokenUntilMs.set(name, this.#lastEndMs + AFTERMATH_MS);
    }
  }
}
