/** What the router offers to the rooms above; `router.ts` makes it. */

import type { Call, ServedBy } from './call.js';
import type { Statement } from './statement.js';

/** Statements of one transaction on the primary, run in order. */
export interface Transaction {
  /** Runs a statement inside the transaction; an error ends the transaction. */
  run<Row>(statement: Statement<Row>, params: readonly unknown[]): Promise<Row[]>;
  /**
   * Runs the last statement, with COMMIT behind it in the same round trip: what it tells stands
   * already, and the body can undo it no more.
   */
  runLast<Row>(statement: Statement<Row>, params: readonly unknown[]): Promise<Row[]>;
}

/** What a transaction came to. */
export interface Committed<T> {
  readonly value: T;
  /** A freshness token that covers the commit: the LSN flushed after it. */
  readonly token: string;
}

/**
 * Takes the rows of a stream as they stand on the wire and makes batches of them. `source` is
 * reused by the reader: copy what outlives the call.
 */
export interface TupleCollector<Batch> {
  /** Takes one DataRow body in binary format: int16 count, then int32 length and bytes a column. */
  tuple(source: Buffer, start: number, end: number): void;
  /** True once the batch is large enough to be sent. */
  isFull(): boolean;
  /** Gives what was collected and begins a fresh batch; undefined when there is nothing. */
  take(): Batch | undefined;
}

/** Where one slice of a stream runs. */
export interface StreamOptions<Batch> {
  readonly collector: TupleCollector<Batch>;
  /** The node of the slices before; the router fails with NO_NODE rather than take another. */
  readonly node?: string;
}

/** Routes statements to nodes. Every method throws StowageError only. */
export interface Router {
  /** Runs one statement by its intent, in one round trip with its scope. */
  run<Row>(statement: Statement<Row>, params: readonly unknown[], call: Call): Promise<Row[]>;
  /**
   * Runs the body in one transaction on the primary. The body's error rolls it back and is thrown;
   * a cancelled call rolls it back, unless COMMIT has been sent. Where the transaction came to
   * nothing through no fault of the body, the body is run again from its beginning: it may leave
   * nothing outside of the transaction that a second run would take wrongly.
   */
  transaction<T>(call: Call, body: (transaction: Transaction) => Promise<T>): Promise<Committed<T>>;
  /**
   * Reads one statement as a stream of batches with back-pressure: nothing more is read from the
   * node than the consumer takes. Leaving the loop early cancels the query and releases the lease.
   */
  stream<Batch>(
    statement: Statement,
    params: readonly unknown[],
    call: Call,
    options: StreamOptions<Batch>,
  ): AsyncGenerator<Batch, ServedBy, undefined>;
}
