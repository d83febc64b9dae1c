/**
 * The connection as the program sees it: its state, as a value, as events and as a promise, and its
 * end. It makes no connection by itself: a call does, or `ready()`.
 */

import { Code, ConnectError } from '@connectrpc/connect';
import { type Channel, connectivityState, Metadata } from '@grpc/grpc-js';
import { NEVER, watchLimits } from '../lib/interruption.js';
import { asConnectError, CallError } from './call-error.js';
import { deadlineIn } from './options.js';
import { WireCall } from './wire-call.js';

/**
 * gRPC's states of a channel.
 * - `IDLE`: not connected; the next call connects.
 * - `CONNECTING`: calls wait for the connection, within their deadlines.
 * - `READY`: connected.
 * - `TRANSIENT_FAILURE`: the last attempt failed and the next one comes by itself, after a backoff;
 *   calls fail at once with the cause.
 * - `SHUTDOWN`: closed; the last state.
 */
export type ConnectionState = keyof typeof connectivityState;

/** Told of each change, in order, soon after it happened. */
export type StateListener = (state: ConnectionState, previous: ConnectionState) => void;

/** Bounds of a wait for the connection. */
export interface ReadyOptions {
  /** Ends the wait. */
  readonly signal?: AbortSignal;
  /** Milliseconds; default: the deadline of a unary call; 0: none. */
  readonly timeoutMs?: number;
}

/** How long a failed `ready()` waits for the cause, which is known already. */
const failureMsMax = 100;

/** Owns a channel, its calls and its listeners. */
export class Connection {
  readonly #channel: Channel;
  readonly #timeoutMs: number;
  readonly #listeners = new Set<StateListener>();
  readonly #calls = new Set<WireCall>();
  #state: ConnectionState = 'IDLE';

  /** Takes over a channel that has not connected yet. */
  constructor(channel: Channel, timeoutMs: number) {
    this.#channel = channel;
    this.#timeoutMs = timeoutMs;
    this.#watch();
  }

  get state(): ConnectionState {
    return this.#state;
  }

  /** Adds a listener. @returns what removes it */
  onStateChange(listener: StateListener): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  /**
   * Connects and resolves once the connection is READY.
   *
   * @throws {CallError} `after_delay` when the time is over, with the last failure in words;
   * `never` when the signal aborts, the client is closed or the time is none
   */
  async ready(options: ReadyOptions = {}): Promise<void> {
    const { signal = NEVER, timeoutMs = this.#timeoutMs } = options;
    const ended = await this.#settled(signal, deadlineIn(timeoutMs, performance.now()));
    if (ended === 'READY') return;
    if (ended === 'SHUTDOWN') throw closed();
    if (ended === 'aborted') {
      const { rawMessage } = ConnectError.from(signal.reason, Code.Canceled);
      throw CallError.local(rawMessage, Code.Canceled, 'never', signal.reason);
    }
    throw asReadyError(timeoutMs, this.#state === 'TRANSIENT_FAILURE' ? await this.#failure() : '');
  }

  /**
   * Begins a call of this method's path.
   *
   * @param deadlineMs on the clock of `Date.now()`; Infinity: none
   * @throws {ConnectError} once the client is closed
   */
  open(path: string, metadata: Metadata, deadlineMs: number): WireCall {
    if (this.#state === 'SHUTDOWN') throw asConnectError(closed());
    const call = this.#channel.createCall(path, deadlineMs, null, null, null);
    const wire: WireCall = new WireCall(call, metadata, () => this.#calls.delete(wire));
    this.#calls.add(wire);
    return wire;
  }

  /** Ends every call and the connection, for good. */
  close(): void {
    if (this.#state === 'SHUTDOWN') return;
    const ended = CallError.local('the client was closed', Code.Canceled, 'same_request_id');
    for (const call of this.#calls) call.cancel(asConnectError(ended));
    this.#channel.close();
  }

  /** grpc-js calls back once a change and sets no timer for it. */
  #watch(): void {
    this.#channel.watchConnectivityState(connectivityState[this.#state], Infinity, () => {
      const previous = this.#state;
      this.#state = connectivityState[this.#channel.getConnectivityState(false)] as ConnectionState;
      if (this.#state !== 'SHUTDOWN') this.#watch();
      this.#tell(this.#state, previous);
    });
  }

  /** Not from within grpc-js, whose own change a listener that throws would leave half done. */
  #tell(state: ConnectionState, previous: ConnectionState): void {
    for (const listener of this.#listeners) {
      queueMicrotask(() => {
        if (this.#listeners.has(listener)) listener(state, previous);
      });
    }
  }

  #settled(
    signal: AbortSignal,
    deadlineMs: number,
  ): Promise<'READY' | 'SHUTDOWN' | 'aborted' | 'deadline'> {
    return new Promise((resolve) => {
      const end = (outcome: 'READY' | 'SHUTDOWN' | 'aborted' | 'deadline'): void => {
        stop();
        leave();
        resolve(outcome);
      };
      const look = (): void => {
        const state = this.#state;
        if (state === 'READY' || state === 'SHUTDOWN') end(state);
        else if (state === 'IDLE') this.#channel.getConnectivityState(true);
      };
      const leave = this.onStateChange(look);
      let stop = (): void => undefined;
      stop = watchLimits({ signal, deadlineMs }, end);
      if (!signal.aborted) look();
    });
  }

  /** Why there is no connection: what any call is told at once while attempts fail. */
  async #failure(): Promise<string> {
    const deadlineMs = Date.now() + failureMsMax;
    const wire = this.open('/grpc.health.v1.Health/Check', new Metadata(), deadlineMs);
    try {
      await wire.header;
    } catch (error) {
      // Where attempts have begun anew meanwhile it waits for them, in vain.
      const { code, rawMessage } = ConnectError.from(error);
      if (code === Code.Unavailable) return rawMessage;
    }
    wire.cancel(new ConnectError('it was only a question', Code.Canceled));
    return '';
  }
}

function asReadyError(timeoutMs: number, cause: string): CallError {
  const message = `not connected within ${timeoutMs} ms${cause === '' ? '' : `: ${cause}`}`;
  return CallError.local(message, Code.Unavailable, 'after_delay');
}

function closed(): CallError {
  return CallError.local('the client is closed', Code.Canceled, 'never');
}
