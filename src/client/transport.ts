/**
 * The way from a program to a Stowage server: Connect's transport over a grpc-js channel, with
 * keepalive, deadlines, request ids and freshness tokens. It does not retry: who calls knows what
 * may be repeated.
 */

import {
  type DescMessage,
  type DescMethod,
  fromBinary,
  type Message,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf';
import { reflect } from '@bufbuild/protobuf/reflect';
import {
  Code,
  ConnectError,
  createContextValues,
  type Interceptor,
  type StreamRequest,
  type StreamResponse,
  type Transport,
  type UnaryRequest,
  type UnaryResponse,
} from '@connectrpc/connect';
import { runStreamingCall, runUnaryCall } from '@connectrpc/connect/protocol';
import { BadRequestSchema } from '../../gen/google/rpc/error_details_pb.js';
import { illFormedRule, keepEveryCharacter } from '../wire/utf8.js';
import { asConnectError, CallError } from './call-error.js';
import { carryTokens } from './carry-tokens.js';
import { openChannel } from './channel.js';
import { Connection, type ConnectionState, type ReadyOptions } from './connection.js';
import { FreshnessTokens } from './freshness-tokens.js';
import { illFormedField } from './ill-formed-text.js';
import { keepItemBytes } from './item-bytes.js';
import { deadlineIn, type Settings, settingsOf, type TransportOptions } from './options.js';
import { requestIds } from './request-ids.js';
import { Silence } from './silence.js';
import type { WireCall } from './wire-call.js';
import { toMetadata } from './wire-metadata.js';

/** A transport for `createClient` that owns its connection. */
export interface StowageTransport
  extends Transport,
    Pick<Connection, 'onStateChange' | 'ready' | 'close'> {
  /** The connection's state. */
  readonly state: ConnectionState;
}

keepEveryCharacter();

/**
 * Makes a transport. Nothing is connected before the first call or `ready()`.
 *
 * @throws {TypeError} where the endpoints or the token cannot be used
 * @throws {RangeError} where a time is none
 */
export function createTransport(options: TransportOptions): StowageTransport {
  const settings = settingsOf(options);
  return new GrpcTransport(settings, new Connection(openChannel(settings), settings.timeoutMs));
}

/**
 * What a call passes on its way out, the outermost first. Request ids come before what may repeat
 * the call, the program's own interceptors too, so that all attempts have one; tokens come last,
 * so that each attempt has the newest. The deadline is fixed before all of them.
 */
function interceptorsOf({ interceptors, token }: Settings): Interceptor[] {
  const carrying = carryTokens(new FreshnessTokens());
  return [requestIds, ...interceptors, ...(token === undefined ? [] : [bearer(token)]), carrying];
}

function bearer(token: string): Interceptor {
  return (next) => (request) => {
    request.header.set('authorization', `Bearer ${token}`);
    return next(request);
  };
}

class GrpcTransport implements StowageTransport {
  readonly #settings: Settings;
  readonly #connection: Connection;
  readonly #interceptors: Interceptor[];

  constructor(settings: Settings, connection: Connection) {
    this.#settings = settings;
    this.#connection = connection;
    this.#interceptors = interceptorsOf(settings);
  }

  get state(): ConnectionState {
    return this.#connection.state;
  }

  onStateChange(...args: Parameters<Connection['onStateChange']>): () => void {
    return this.#connection.onStateChange(...args);
  }

  ready(options?: ReadyOptions): Promise<void> {
    return this.#connection.ready(options);
  }

  close(): void {
    this.#connection.close();
  }

  readonly unary: Transport['unary'] = async (
    method,
    signal,
    timeoutMs,
    header,
    message,
    values,
  ) => {
    const deadlineMs = deadlineOf(timeoutMs ?? this.#settings.timeoutMs);
    return runUnaryCall({
      req: { stream: false, method, message, ...requestOf(method, header, values) },
      next: (request) => this.#callUnary(request, deadlineMs),
      interceptors: this.#interceptors,
      ...(signal === undefined ? {} : { signal }),
    });
  };

  readonly stream: Transport['stream'] = async (
    method,
    signal,
    timeoutMs,
    header,
    message,
    values,
  ) => {
    const deadlineMs = deadlineOf(timeoutMs ?? 0);
    return runStreamingCall({
      req: { stream: true, method, message, ...requestOf(method, header, values) },
      next: (request) => this.#callStream(request, deadlineMs),
      interceptors: this.#interceptors,
      ...(signal === undefined ? {} : { signal }),
    });
  };

  async #callUnary<I extends DescMessage, O extends DescMessage>(
    request: UnaryRequest<I, O>,
    deadlineMs: number,
  ): Promise<UnaryResponse<I, O>> {
    const { method, service } = request;
    const bytes = encode(method.input, request.message);
    const wire = this.#open(request, deadlineMs);
    void wire.write(bytes);
    wire.halfClose();
    const answer = await wire.read();
    // The status comes behind the message, and only then the call was done.
    if (answer === undefined || (await wire.read()) !== undefined) {
      const error = new ConnectError('the answer is not one message', Code.Internal);
      wire.cancel(error);
      throw error;
    }
    const message = decode(method.output, answer);
    const header = await wire.header;
    return { stream: false, service, method, header, message, trailer: wire.trailer };
  }

  async #callStream<I extends DescMessage, O extends DescMessage>(
    request: StreamRequest<I, O>,
    deadlineMs: number,
  ): Promise<StreamResponse<I, O>> {
    const { method, service } = request;
    const wire = this.#open(request, deadlineMs);
    const silence = new Silence(wire, {
      timeoutMs: this.#settings.streamIdleTimeoutMs,
      isBidi: method.methodKind === 'bidi_streaming',
    });
    void send(request, wire, silence);
    const header = await silence.during(wire.header);
    const message = receive(method.output, wire, silence);
    return { stream: true, service, method, header, message, trailer: wire.trailer };
  }

  #open(request: UnaryRequest | StreamRequest, deadlineMs: number): WireCall {
    const { method, header, signal } = request;
    const path = `/${method.parent.typeName}/${method.name}`;
    const wire = this.#connection.open(path, toMetadata(header), deadlineMs);
    const abort = () => wire.cancel(ConnectError.from(signal.reason, Code.Canceled));
    // The signal is the call's own, made by Connect, and goes with it.
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
    return wire;
  }
}

