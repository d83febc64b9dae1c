/**
 * One call on its way through the pipeline: the context that handlers see, and its two ends, the
 * answer and the abort, of which the first to come counts.
 */

import { isIP } from 'node:net';
import { StowageError } from '../errors.js';
import type { Call } from '../postgres/call.js';
import type { CallContext, MethodDefinition } from '../services/handler.js';
import type { CallEnded } from '../telemetry/events.js';

/** Transports keep deadlines in whole milliseconds and may find one passed a little early. */
const clockSlackMs = 5;

const userAgentCharactersMax = 512;
const methodCharactersMax = 256;

/** Where a call came from. What is no address, such as a peer that is gone, is left out. */
export function originOf(peer: string | undefined, userAgent: string | undefined): Call['origin'] {
  // The zone of a link-local address means something on this machine only; inet refuses it.
  const address = peer?.replace(/^::ffff:/, '').replace(/%.*$/, '');
  return {
    address: address !== undefined && isIP(address) !== 0 ? address : undefined,
    userAgent: userAgent?.slice(0, userAgentCharactersMax),
  };
}

/** The RPC that a path names, whether or not there is one. Cut: it is logged, and anybody's. */
export function methodIn(path: string): string {
  return path.slice(1, 1 + methodCharactersMax);
}

/** Which door a call came through. */
export type Door = 'grpc' | 'connect';

/** What a call is for the bounds: health is neither, however it is asked. */
export type CallKind = 'unary' | 'stream' | 'health';

/** A call as a door hands it in. */
export interface InboundCall {
  readonly door: Door;
  /** The RPC as `stowage.v1.StorageService/GetObject`, whether or not there is one. */
  readonly method: string;
  readonly kind: MethodDefinition['kind'];
  readonly origin: Call['origin'];
  /** Every value of a request header, by its lower-case name. */
  headers(name: string): readonly string[];
  /** What is left of the caller's own deadline, in ms; undefined where it set none. */
  readonly timeoutMs: number | undefined;
  /** Sets a header of the response; without effect once they have been sent. */
  setHeader(name: string, value: string): void;
}

/** A call in the pipeline. The steps fill in what they find out; handlers read it. */
export class ServerCall implements CallContext {
  readonly inbound: InboundCall;
  readonly startedMs = performance.now();
  readonly responseHeaders: CallContext['responseHeaders'];
  requestId = '';
  trace: Call['trace'];
  /** What ends the call's span; undefined: none is recorded. */
  onEnd: ((event: CallEnded) => void) | undefined;
  principal = 'anonymous';
  tokens: readonly string[] = [];
  deadlineMs: number;
  /** How many steps were entered and are to be left. */
  stepsEntered = 0;
  isFinished = false;
  /** Whether there is such an RPC. */
  isKnown = false;
  readonly #controller = new AbortController();
  #reject: ((reason: StowageError) => void) | undefined;

  constructor(inbound: InboundCall) {
    this.inbound = inbound;
    // From the first, for a transport may find it passed before any step is entered.
    this.deadlineMs = this.startedMs + (inbound.timeoutMs ?? Number.POSITIVE_INFINITY);
    this.responseHeaders = {
      set: (name, value) => {
        inbound.setHeader(name, value);
      },
    };
  }

  get method(): string {
    return this.inbound.method;
  }

  get origin(): Call['origin'] {
    return this.inbound.origin;
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Ends the call from outside. Without effect once it has ended. */
  abort(reason: StowageError): void {
    if (this.isFinished || this.signal.aborted) {
      return;
    }
    this.#controller.abort(reason);
    this.#reject?.(reason);
  }

  /** The caller is gone, or its transport has run out of time and says so the same way. */
  cancel(): void {
    // Door 1 says so of every call that ends, and an error is dear to make: it takes a stack.
    if (this.isFinished) {
      return;
    }
    const isLate = performance.now() + clockSlackMs >= this.deadlineMs;
    this.abort(new StowageError(isLate ? 'DEADLINE_EXCEEDED' : 'CANCELLED'));
  }

  /**
   * What the work comes to, or the reason of an abort before that: a handler that overlooks its
   * signal cannot hold the caller. One piece of work at a time.
   */
  orAborted<T>(work: PromiseLike<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#reject = reject;
      if (this.signal.aborted) {
        reject(this.signal.reason);
      }
      work.then(resolve, reject);
    });
  }
}
