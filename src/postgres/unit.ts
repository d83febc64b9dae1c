/**
 * Several statements with one Sync: one round trip and, outside of BEGIN, one implicit transaction,
 * so that transaction-local settings of the first step hold for the others and for nothing else.
 * The driver's own pipelining syncs after each query and would lose them.
 */

import { deferred } from '../lib/deferred.js';
import {
  type ColumnDescription,
  type DriverConnection,
  isServerError,
  type Submission,
  type WireValue,
} from './driver.js';
import { encodeParameter } from './parameters.js';
import { columnsOf, type Preparable, type PreparedStatement, prepare } from './prepared.js';

/** "cached plan must not change result type": the statement has to be prepared again. */
const RESULT_TYPE_CHANGED = '0A000';

/** A row, keyed by column. */
export type Row = Record<string, unknown>;

/** One statement of a unit. */
export interface Step {
  readonly statement: Preparable;
  readonly params: readonly unknown[];
  /** True: it is not the caller's, and its result is not among the unit's. */
  readonly isFrame?: boolean;
  /** True: its answer does not wait for those of later steps. */
  readonly isAnsweredAtOnce?: boolean;
}

/** What a step came to. */
export interface StepResult {
  readonly rows: Row[];
  /** The command tag, such as `UPDATE 3` or `COMMIT`. */
  readonly tag: string;
}

/** How a unit differs from the usual. */
export interface UnitOptions {
  /** Index of the step whose rows come in binary; who asks for it takes them off the socket. */
  readonly binaryStep?: number;
  /** No statement gets a name: the next unit may run in another session of the server. */
  readonly isNameless?: boolean;
  /** Called once everything is sent. */
  readonly onSubmit?: (connection: DriverConnection) => void;
}

interface BoundStep {
  readonly statement: Step['statement'];
  readonly values: readonly WireValue[];
  readonly binary: boolean;
  readonly isFrame: boolean;
  readonly isAnsweredAtOnce: boolean;
}

/**
 * One round trip. Submit it once with `client.query`; `done` settles when the connection is ready
 * for the next unit, or is gone.
 */
export class Unit implements Submission {
  /** The index of the step whose rows come in binary. */
  readonly binaryStep: number | undefined;
  readonly #steps: readonly BoundStep[];
  readonly #onSubmit: UnitOptions['onSubmit'];
  readonly #isNameless: boolean;
  readonly #prepared: PreparedStatement[] = [];
  readonly #results: StepResult[] = [];
  readonly #done = deferred<StepResult[]>();
  #connection: DriverConnection | undefined;
  /** The index of the step whose answer is due; after an error, of the one that failed. */
  #current = 0;
  #rows: Row[] = [];
  #error: Error | undefined;

  /** @throws TypeError when a parameter cannot be encoded; nothing is sent then. */
  constructor(steps: readonly Step[], options: UnitOptions = {}) {
    const { binaryStep, isNameless = false, onSubmit } = options;
    this.#onSubmit = onSubmit;
    this.#isNameless = isNameless;
    this.binaryStep = binaryStep;
    this.#steps = steps.map((step, index) => ({
      statement: step.statement,
      values: step.params.map(encodeParameter),
      binary: index === binaryStep,
      isFrame: step.isFrame ?? false,
      isAnsweredAtOnce: step.isAnsweredAtOnce ?? false,
    }));
  }

  /** The results of the caller's steps; rejects with the server's or the driver's error. */
  get done(): Promise<StepResult[]> {
    return this.#done.promise;
  }

  /** False until the driver takes it, and for good where the connection was gone before. */
  get isSent(): boolean {
    return this.#connection !== undefined;
  }

  /** Of the caller's steps that were completed so far. */
  get results(): readonly StepResult[] {
    return this.#results;
  }

  submit(connection: DriverConnection): void {
    this.#connection = connection;
    const sent = this.#isNameless ? undefined : new Set<PreparedStatement>();
    // One packet: without the cork each message may travel alone.
    connection.stream.cork();
    try {
      for (const { statement, values, binary, isAnsweredAtOnce } of this.#steps) {
        const prepared = prepare(connection, statement, sent);
        this.#prepared.push(prepared);
        connection.bind({ statement: prepared.name, values, binary });
        connection.execute({ rows: 0 });
        if (isAnsweredAtOnce) connection.flush();
      }
      connection.sync();
    } finally {
      connection.stream.uncork();
    }
    this.#onSubmit?.(connection);
  }

  handleRowDescription(message: { readonly fields: readonly ColumnDescription[] }): void {
    const prepared = this.#prepared[this.#current];
    if (prepared !== undefined) prepared.columns = columnsOf(message.fields);
  }

  handleDataRow(message: { readonly fields: readonly (string | null)[] }): void {
    const columns = this.#prepared[this.#current]?.columns ?? [];
    const row: Row = {};
    for (let index = 0; index < columns.length; index += 1) {
      const column = columns[index];
      const text = message.fields[index];
      if (column === undefined || text === undefined) break;
      row[column.name] = text === null ? null : this.#parse(column.parse, text);
    }
    this.#rows.push(row);
  }

  /** A parser's error must not reach the driver, which would take it for a broken connection. */
  #parse(parse: (text: string) => unknown, text: string): unknown {
    try {
      return parse(text);
    } catch (error) {
      this.#error ??=
        error instanceof Error ? error : new Error('unreadable value', { cause: error });
      return null;
    }
  }

  handleCommandComplete(message: { readonly text: string }): void {
    const prepared = this.#prepared[this.#current];
    if (prepared !== undefined) prepared.isReady = true;
    if (this.#steps[this.#current]?.isFrame === false) {
      this.#results.push({ rows: this.#rows, tag: message.text });
    }
    this.#current += 1;
    this.#rows = [];
  }

  handleError(error: Error): void {
    this.#error ??= error;
    if (!isServerError(error) || this.#connection === undefined) {
      this.#settle();
      return;
    }
    const failed = this.#prepared[this.#current];
    if (failed !== undefined && error.code === RESULT_TYPE_CHANGED) failed.isReady = false;
    // The client forgets a submission at its first error, before the answer to Sync has come; a
    // fatal error is followed by the end of the connection instead.
    const connection = this.#connection;
    const settle = () => {
      connection.off('readyForQuery', settle);
      connection.off('end', settle);
      this.#settle();
    };
    connection.on('readyForQuery', settle);
    connection.on('end', settle);
  }

  handleReadyForQuery(): void {
    this.#settle();
  }

  #settle(): void {
    if (this.#error === undefined) this.#done.resolve(this.#results);
    else this.#done.reject(this.#error);
  }

  handleEmptyQuery(): void {
    this.handleCommandComplete({ text: '' });
  }

  handlePortalSuspended(): void {
    // Never: every Execute asks for all rows.
  }

  handleCopyInResponse(): void {
    // Never: no statement copies.
  }

  handleCopyData(): void {
    // Never: as above.
  }
}
