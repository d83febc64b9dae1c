/** The calls that append: one row with those of other callers, or many in a commit of their own. */

import { StowageError } from '../errors.js';
import type { Call } from '../postgres/call.js';
import { AppendQueue } from './append-queue.js';
import { type AppendRow, monthOf } from './append-row.js';
import { type Appended, appendRows, blame } from './append-rows.js';
import type { AppendTable } from './append-table.js';
import { isInDoubt, type Writer } from './commit.js';

/** Appends to one table. */
export class Appender {
  readonly #writer: Writer;
  readonly #table: AppendTable;
  readonly #queue: AppendQueue<AppendRow>;

  constructor(writer: Writer, table: AppendTable) {
    this.#writer = writer;
    this.#table = table;
    this.#queue = new AppendQueue<AppendRow>({
      send: async (call, rows) => (await appendRows(writer, call, table, rows)).token,
      blame,
      groupOf: monthOf,
    });
  }

  /**
   * Appends one row, and resolves with a token that covers it.
   * @throws StowageError those of `appendRows`; OVERLOADED where too much waits. In doubt it names
   * the row's key, by which it can be appended again.
   */
  async one(call: Call, row: AppendRow): Promise<string> {
    try {
      return await this.#queue.append(call, row);
    } catch (error) {
      if (!isInDoubt(error)) throw error;
      const { message, cause } = error as StowageError;
      const metadata = { id: row.id, timestamp: row.time };
      throw new StowageError('COMMIT_OUTCOME_UNKNOWN', { message, cause, metadata });
    }
  }

  /** Appends rows in one commit. @throws StowageError those of `appendRows` */
  many(call: Call, rows: readonly AppendRow[]): Promise<Appended> {
    return appendRows(this.#writer, call, this.#table, rows);
  }
}
