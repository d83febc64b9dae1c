/**
 * The topology as a stream: a bounded queue between the one who changes it, who waits for nobody,
 * and a consumer who may be slow. It keeps order and has no gap; where it cannot, it fails.
 */

import { StowageError } from '../errors.js';
import { deferred } from '../lib/deferred.js';
import { within } from '../lib/interruption.js';
import type { TopologyEvent } from './events.js';
import type { TopologyChange, TopologySnapshot } from './router-handle.js';

/** Whose topology is watched. */
export interface TopologySource {
  /** As it is now. */
  topology(): TopologySnapshot;
  /** Tells of each transition once the topology has it. Returns the way to stop. */
  subscribe(listener: (event: TopologyEvent) => void): () => void;
}

/** Some hundred failovers; a consumer that is further behind has not read for minutes. */
const WAITING_MAX = 1_000;

/** What waits for the consumer. Past the bound nothing is kept: what is left out would be a gap. */
class Waiting {
  readonly #source: TopologySource;
  readonly #unsubscribe: () => void;
  #changes: TopologyChange[] = [];
  #arrived = deferred<void>();
  #isOver = false;

  constructor(source: TopologySource) {
    this.#source = source;
    this.#unsubscribe = source.subscribe((transition) => this.#push(transition));
  }

  /** The topology at this moment, with what changed it. */
  seen(transition?: TopologyEvent): TopologyChange {
    return { topology: this.#source.topology(), transition, atMs: Date.now() };
  }

  /**
   * The oldest that waits; undefined: nothing does.
   * @throws StowageError SLOW_CONSUMER once too many did.
   */
  take(): TopologyChange | undefined {
    if (this.#isOver) throw slowConsumer();
    return this.#changes.shift();
  }

  /** Resolves once something waits that did not when it was asked for. */
  arrival(): Promise<void> {
    this.#arrived = deferred();
    return this.#arrived.promise;
  }

  close(): void {
    this.#unsubscribe();
    this.#changes = [];
  }

  #push(transition: TopologyEvent): void {
    if (this.#changes.length >= WAITING_MAX) {
      this.#isOver = true;
      this.close();
    } else {
      this.#changes.push(this.seen(transition));
    }
    this.#arrived.resolve();
  }
}

/**
 * The topology, then each transition with the topology right after it; the topology alone where
 * nothing changed for `heartbeatMs`. It subscribes at the first `next()`, and no longer than it
 * runs. A `return()` while a `next()` waits takes effect behind it: to end it at once, abort.
 * @throws StowageError SLOW_CONSUMER when 1,000 transitions wait; the signal's reason.
 */
export async function* watchTopology(
  source: TopologySource,
  signal: AbortSignal,
  heartbeatMs: number,
): AsyncGenerator<TopologyChange, void, undefined> {
  signal.throwIfAborted();
  const waiting = new Waiting(source);
  try {
    yield waiting.seen();
    for (;;) {
      signal.throwIfAborted();
      const change = waiting.take() ?? (await waitOrBeat(waiting, signal, heartbeatMs));
      if (change !== undefined) yield change;
    }
  } finally {
    waiting.close();
  }
}

/** Waits for a change, which is then to be taken; gives a heartbeat where none came in time. */
async function waitOrBeat(
  waiting: Waiting,
  signal: AbortSignal,
  heartbeatMs: number,
): Promise<TopologyChange | undefined> {
  const limits = { signal, deadlineMs: performance.now() + heartbeatMs };
  const outcome = await within(waiting.arrival(), limits);
  if (!('interruption' in outcome) || outcome.interruption === 'aborted') return undefined;
  // One that came in the same moment goes first: the heartbeat's topology has it already.
  return waiting.take() ?? waiting.seen();
}

function slowConsumer(): StowageError {
  return new StowageError('SLOW_CONSUMER', {
    message: `${WAITING_MAX} transitions wait for the caller; read faster, and watch again.`,
  });
}
