/** One connection to a node that asks questions, each within a bound; it changes nothing. */

import type { PostgresSettings } from '../../config.js';
import { settlesWithin } from '../../lib/interruption.js';
import {
  createClient,
  type DriverClient,
  destroyClient,
  driverConfig,
  type NodeAddress,
} from '../driver.js';
import { endFailed, makeUnit } from '../pooled.js';
import type { Statement } from '../statement.js';

/** How long the node may take for one answer, and for the end of the connection. */
const ANSWER_TIMEOUT_MS = 5_000;
const END_TIMEOUT_MS = 500;

/** A session of the service's login, or of another. */
export class Session {
  readonly #settings: PostgresSettings;
  readonly #client: DriverClient;

  private constructor(settings: PostgresSettings, client: DriverClient) {
    this.#settings = settings;
    this.#client = client;
  }

  /** Logs in. @throws the driver's error, the server's or the socket's */
  static async open(settings: PostgresSettings, node: NodeAddress): Promise<Session> {
    const client = createClient(driverConfig(settings, node, 'probe'));
    // A lost connection also fails the question that is asked on it, and that is where it is told.
    client.on('error', () => undefined);
    try {
      await client.connect();
    } catch (error) {
      destroyClient(client);
      throw error;
    }
    return new Session(settings, client);
  }

  /** What the server gave for its process id when the connection was made. */
  get processId(): number {
    return this.#client.processID;
  }

  /** Runs one statement. @throws the server's error; Error where the answer takes too long */
  async ask<Row>(statement: Statement<Row>, params: readonly unknown[] = []): Promise<Row[]> {
    const unit = makeUnit(this.#settings, [{ statement, params }]);
    this.#client.query(unit);
    if (!(await settlesWithin(unit.done, ANSWER_TIMEOUT_MS))) {
      destroyClient(this.#client);
      throw new Error(`no answer to ${statement.name} within ${ANSWER_TIMEOUT_MS} ms`);
    }
    try {
      const [result] = await unit.done;
      return (result?.rows ?? []) as Row[];
    } catch (error) {
      if (!(await endFailed(this.#settings, this.#client, ANSWER_TIMEOUT_MS))) {
        destroyClient(this.#client);
      }
      throw error;
    }
  }

  /** Runs a statement that has one row. @throws as {@link ask}; Error where there is none */
  async askOne<Row>(statement: Statement<Row>, params: readonly unknown[] = []): Promise<Row> {
    const [row] = await this.ask(statement, params);
    if (row === undefined) throw new Error(`${statement.name} has no row`);
    return row;
  }

  /** Ends the connection, in order if the node answers soon. */
  async close(): Promise<void> {
    if (!(await settlesWithin(this.#client.end(), END_TIMEOUT_MS))) destroyClient(this.#client);
  }
}
