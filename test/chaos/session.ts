/**
 * One caller of the workload: writes, reads and streams one after another, and carries the tokens
 * of its answers, so that it reads what it wrote and never goes back.
 */

import { laterTokenText } from '../../src/lib/token-layout.js';
import { pause } from '../../src/lib/wait.js';
import type { Random } from '../support/random.js';
import { attempt, chooseCancelAfterMs, chooseTimeoutMs, type World } from './attempt.js';
import { atLeast, type ChosenDemand, chooseDemand, positionOf } from './demands.js';
import { planRead, planReadOf, type ReadPlan, type Shown } from './read-plans.js';
import type { HeldToken } from './recorder.js';
import { streamAll, streamRound } from './streamer.js';
import { planWrite } from './write-plans.js';
import { write } from './writer.js';

const THINK_MS_MAX = 30;
const READ_ATTEMPTS_MAX = 3;
const RETRY_DELAY_MS_MAX = 300;

/** Revisions that are remembered for preconditions. */
const REVISIONS_MAX = 100;

/** One caller. */
export class Session {
  readonly #world: World;
  readonly #random: Random;
  readonly #name: string;
  readonly #revisions = new Map<string, number>();
  #held: HeldToken | undefined;
  #writes = 0;

  constructor(world: World, random: Random, name: string) {
    this.#world = world;
    this.#random = random;
    this.#name = name;
  }

  /** Calls until it is told to stop. */
  async run(): Promise<void> {
    while (!this.#world.stopping.aborted) {
      const dice = this.#random.below(100);
      if (dice < 35) await this.#write();
      else if (dice < 95) await this.#read();
      else await this.#stream();
      await pause(this.#random.below(THINK_MS_MAX));
    }
  }

  async #write(): Promise<void> {
    this.#writes += 1;
    const { project, keys } = this.#world;
    const plan = planWrite({
      ...{ random: this.#random, project, keys },
      tag: `${this.#name}.${this.#writes}`,
      revisionOf: (key) => this.#revisions.get(key),
    });
    const answer = await write(this.#world, this.#random, plan);
    if (answer === undefined) return;
    this.#hold(answer.token);
    for (const { key, revision } of answer.results) this.#remember(key, revision);
    const written = plan.keys.filter((key) => key !== '');
    if (written.length > 0 && this.#random.below(3) === 0) await this.#readBack(written);
  }

  /** Reads at once what it has just written. */
  async #readBack(written: readonly string[]): Promise<void> {
    const { project } = this.#world;
    const demand = this.#held && atLeast(this.#held, this.#random.below(2) === 0);
    if (demand !== undefined)
      await this.#carryOut(planReadOf(written, { project, demand }), demand);
  }

  async #read(): Promise<void> {
    const { project, keys } = this.#world;
    const demand = this.#demand();
    await this.#carryOut(planRead({ random: this.#random, project, keys, demand }), demand);
  }

  async #carryOut(plan: ReadPlan, demand: ChosenDemand): Promise<void> {
    const { recorder } = this.#world;
    recorder.asked(plan.op, demand.demand.kind);
    for (let page: string | undefined = ''; page !== undefined; ) {
      const shown: Shown | undefined = await this.#page(plan, demand, page);
      if (shown !== undefined) {
        for (const { key, revision } of shown.seen) this.#remember(key, revision);
      }
      page = shown?.nextPage || undefined;
    }
  }

  /** One page of a read, asked for again where that may help. */
  async #page(plan: ReadPlan, chosen: ChosenDemand, page: string): Promise<Shown | undefined> {
    const { op, showsDeleted } = plan;
    const { demand, token } = chosen;
    for (let count = 1; count <= READ_ATTEMPTS_MAX; count += 1) {
      const attempted = await attempt(
        this.#world,
        {
          ...{ op, demand: demand.kind, hasRequestId: false, token },
          server: this.#random.below(this.#world.callers.length),
          timeoutMs: chooseTimeoutMs(this.#random),
          cancelAfterMs: chooseCancelAfterMs(this.#random),
        },
        (caller, options) => plan.send(caller, options, page),
      );
      if ('value' in attempted) {
        const { value, startMs, endMs } = attempted;
        const { seen, covers, servedBy } = value;
        const position = positionOf(value.token);
        this.#world.recorder.read({
          ...{ kind: 'read', op, demand, startMs, endMs, seen, covers, showsDeleted, servedBy },
          position,
        });
        if (demand.kind === 'at_least') this.#hold(value.token);
        return value;
      }
      const { error, isAnswer, startMs } = attempted;
      if (isAnswer) {
        // Only a read of one object is answered so, and it says that nothing is there.
        this.#missing(plan, chosen, startMs, error.metadata['object_key'] ?? '');
        return undefined;
      }
      if (this.#isRefusedToken(error.reason, chosen) || error.retry !== 'after_delay') return;
      await pause(Math.min(error.retryDelayMs ?? 50, RETRY_DELAY_MS_MAX));
    }
    return undefined;
  }

  #missing({ op, showsDeleted }: ReadPlan, chosen: ChosenDemand, startMs: number, key: string) {
    if (key === '') throw new Error('OBJECT_NOT_FOUND names no object_key');
    this.#world.recorder.read({
      ...{ kind: 'read', op, demand: chosen.demand, startMs, endMs: performance.now() },
      ...{ seen: [], covers: [key], showsDeleted, position: undefined, servedBy: '' },
    });
  }

  async #stream(): Promise<void> {
    const isWhole = this.#random.below(4) === 0;
    if (isWhole) await streamAll(this.#world, this.#random);
    else await streamRound(this.#world, this.#random, this.#demand());
  }

  /** For its own token, or for the newest that anybody was given. */
  #demand(): ChosenDemand {
    const { newest } = this.#world.recorder;
    const held = this.#random.below(4) === 0 ? newest : this.#held;
    return chooseDemand(this.#random, held);
  }

  #isRefusedToken(reason: string | undefined, { demand }: ChosenDemand): boolean {
    if (reason !== 'TOKEN_HISTORY_LOST' || demand.kind !== 'at_least') return false;
    this.#world.recorder.refusedToken(demand.position);
    this.#held = undefined;
    this.#revisions.clear();
    return true;
  }

  #hold(text: string): void {
    const position = positionOf(text);
    if (position === undefined) return;
    if (laterTokenText(this.#held?.text ?? '', text) === text) this.#held = { text, position };
  }

  #remember(key: string, revision: number): void {
    this.#revisions.set(key, revision);
    const [oldest] = this.#revisions.keys();
    if (this.#revisions.size > REVISIONS_MAX && oldest !== undefined)
      this.#revisions.delete(oldest);
  }
}
