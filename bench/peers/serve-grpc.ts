/** Serves one method on a free port and tells it to the bench, for the peers of this folder. */

import grpc from '@grpc/grpc-js';

const identity = (bytes: Buffer): Buffer => bytes;

interface Method {
  readonly path: string;
  readonly responseStream: boolean;
  readonly handler: grpc.UntypedHandleCall;
}

export async function serveGrpc({ path, responseStream, handler }: Method): Promise<void> {
  const server = new grpc.Server();
  const method = {
    path,
    requestStream: false,
    responseStream,
    requestSerialize: identity,
    requestDeserialize: identity,
    responseSerialize: identity,
    responseDeserialize: identity,
  };
  server.addService({ method }, { method: handler });
  const port = await new Promise<number>((resolve, reject) => {
    const credentials = grpc.ServerCredentials.createInsecure();
    server.bindAsync('127.0.0.1:0', credentials, (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });
  process.send?.(port);
}
