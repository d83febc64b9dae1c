/**
 * One call of a grpc-js channel, with promises. From the second message on, one is read from the
 * wire only when it is asked for, so that a slow reader holds its sender back. Knows bytes, no
 * messages.
 */

import type { ConnectError } from '@connectrpc/connect';
import { type Channel, type Metadata, type StatusObject, status } from '@grpc/grpc-js';
import { type Deferred, deferred } from '../lib/deferred.js';
import { addTo, toConnectError } from './wire-metadata.js';

/** How a call ended; without an error it ended well. */
interface End {
  readonly error?: ConnectError;
}

/**
 * A call that has begun. `Channel.createCall` is used rather than `Client`, whose streams read 16
 * messages ahead of any size and whose calls each take a stack trace.
 */
export class WireCall {
  /** Empty until the call has ended. */
  readonly trailer: Headers = new Headers();
  readonly #call: ReturnType<Channel['createCall']>;
  readonly #header = deferred<Headers>();
  readonly #onEnd: () => void;
  #end: End | undefined;
  /** The first message, which is asked for at once. */
  #ahead: Deferred<Buffer | undefined> | undefined;
  #reading: Deferred<Buffer | undefined> | undefined;
  #writing: Deferred<void> | undefined;

  /** Starts the call; `onEnd` is called once, when it has ended, however that came. */
  constructor(call: ReturnType<Channel['createCall']>, metadata: Metadata, onEnd: () => void) {
    this.#call = call;
    this.#onEnd = onEnd;
    call.start(metadata, {
      onReceiveMetadata: (received) => this.#header.resolve(toHeaders(received)),
      onReceiveMessage: (message: Buffer) => this.#settleRead(message),
      onReceiveStatus: (received) => this.#receiveStatus(received),
    });
    // grpc-js stops the stream when it hands a message over. One that came before it was asked for
    // would not stop it, and all that follows would be buffered without a bound.
    this.#ahead = this.#startRead();
  }

  /** The response's headers; rejects where the call fails before them. */
  get header(): Promise<Headers> {
    return this.#header.promise;
  }

  get hasEnded(): boolean {
    return this.#end !== undefined;
  }

  /** The next message, undefined behind the last. One read at a time. @throws ConnectError */
  async read(): Promise<Buffer | undefined> {
    const ahead = this.#ahead;
    this.#ahead = undefined;
    if (ahead !== undefined) return ahead.promise;
    if (this.#end?.error !== undefined) throw this.#end.error;
    return this.#end === undefined ? this.#startRead().promise : undefined;
  }

  /** Resolves when the transport wants more, or the call has ended. One write at a time. */
  async write(message: Uint8Array): Promise<void> {
    if (this.#end !== undefined) return;
    const written = deferred<void>();
    this.#writing = written;
    const bytes = Buffer.from(message.buffer, message.byteOffset, message.byteLength);
    this.#call.sendMessageWithContext({ callback: () => written.resolve() }, bytes);
    await written.promise;
  }

  /** Says that no further message will be written. */
  halfClose(): void {
    if (this.#end === undefined) this.#call.halfClose();
  }

  /** Ends the call on the wire, and here with this error. Without effect once it has ended. */
  cancel(error: ConnectError): void {
    if (this.#end !== undefined) return;
    this.#finish({ error });
    this.#call.cancelWithStatus(status.CANCELLED, error.rawMessage);
  }

  #startRead(): Deferred<Buffer | undefined> {
    const reading = deferred<Buffer | undefined>();
    this.#reading = reading;
    this.#call.startRead();
    return reading;
  }

  #receiveStatus(received: StatusObject): void {
    if (this.#end !== undefined) return;
    addTo(this.trailer, received.metadata);
    this.#finish(received.code === status.OK ? {} : { error: toConnectError(received) });
  }

  #finish(end: End): void {
    this.#end = end;
    this.#writing?.resolve();
    if (end.error === undefined) {
      this.#header.resolve(new Headers());
      this.#settleRead(undefined);
    } else {
      this.#header.reject(end.error);
      this.#reading?.reject(end.error);
      this.#reading = undefined;
    }
    this.#onEnd();
  }

  #settleRead(message: Buffer | undefined): void {
    const reading = this.#reading;
    this.#reading = undefined;
    reading?.resolve(message);
  }
}

function toHeaders(metadata: Metadata): Headers {
  const headers = new Headers();
  addTo(headers, metadata);
  return headers;
}
