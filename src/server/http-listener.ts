/**
 * One port for HTTP/1.1 and HTTP/2 without TLS: the first bytes of a connection tell which. Bounds
 * what a connection may cost before and between its requests.
 */

import http from 'node:http';
import http2 from 'node:http2';
import net from 'node:net';
import type { Address } from '../config.js';

/** Serves requests of both versions. */
export type HttpHandler = (
  request: http.IncomingMessage | http2.Http2ServerRequest,
  response: http.ServerResponse | http2.Http2ServerResponse,
) => void;

/** A port that is listened on. */
export interface HttpListener {
  readonly address: Address;
  /**
   * Tells clients to go elsewhere once their requests are answered. Goes on accepting: whoever asks
   * whether the server is ready must be told that it is not.
   */
  stop(): void;
  /** Accepts no more, lets answers leave for at most `flushMs` (1000), ends all, then resolves. */
  close(flushMs?: number): Promise<void>;
}

/** Bounds of a connection; every field has a default. */
export interface HttpLimits {
  /** How long the first bytes, and each HTTP/1.1 request's headers, may take; default 10000. */
  readonly headersTimeoutMs?: number;
  /** How long a request's body, in HTTP/1.1 with its headers, may take; default 60000. */
  readonly requestTimeoutMs?: number;
  /** How long a connection may stand without a request; default 65000. */
  readonly idleTimeoutMs?: number;
}

const connectionsMax = 10_000;
/** Streams at once a connection of HTTP/2; past it a client waits by itself. */
const streamsMax = 1000;
/** What every HTTP/2 connection begins with; no method of HTTP/1.1 begins so. */
const preface = Buffer.from('PRI');

/** Listens. @throws Error with the system's code when the address cannot be had */
export async function listenHttp(
  { host, port }: Address,
  handler: HttpHandler,
  limits: HttpLimits = {},
): Promise<HttpListener> {
  const { headersTimeoutMs = 10_000, requestTimeoutMs = 60_000, idleTimeoutMs = 65_000 } = limits;
  const sockets = new Set<net.Socket>();
  const http1 = http1Server(handler, { headersTimeoutMs, requestTimeoutMs, idleTimeoutMs });
  const sessions = new Set<http2.ServerHttp2Session>();
  const h2 = http2Server(handler, sessions, idleTimeoutMs);
  const server = net.createServer({ noDelay: true, keepAlive: true }, (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    // A reset before either protocol has taken the socket concerns nobody.
    socket.on('error', () => undefined);
    sniff(socket, headersTimeoutMs, (isHttp2) => {
      (isHttp2 ? h2 : http1).emit('connection', socket);
    });
  });
  server.maxConnections = connectionsMax;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  // It does not listen itself, but its checks of timeouts begin with this event.
  http1.emit('listening');
  let closed: Promise<void> | undefined;
  const stop = () => {
    http1.closeIdleConnections();
    for (const session of sessions) {
      session.close();
    }
  };
  return {
    address: { host, port: (server.address() as net.AddressInfo).port },
    stop,
    close: async (flushMs = 1000) => {
      closed ??= new Promise<void>((resolve) => server.close(() => resolve()));
      stop();
      const timer = setTimeout(() => {
        for (const socket of sockets) {
          socket.destroy();
        }
      }, flushMs);
      await closed;
      clearTimeout(timer);
      // Ends its checks of timeouts; it has no connection left.
      http1.close();
    },
  };
}

/** Waits for as many bytes as tell the protocol, gives them back, and says which it is. */
function sniff(socket: net.Socket, timeoutMs: number, decide: (isHttp2: boolean) => void): void {
  let head: Buffer = Buffer.alloc(0);
  const timer = setTimeout(() => socket.destroy(), timeoutMs);
  const onData = (bytes: Buffer) => {
    head = Buffer.concat([head, bytes]);
    const known = head.subarray(0, preface.length);
    const isPreface = known.equals(preface.subarray(0, known.length));
    if (isPreface && known.length < preface.length) {
      return;
    }
    clearTimeout(timer);
    socket.off('data', onData);
    socket.pause();
    socket.unshift(head);
    decide(isPreface);
    // In the next tick, when the protocol has its listeners.
    process.nextTick(() => socket.resume());
  };
  socket.on('data', onData);
  socket.once('close', () => clearTimeout(timer));
}

function http1Server(handler: HttpHandler, limits: Required<HttpLimits>): http.Server {
  const server = http.createServer(
    {
      headersTimeout: limits.headersTimeoutMs,
      requestTimeout: limits.requestTimeoutMs,
      keepAliveTimeout: limits.idleTimeoutMs,
      connectionsCheckingInterval: Math.min(1000, limits.headersTimeoutMs),
    },
    handler,
  );
  server.on('clientError', (_error, socket) => {
    if (socket.writable) {
      socket.end('HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n');
    } else {
      socket.destroy();
    }
  });
  return server;
}

function http2Server(
  handler: HttpHandler,
  sessions: Set<http2.ServerHttp2Session>,
  idleTimeoutMs: number,
): http2.Http2Server {
  const server = http2.createServer(
    { settings: { maxConcurrentStreams: streamsMax, initialWindowSize: 1024 * 1024 } },
    handler,
  );
  server.on('session', (session) => {
    let streams = 0;
    sessions.add(session);
    session.once('close', () => sessions.delete(session));
    // A session that breaks ends its streams, which end their calls; nobody else asks.
    session.on('error', () => undefined);
    session.on('stream', (stream) => {
      streams += 1;
      stream.once('close', () => {
        streams -= 1;
      });
    });
    session.setTimeout(idleTimeoutMs, () => {
      if (streams === 0) {
        session.close();
      }
    });
  });
  return server;
}
