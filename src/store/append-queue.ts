/**
 * Group commit: rows that callers append one by one travel together, a project at a time. What
 * waits is sent as soon as the batch before has returned, and at once where none is under way: the
 * batches grow with the load by themselves, and no timer makes a lonely caller wait. A caller is
 * answered when its row is durable. The queue holds nothing that outlives its callers, so nobody
 * has to close it: each leaves by its own signal, and what nobody waits for is not sent.
 */

import { setImmediate } from 'node:timers/promises';
import { StowageError } from '../errors.js';
import type { Call } from '../postgres/call.js';
import { obstacleOf } from '../postgres/lease.js';
import { SYSTEM_PRINCIPAL } from '../postgres/system-call.js';
import { type Served, Waiting } from './append-waiting.js';

/** What can wait for a batch. */
interface Sized {
  /** About how much it holds. */
  readonly bytes: number;
}

/** What a queue does with the rows of a batch. */
export interface Sender<Row extends Sized> {
  /**
   * Makes the rows durable, all or none.
   * @returns the token that covers them.
   */
  send(call: Call, rows: readonly Row[]): Promise<string>;
  /** What of a batch that failed was at fault: the others are sent again without it. */
  blame(error: unknown): 'row' | 'group' | 'batch';
  /** The rows of one batch that have this in common are blamed as a group. */
  groupOf(row: Row): string;
}

/** How much a queue takes. */
export interface QueueLimits {
  /** Of one batch; a row that is larger travels alone. */
  readonly batchRowsMax: number;
  readonly batchBytesMax: number;
  /** Of all projects, those under way included. */
  readonly rowsMax: number;
  readonly bytesMax: number;
}

const LIMITS: QueueLimits = {
  batchRowsMax: 500,
  batchBytesMax: 4 * 1024 * 1024,
  rowsMax: 10_000,
  bytesMax: 64 * 1024 * 1024,
};

/** No batch takes longer, however long its callers would wait. */
const BATCH_TIMEOUT_MS = 30_000;

/** What RetryInfo tells callers who find the queue full. */
const RETRY_DELAY_MS = 1_000;

/** What waits in one project, in the order in which it came. */
type Lane<Row> = Set<Waiting<Row>>;

/** The queue of one table. */
export class AppendQueue<Row extends Sized> {
  readonly #sender: Sender<Row>;
  readonly #limits: QueueLimits;
  /** Of projects in which something waits or is under way. */
  readonly #lanes = new Map<string, Lane<Row>>();
  #rows = 0;
  #bytes = 0;

  constructor(sender: Sender<Row>, limits: QueueLimits = LIMITS) {
    this.#sender = sender;
    this.#limits = limits;
  }

  /** How much it holds: nothing once all are answered. */
  get holds(): { readonly projects: number; readonly rows: number; readonly bytes: number } {
    return { projects: this.#lanes.size, rows: this.#rows, bytes: this.#bytes };
  }

  /**
   * Appends a row with those of other callers, and resolves with a token that covers it. A caller
   * that leaves before its row is sent takes the row along.
   * @throws StowageError OVERLOADED where too much waits; what the sender throws.
   */
  async append(call: Call, row: Row): Promise<string> {
    const obstacle = obstacleOf(call) ?? this.#fullness(row);
    if (obstacle !== undefined) throw obstacle;
    const known = this.#lanes.get(call.project);
    const lane: Lane<Row> = known ?? new Set();
    const waiting = new Waiting(call, row);
    waiting.onGone = () => {
      lane.delete(waiting);
      this.#release(waiting);
    };
    this.#rows += 1;
    this.#bytes += row.bytes;
    lane.add(waiting);
    if (known === undefined) {
      this.#lanes.set(call.project, lane);
      void this.#run(call.project, lane);
    }
    return waiting.token;
  }

  #fullness({ bytes }: Row): StowageError | undefined {
    const { rowsMax, bytesMax } = this.#limits;
    if (this.#rows < rowsMax && this.#bytes + bytes <= bytesMax) return undefined;
    return new StowageError('OVERLOADED', {
      message: 'Too much waits to be appended already; repeat after the delay.',
      retryDelayMs: RETRY_DELAY_MS,
    });
  }

  #release({ row }: Waiting<Row>): void {
    this.#rows -= 1;
    this.#bytes -= row.bytes;
  }

