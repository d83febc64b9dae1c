/** A gRPC client that neither encodes nor decodes: the server is measured, not a client. */

import { once } from 'node:events';
import grpc from '@grpc/grpc-js';

const identity = (bytes: Buffer): Buffer => bytes;

/** Calls by path, with messages as bytes. */
export class GrpcCaller {
  readonly #client: grpc.Client;

  constructor(address: string) {
    this.#client = new grpc.Client(address, grpc.credentials.createInsecure(), {
      'grpc.max_receive_message_length': -1,
      // A channel of its own, so that no two subjects share a connection.
      'grpc.use_local_subchannel_pool': 1,
    });
  }

  unary(path: string, request: Buffer): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(path, identity, identity, request, (error, response) => {
        if (response === undefined) reject(error ?? new Error(`${path} gave no answer`));
        else resolve(response);
      });
    });
  }

  serverStream(path: string, request: Buffer): grpc.ClientReadableStream<Buffer> {
    return this.#client.makeServerStreamRequest(path, identity, identity, request);
  }

  bidi(path: string): grpc.ClientDuplexStream<Buffer, Buffer> {
    return this.#client.makeBidiStreamRequest(path, identity, identity);
  }

  async close(): Promise<void> {
    this.#client.close();
  }
}

/** Opens a server stream, takes its first message, cancels it: milliseconds to that message. */
export async function firstMessageMs(
  caller: GrpcCaller,
  path: string,
  request: Buffer,
): Promise<number> {
  const begun = performance.now();
  const stream = caller.serverStream(path, request);
  await once(stream, 'data');
  const ms = performance.now() - begun;
  // A cancelled call ends with the error that it was cancelled.
  const closed = new Promise((resolve) => stream.once('error', resolve).once('end', resolve));
  stream.cancel();
  await closed;
  return ms;
}
