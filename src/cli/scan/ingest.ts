/**
 * Sends batches through IngestObjects with a bounded number unacknowledged, and sends those again
 * with their own request ids when the stream breaks: nothing is lost and nothing is doubled.
 */

import { randomUUID } from 'node:crypto';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import type { StorageObjectSchema } from '../../../gen/stowage/v1/storage_object_pb.js';
import {
  type IngestObjectsRequest,
  IngestObjectsRequestSchema,
  type IngestObjectsResponse,
} from '../../../gen/stowage/v1/storage_record_pb.js';
import {
  type Client,
  lostConnection,
  type StorageService,
  toStowageError,
} from '../../client/index.js';
import { deferred } from '../../lib/deferred.js';
import type { Patience } from './backoff.js';

/** An object to record. */
export type ObjectInit = MessageInitShape<typeof StorageObjectSchema>;

/** The one call that a sender makes. */
export type IngestCall = Pick<Client<typeof StorageService>, 'ingestObjects'>;

/** How a sender behaves. */
export interface IngestOptions {
  readonly project: string;
  readonly patience: Patience;
  /** Ends the call under way. */
  readonly signal: AbortSignal;
  /** Batches that may be unacknowledged; default 8. */
  readonly unacknowledgedMax?: number;
}

/** What the acknowledgements said so far. */
export interface IngestTotals {
  readonly created: number;
  readonly updated: number;
  readonly unchanged: number;
}

interface Batch {
  readonly number: number;
  readonly request: IngestObjectsRequest;
}

/** Wakes whoever waits for any change; they look for themselves what it was. */
class Bell {
  #next = deferred<void>();

  ring(): void {
    this.#next.resolve();
    this.#next = deferred<void>();
  }

  rung(): Promise<void> {
    return this.#next.promise;
  }
}

/** The sending side of an ingest. */
export class IngestSender {
  readonly #client: IngestCall;
  readonly #options: IngestOptions;
  readonly #bell = new Bell();
  readonly #unacknowledged: Batch[] = [];
  #batches = 0;
  #isClosed = false;
  #failure: { readonly error: unknown } | undefined;
  #running: Promise<void> | undefined;
  #totals: IngestTotals = { created: 0, updated: 0, unchanged: 0 };

  constructor(client: IngestCall, options: IngestOptions) {
    this.#client = client;
    this.#options = options;
  }

  /** What is committed. */
  get totals(): IngestTotals {
    return this.#totals;
  }

  /**
   * Takes a batch to send, as soon as the window has room. `position` differs for each batch.
   *
   * @throws {CallError} what ended the ingest
   */
  async send(objects: ObjectInit[], position: string): Promise<void> {
    const { project, unacknowledgedMax = 8 } = this.#options;
    while (this.#unacknowledged.length >= unacknowledgedMax && this.#failure === undefined) {
      await this.#bell.rung();
    }
    this.#throwFailure();
    const requestId = randomUUID();
    const request = create(IngestObjectsRequestSchema, { project, requestId, position, objects });
    this.#batches += 1;
    this.#unacknowledged.push({ number: this.#batches, request });
    this.#bell.ring();
    this.#running ??= this.#run();
  }

  /**
   * Waits until everything is acknowledged.
   *
   * @throws {CallError} what ended the ingest
   */
  async finish(): Promise<IngestTotals> {
    this.#isClosed = true;
    this.#bell.ring();
    await this.#running;
    this.#throwFailure();
    return this.#totals;
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  async #run(): Promise<void> {
    try {
      while (!this.#isClosed || this.#unacknowledged.length > 0) {
        if (this.#unacknowledged.length === 0) await this.#bell.rung();
        else await this.#streamOnce().catch((error: unknown) => this.#waitOut(error));
      }
    } catch (error) {
      this.#failure = { error };
      this.#bell.ring();
    }
  }

  /**
   * A stream that breaks while nothing waits for it costs nothing: the next batch opens another.
   * As a failure it would use up the patience for one that comes a large file's digest later.
   */
  async #waitOut(thrown: unknown): Promise<void> {
    const error = toStowageError(thrown);
    if (this.#unacknowledged.length === 0 && error.retry !== 'never') return;
    await this.#options.patience.waitOut(error);
  }

  async #streamOnce(): Promise<void> {
    const attempt = { isOver: false };
    const { signal } = this.#options;
    try {
      const answers = this.#client.ingestObjects(this.#requests(attempt), { signal });
      for await (const answer of answers) this.#acknowledge(answer);
      if (this.#unacknowledged.length > 0) {
        throw lostConnection('the ingest ended before everything was acknowledged');
      }
    } finally {
      attempt.isOver = true;
      this.#bell.ring();
    }
  }

  /** What one attempt sends: all that is unacknowledged, then what comes. */
  async *#requests(attempt: { readonly isOver: boolean }): AsyncGenerator<IngestObjectsRequest> {
    let sent = 0;
    while (!attempt.isOver) {
      const batch = this.#unacknowledged.find(({ number }) => number > sent);
      if (batch !== undefined) {
        sent = batch.number;
        yield batch.request;
      } else if (this.#isClosed) {
        return;
      } else {
        await this.#bell.rung();
      }
    }
  }

  #acknowledge(answer: IngestObjectsResponse): void {
    const batch = this.#unacknowledged.shift();
    if (batch?.request.position !== answer.resumePosition) {
      throw new Error('the server acknowledged another batch than the one that was due');
    }
    this.#totals = {
      created: this.#totals.created + Number(answer.created),
      updated: this.#totals.updated + Number(answer.updated),
      unchanged: this.#totals.unchanged + Number(answer.unchanged),
    };
    this.#options.patience.progress();
    this.#bell.ring();
  }
}