/** @throws {ConnectError} where the time is none: clients of Connect expect no other */
function deadlineOf(timeoutMs: number): number {
  try {
    return deadlineIn(timeoutMs, Date.now());
  } catch (error) {
    throw error instanceof CallError ? asConnectError(error) : error;
  }
}

function requestOf(
  method: DescMethod,
  header: ConstructorParameters<typeof Headers>[0],
  contextValues = createContextValues(),
) {
  return {
    service: method.parent,
    requestMethod: 'POST',
    // Only for interceptors that look at it: the channel chooses the server of each call.
    url: `stowage:/${method.parent.typeName}/${method.name}`,
    header: new Headers(header),
    contextValues,
  };
}

/** Sends the requests of a stream as fast as the server takes them. Never rejects. */
async function send(request: StreamRequest, wire: WireCall, silence: Silence): Promise<void> {
  try {
    for await (const message of request.message) {
      if (wire.hasEnded) return;
      const bytes = encode(request.method.input, message);
      silence.sending();
      await wire.write(bytes);
    }
    wire.halfClose();
    silence.sentLast();
  } catch (error) {
    wire.cancel(ConnectError.from(error));
  }
}

async function* receive<O extends DescMessage>(
  output: O,
  wire: WireCall,
  silence: Silence,
): AsyncGenerator<MessageShape<O>> {
  for (;;) {
    const bytes = await silence.during(wire.read());
    if (bytes === undefined) return;
    silence.received();
    const message = decode(output, bytes);
    keepItemBytes(output, message, bytes);
    yield message;
  }
}

function encode(input: DescMessage, message: Message): Uint8Array {
  try {
    return toBinary(input, message);
  } catch (error) {
    const field = illFormedField(reflect(input, message));
    if (field !== undefined) throw illFormed(field);
    throw new ConnectError(`the request cannot be sent: ${String(error)}`, Code.InvalidArgument);
  }
}

/** As the service would say it, which the text never reaches. */
function illFormed(field: string): ConnectError {
  const fieldViolations = [{ field, description: illFormedRule }];
  return new ConnectError(`${field}: ${illFormedRule}`, Code.InvalidArgument, undefined, [
    { desc: BadRequestSchema, value: { fieldViolations } },
  ]);
}

function decode<O extends DescMessage>(output: O, bytes: Uint8Array): MessageShape<O> {
  try {
    return fromBinary(output, bytes);
  } catch (error) {
    throw new ConnectError(`the answer cannot be read: ${String(error)}`, Code.Internal);
  }
}
