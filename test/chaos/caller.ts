/**
 * Calls one server over plain grpc-js: one attempt a call, with the raw answer and the raw error.
 * The product's client would carry tokens and request ids by itself; here each call says its own.
 */

import {
  create,
  type DescMessage,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf';
import { Client, credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import { type CallError, toStowageError } from '../../src/client/index.js';
import { toConnectError } from '../../src/client/wire-metadata.js';

/** How one call goes out. */
export interface CallOptions {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
  /** `stowage-token` of the request's headers. */
  readonly token?: string;
}

/** What a unary call was answered. */
export interface Answer<Message> {
  readonly message: Message;
  /** `stowage-token` of the answer; empty: none. */
  readonly token: string;
  readonly servedBy: string;
}

const CHANNEL_OPTIONS = {
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 500,
  'grpc.use_local_subchannel_pool': 1,
  'grpc.enable_retries': 0,
} as const;

/** The way to one server, which may be away. */
export class Caller {
  readonly #client: Client;

  constructor(address: string) {
    this.#client = new Client(address, credentials.createInsecure(), CHANNEL_OPTIONS);
  }

  /** @throws {CallError} */
  unary<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
    options: CallOptions,
  ): Promise<Answer<MessageShape<O>>> {
    const { signal } = options;
    return new Promise((resolve, reject) => {
      let header = new Metadata();
      const call = this.#client.makeUnaryRequest(
        pathOf(method),
        (message: MessageShape<I>) => Buffer.from(toBinary(method.input, message)),
        (bytes) => fromBinary(method.output, bytes),
        create(method.input, request),
        metadataOf(options),
        { deadline: Date.now() + options.timeoutMs },
        (error, message) => {
          signal?.removeEventListener('abort', cancel);
          if (message === undefined) reject(asCallError(error));
          else
            resolve({ message, token: text(header, 'token'), servedBy: text(header, 'served-by') });
        },
      );
      const cancel = () => call.cancel();
      call.on('metadata', (received: Metadata) => {
        header = received;
      });
      signal?.addEventListener('abort', cancel, { once: true });
    });
  }

  /** The messages as they stand on the wire. Leaving the loop ends the call. @throws {CallError} */
  async *stream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodServerStreaming<I, O>,
    request: MessageInitShape<I>,
    options: CallOptions,
  ): AsyncGenerator<Buffer, void, undefined> {
    const call = this.#client.makeServerStreamRequest(
      pathOf(method),
      (message: MessageShape<I>) => Buffer.from(toBinary(method.input, message)),
      (bytes) => bytes,
      create(method.input, request),
      metadataOf(options),
      { deadline: Date.now() + options.timeoutMs },
    );
    const cancel = () => call.cancel();
    options.signal?.addEventListener('abort', cancel, { once: true });
    try {
      for await (const bytes of call) yield bytes as Buffer;
    } catch (error) {
      throw asCallError(error as ServiceError);
    } finally {
      options.signal?.removeEventListener('abort', cancel);
      call.cancel();
    }
  }

  close(): void {
    this.#client.close();
  }
}

function pathOf({ parent, name }: DescMethodUnary | DescMethodServerStreaming): string {
  return `/${parent.typeName}/${name}`;
}

function metadataOf({ token }: CallOptions): Metadata {
  const metadata = new Metadata();
  if (token !== undefined) metadata.set('stowage-token', token);
  return metadata;
}

function text(metadata: Metadata, name: string): string {
  return String(metadata.get(`stowage-${name}`)[0] ?? '');
}

function asCallError(error: ServiceError | null): CallError {
  if (error === null) return toStowageError(new Error('neither an answer nor an error'));
  return toStowageError(toConnectError(error));
}
