/** A row that waits to be appended, and the caller who waits for it. */

import { deferred } from '../lib/deferred.js';
import { watchLimits } from '../lib/interruption.js';
import type { Call, ServedBy } from '../postgres/call.js';
import { interruptionError } from '../postgres/lease.js';

/** What a row's caller is told. */
export interface Served {
  readonly token: string;
  readonly servedBy: ServedBy | undefined;
}

/** One row with its caller, who is answered once and may leave at any time. */
export class Waiting<Row> {
  readonly call: Call;
  readonly row: Row;
  readonly #answer = deferred<string>();
  readonly #stop: () => void;
  #isGone = false;
  /** What else happens when the caller leaves. */
  onGone: () => void = () => undefined;

  constructor(call: Call, row: Row) {
    this.call = call;
    this.row = row;
    this.#stop = watchLimits(call, (interruption) => {
      this.#isGone = true;
      this.#answer.reject(interruptionError(interruption, call));
      this.onGone();
    });
  }

  /** The caller has its answer: its limits were reached. */
  get isGone(): boolean {
    return this.#isGone;
  }

  /** The answer. */
  get token(): Promise<string> {
    return this.#answer.promise;
  }

  serve({ token, servedBy }: Served): void {
    this.#stop();
    if (!this.#isGone && servedBy !== undefined) this.call.onServed(servedBy, token);
    this.#answer.resolve(token);
  }

  fail(error: unknown): void {
    this.#stop();
    this.#answer.reject(error);
  }
}
