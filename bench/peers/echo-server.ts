/** grpc-js alone: a unary call that answers `ECHO_BYTES` bytes without looking at its request. */

import type grpc from '@grpc/grpc-js';
import { serveGrpc } from './serve-grpc.js';

const answer = Buffer.alloc(Number(process.env['ECHO_BYTES']));

const echo: grpc.handleUnaryCall<Buffer, Buffer> = (_call, callback) => callback(null, answer);

await serveGrpc({
  path: '/bench.Echo/Echo',
  responseStream: false,
  handler: echo as grpc.UntypedHandleCall,
});
