/**
 * The time between a stream's message and its door's asking for the next one: transports ask when
 * they have room, so it is as long as the caller does not read.
 */

import { StowageError } from '../errors.js';
import { publishStreamMessage, streamMessageHasListeners } from '../telemetry/events.js';
import type { ServerCall } from './server-call.js';

/** One stream's, begun and ended in turn. */
export class Handover {
  readonly #call: ServerCall;
  readonly #idleTimeoutMs: number;
  #timer: NodeJS.Timeout | undefined;
  /** Undefined where nobody wants to know. */
  #beganAtMs: number | undefined;

  constructor(call: ServerCall, idleTimeoutMs: number) {
    this.#call = call;
    this.#idleTimeoutMs = idleTimeoutMs;
  }

  /** The door has a message. Where it takes too long the call ends with SLOW_CONSUMER. */
  begin(): void {
    if (streamMessageHasListeners()) this.#beganAtMs = performance.now();
    this.#timer = setTimeout(() => {
      this.#call.abort(new StowageError('SLOW_CONSUMER'));
    }, this.#idleTimeoutMs);
  }

  /** The door asks for another, or the call is over. Without effect where none was begun. */
  end(): void {
    clearTimeout(this.#timer);
    if (this.#beganAtMs === undefined) return;
    const stalledMs = performance.now() - this.#beganAtMs;
    this.#beganAtMs = undefined;
    publishStreamMessage({ method: this.#call.method, stalledMs });
  }
}