  async #run(project: string, lane: Lane<Row>): Promise<void> {
    for (;;) {
      // Those share a batch that come at once, and those whom the batch before has answered.
      await setImmediate();
      const batch = this.#take(lane);
      if (batch.length === 0) break;
      try {
        await this.#flush(batch);
      } catch (error) {
        // A defect must leave neither callers nor the lane behind.
        for (const waiting of batch) waiting.fail(error);
      }
      for (const waiting of batch) this.#release(waiting);
    }
    this.#lanes.delete(project);
  }

  #take(lane: Lane<Row>): Waiting<Row>[] {
    const { batchRowsMax, batchBytesMax } = this.#limits;
    const batch: Waiting<Row>[] = [];
    let bytes = 0;
    for (const waiting of lane) {
      bytes += waiting.row.bytes;
      if (batch.length > 0 && bytes > batchBytesMax) break;
      batch.push(waiting);
      if (batch.length === batchRowsMax) break;
    }
    for (const waiting of batch) {
      waiting.onGone = () => undefined;
      lane.delete(waiting);
    }
    return batch;
  }

  /** Sends a batch and answers each of its callers; takes it apart where that helps some. */
  async #flush(batch: readonly Waiting<Row>[]): Promise<void> {
    const present = batch.filter(({ isGone }) => !isGone);
    if (present.length === 0) return;
    let served: Served;
    try {
      served = await this.#send(present);
    } catch (error) {
      const parts = this.#apart(error, present);
      if (parts.length > 1) for (const part of parts) await this.#flush(part);
      else for (const waiting of present) waiting.fail(error);
      return;
    }
    for (const waiting of present) waiting.serve(served);
  }

  #apart(error: unknown, batch: readonly Waiting<Row>[]): readonly (readonly Waiting<Row>[])[] {
    switch (this.#sender.blame(error)) {
      case 'batch':
        return [batch];
      case 'group': {
        const groups = new Map<string, Waiting<Row>[]>();
        for (const waiting of batch) {
          const name = this.#sender.groupOf(waiting.row);
          const group = groups.get(name);
          if (group === undefined) groups.set(name, [waiting]);
          else group.push(waiting);
        }
        return [...groups.values()];
      }
      case 'row': {
        const middle = Math.ceil(batch.length / 2);
        return [batch.slice(0, middle), batch.slice(middle)].filter(({ length }) => length > 0);
      }
    }
  }

  async #send(batch: readonly Waiting<Row>[]): Promise<Served> {
    const left = new AbortController();
    let present = batch.length;
    for (const waiting of batch) {
      waiting.onGone = () => {
        present -= 1;
        if (present === 0) left.abort(new StowageError('CANCELLED'));
      };
    }
    const [first] = batch as readonly [Waiting<Row>];
    let servedBy: Served['servedBy'];
    const call: Call = {
      ...first.call,
      principal: SYSTEM_PRINCIPAL,
      // Of whoever waits longest: a batch is not one caller's.
      deadlineMs: Math.min(
        performance.now() + BATCH_TIMEOUT_MS,
        Math.max(...batch.map((waiting) => waiting.call.deadlineMs)),
      ),
      signal: left.signal,
      freshness: { kind: 'strong' },
      tokens: [],
      onServed: (by) => {
        servedBy = by;
      },
    };
    const rows = batch.map(({ row }) => row);
    return { token: await this.#sender.send(call, rows), servedBy };
  }
}
