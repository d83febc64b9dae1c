/** Door 1's answer to a method that no service has: typed, counted and logged as any refusal. */

import type { Server, ServerDuplexStream } from '@grpc/grpc-js';
import { assert } from '../lib/assert.js';
import { grpcInbound, grpcStatus } from './grpc-call.js';
import type { Pipeline } from './pipeline.js';
import { methodIn } from './server-call.js';
import { noSuchMethod } from './validation.js';

/**
 * grpc-js refuses an unknown path before any interceptor, without details and without telling us.
 * The table of its handlers is what it asks first, so the table answers for every path; a test of
 * this door guards that it is still asked.
 * @throws Error when grpc-js has no such table.
 */
export function answerUnknownMethods(server: Server, pipeline: Pipeline): void {
  const handlers: unknown = Reflect.get(server, 'handlers');
  assert(handlers instanceof Map, 'grpc-js keeps its handlers in a Map');
  const find = handlers.get.bind(handlers);
  handlers.get = (path: string) => find(path) ?? refusing(path, pipeline);
}

/** A bidi handler, for it begins with the headers: whatever is sent need not be read. */
function refusing(path: string, pipeline: Pipeline) {
  const same = (bytes: Buffer) => bytes;
  const method = methodIn(path);
  const func = (call: ServerDuplexStream<Buffer, Buffer>) => {
    const serverCall = pipeline.open(grpcInbound(call, method, 'unary'));
    const error = pipeline.refuse(serverCall, noSuchMethod(method));
    call.emit('error', grpcStatus(error, serverCall));
  };
  return { func, serialize: same, deserialize: same, type: 'bidi', path };
}
