/**
 * How long a stream may owe a message. A stream of the service is never silent for long, so one
 * that is has lost its server, whatever the connection says.
 */

import { Code } from '@connectrpc/connect';
import { asConnectError, CallError } from './call-error.js';
import type { WireCall } from './wire-call.js';

/** How a stream's silence is judged. */
export interface SilenceOptions {
  /** Milliseconds; 0: no bound. */
  readonly timeoutMs: number;
  /** Whether requests are a stream too. */
  readonly isBidi: boolean;
}

/**
 * Watches one stream. Time counts only while the program waits for a message and the server owes
 * one: always in a server stream; in a bidi stream while it has answered fewer messages than were
 * handed over to it, or will get no more. So neither a slow reader nor a sender with nothing to say
 * is taken for a dead server.
 */
export class Silence {
  readonly #options: SilenceOptions;
  readonly #wire: WireCall;
  #timer: NodeJS.Timeout | undefined;
  #isAwaited = false;
  #owed = 0;
  #isWhole = false;

  constructor(wire: WireCall, options: SilenceOptions) {
    this.#wire = wire;
    this.#options = options;
  }

  /** Waits for what the server is to send. @throws what the wait throws */
  async during<T>(wait: Promise<T>): Promise<T> {
    this.#isAwaited = true;
    this.#arm();
    try {
      return await wait;
    } finally {
      this.#isAwaited = false;
      clearTimeout(this.#timer);
      this.#timer = undefined;
    }
  }

  /** A message is handed over; until the server takes it, it owes what it owes for it. */
  sending(): void {
    this.#owed += 1;
    this.#arm();
  }

  /** The last message was sent. */
  sentLast(): void {
    this.#isWhole = true;
    this.#arm();
  }

  /** A message was received. */
  received(): void {
    this.#owed -= 1;
  }

  #arm(): void {
    const { timeoutMs, isBidi } = this.#options;
    const isOwed = !isBidi || this.#isWhole || this.#owed > 0;
    if (!this.#isAwaited || !isOwed || timeoutMs <= 0 || this.#timer !== undefined) return;
    this.#timer = setTimeout(() => this.#wire.cancel(asConnectError(this.#error())), timeoutMs);
  }

  #error(): CallError {
    const { timeoutMs, isBidi } = this.#options;
    return CallError.local(
      `the server has sent nothing on the stream for ${timeoutMs} ms`,
      Code.Unavailable,
      isBidi ? 'same_request_id' : 'resume',
    );
  }
}
