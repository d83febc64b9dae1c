/**
 * The way from a program to a Stowage server: one HTTP/2 connection that speaks gRPC, with
 * keepalive and a deadline on every unary call. It does not retry: who calls knows what may be
 * repeated.
 */

import type { Interceptor, Transport } from '@connectrpc/connect';
import { createGrpcTransport, Http2SessionManager } from '@connectrpc/connect-node';
import { keepEveryCharacter } from '../wire/utf8.js';

/** Where to connect and how. */
export interface TransportOptions {
  /**
   * The server: `host`, `host:port`, `[v6]:port`, or a URL with `http:` (plain text) or `https:`.
   * The port is 50051 where none is given.
   */
  readonly address: string;
  /** Sent as `authorization: Bearer <token>` with every call; left out or empty: none is sent. */
  readonly token?: string | undefined;
  /** Deadline of a unary call that names none, in milliseconds; default 10,000; streams: none. */
  readonly timeoutMs?: number;
  /** Milliseconds of silence on a busy connection before it is probed; default 10,000. */
  readonly keepaliveIntervalMs?: number;
  /** Milliseconds a probe may stay unanswered before the connection is given up; default 5,000. */
  readonly keepaliveTimeoutMs?: number;
}

/** A transport for `createClient` that owns its connection. */
export interface StowageTransport extends Transport {
  /** Ends the connection and every call on it. A call after it connects anew. */
  close(): void;
}

const portDefault = '50051';

keepEveryCharacter();

/**
 * Completes an address to the URL of a server.
 *
 * @throws {TypeError} where the address is none, or has a path, a query or credentials
 */
export function parseAddress(address: string): URL {
  const isUrl = /^https?:\/\//.test(address);
  const text = isUrl ? address : `http://${address}`;
  if (!URL.canParse(text)) throw new TypeError(`not a server address: ${address}`);
  const url = new URL(text);
  if (url.pathname !== '/' || url.search !== '' || url.hash !== '' || url.username !== '') {
    throw new TypeError(`a server address has only a host and a port: ${address}`);
  }
  // A URL forgets a port that is its scheme's own, so `:80` must be looked for in the text.
  if (url.port === '' && !/:\d+\/?$/.test(text)) url.port = portDefault;
  return url;
}

function bearer(token: string): Interceptor {
  return (next) => (request) => {
    request.header.set('authorization', `Bearer ${token}`);
    return next(request);
  };
}

/**
 * Makes a transport. Nothing is connected before the first call; a lost connection is made again
 * by the next call.
 *
 * @throws {TypeError} where the address is none
 */
export function createTransport(options: TransportOptions): StowageTransport {
  const { timeoutMs = 10_000, token } = options;
  const url = parseAddress(options.address);
  const connection = new Http2SessionManager(url, {
    pingIntervalMs: options.keepaliveIntervalMs ?? 10_000,
    pingTimeoutMs: options.keepaliveTimeoutMs ?? 5_000,
  });
  const inner = createGrpcTransport({
    baseUrl: url.origin,
    sessionManager: connection,
    // The fast door never compresses: asking for it only costs header bytes.
    acceptCompression: [],
    interceptors: token === undefined || token === '' ? [] : [bearer(token)],
  });
  return {
    // Connect's own default deadline would end streams too, hence it is set here.
    unary: (method, signal, callTimeoutMs, ...rest) =>
      inner.unary(method, signal, callTimeoutMs ?? timeoutMs, ...rest),
    stream: inner.stream,
    close: () => connection.abort(),
  };
}
