/** Door 1's part in deadlines: none that no timer can wait for, and ours before grpc-js's own. */

import { EventEmitter } from 'node:events';
import type { IncomingHttpHeaders } from 'node:http2';
import type { Server } from '@grpc/grpc-js';
import { assert } from '../lib/assert.js';
import { shortenTimeouts, slackenGrpcTimeout } from './timeouts.js';

/**
 * grpc-js reads `grpc-timeout` before anything of ours is asked, so its headers are changed before:
 * it is given the same object as every listener of its HTTP/2 servers, and the first listener here
 * is ours. A test of this door guards that it still is. To be called once the server is bound.
 * @throws Error when grpc-js has no such servers.
 */
export function shortenGrpcTimeouts(server: Server): void {
  const http2Servers: unknown = Reflect.get(server, 'http2Servers');
  assert(http2Servers instanceof Map, 'grpc-js keeps its HTTP/2 servers in a Map');
  assert(http2Servers.size > 0, 'a server that is bound has an HTTP/2 server');
  for (const http2Server of http2Servers.keys()) {
    assert(http2Server instanceof EventEmitter, 'its keys are the servers');
    http2Server.prependListener('stream', (_stream: unknown, headers: IncomingHttpHeaders) => {
      shortenTimeouts(headers);
      slackenGrpcTimeout(headers);
    });
  }
}
