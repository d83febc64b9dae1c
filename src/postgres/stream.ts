/**
 * One stream over one lease: batches as fast as the consumer takes them. The lease is free as soon
 * as the query has ended, however slowly the last batches are taken.
 */

import { StowageError } from '../errors.js';
import { type Limits, watchLimits } from '../lib/interruption.js';
import { interruptionError, type Lease } from './lease.js';
import type { TupleCollector } from './router-api.js';
import { TupleReader } from './tuple-reader.js';
import type { Step, StepResult, Unit } from './unit.js';

/** What a stream is made of. */
export interface StreamSource<Batch> {
  /** Released by the stream. */
  readonly lease: Lease;
  /** The last one has the rows. */
  readonly steps: readonly Step[];
  readonly collector: TupleCollector<Batch>;
  readonly limits: Limits;
  /** How long the consumer may leave a full queue alone. */
  readonly idleTimeoutMs: number;
}

/** A running stream. */
export class BatchStream<Batch> {
  readonly #source: StreamSource<Batch>;
  readonly #unit: Unit;
  readonly #reader: TupleReader<Batch>;
  readonly #stopWatching: () => void;
  #idleTimer: NodeJS.Timeout | undefined;
  #isOver = false;

  /**
   * @throws StowageError when the signal is aborted already; TypeError for a parameter that cannot
   * be encoded; what the driver throws amid submitting. The lease is released then.
   */
  constructor(source: StreamSource<Batch>) {
    const { lease, steps, collector, limits } = source;
    this.#source = source;
    if (limits.signal.aborted) {
      lease.release('clean');
      throw interruptionError('aborted', limits);
    }
    try {
      this.#unit = lease.unit(steps, {
        isSnapshot: true,
        binaryLast: true,
        onSubmit: (connection) => this.#reader.attach(connection),
      });
    } catch (error) {
      lease.release('clean');
      throw error;
    }
    this.#reader = new TupleReader({
      collector,
      step: this.#unit.binaryStep ?? 0,
      onPause: (isPaused) => this.#watchConsumer(isPaused),
      onFailure: (error) => this.abandon(error),
    });
    this.#stopWatching = watchLimits(limits, (interruption) =>
      this.abandon(interruptionError(interruption, limits)),
    );
    try {
      lease.submit(this.#unit);
    } catch (error) {
      this.#finish();
      throw error;
    }
    this.#unit.done.then(
      () => this.#settle(undefined),
      (error: unknown) => this.#settle(error),
    );
  }

  /** Results of the steps before the rows; complete once the first batch is there. */
  get results(): readonly StepResult[] {
    return this.#unit.results;
  }

  /** How many rows there were; undefined before the end, and where it was left early. */
  get rowCount(): number | undefined {
    const { length } = this.#source.steps;
    const tag = this.#unit.results[length - 1]?.tag;
    return tag === undefined ? undefined : Number(tag.slice(tag.lastIndexOf(' ') + 1));
  }

  /**
   * The next batch; undefined at the end.
   * @throws StowageError why the stream was ended early, SLOW_CONSUMER; else what the server or the
   * driver said.
   */
  next(): Promise<Batch | undefined> {
    return this.#reader.next();
  }

  /** Ends a stream that goes on: the query is cancelled and the lease released behind it. */
  abandon(error?: unknown): void {
    if (this.#isOver) return;
    this.#reader.end(error);
    this.#reader.discard();
    this.#source.lease.interrupt(this.#unit.done);
    this.#finish();
  }

  #settle(error: unknown): void {
    this.#reader.end(error);
    if (!this.#isOver) this.#finish();
  }

  #finish(): void {
    this.#isOver = true;
    clearTimeout(this.#idleTimer);
    this.#stopWatching();
    this.#source.lease.release('clean');
  }

  #watchConsumer(isPaused: boolean): void {
    clearTimeout(this.#idleTimer);
    if (!isPaused || this.#isOver) return;
    const { idleTimeoutMs } = this.#source;
    const onIdle = () => this.abandon(new StowageError('SLOW_CONSUMER'));
    this.#idleTimer = setTimeout(onIdle, idleTimeoutMs);
  }
}
