/**
 * Door 2: the services as Connect (JSON and protobuf), gRPC-Web and gRPC over one port for HTTP/1.1
 * and HTTP/2, and pages beside them.
 */

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import { Code, ConnectError } from '@connectrpc/connect';
import type { UniversalHandler, UniversalServerResponse } from '@connectrpc/connect/protocol';
import { errorFromJsonBytes } from '@connectrpc/connect/protocol-connect';
import {
  universalRequestFromNodeRequest,
  universalResponseToNodeResponse,
} from '@connectrpc/connect-node';
import type { Address, ServerSettings } from '../config.js';
import { StowageError } from '../errors.js';
import type { Call } from '../postgres/call.js';
import type { ServiceDefinition } from '../services/handler.js';
import { requestFault, toConnectError } from './connect-call.js';
import { judge, preflightHeaders } from './connect-guard.js';
import {
  type Codec,
  type ConnectRoute,
  connectRoutes,
  contextValuesOf,
  type RequestState,
} from './connect-handlers.js';
import { writeError } from './connect-refusal.js';
import { type HttpLimits, type HttpListener, listenHttp } from './http-listener.js';
import type { PageAnswer, PageServer } from './pages.js';
import type { Pipeline } from './pipeline.js';
import { type InboundCall, methodIn, originOf } from './server-call.js';
import type { ClosableDoor } from './shutdown.js';
import { toStowageError } from './status.js';
import { shortenTimeouts } from './timeouts.js';
import { malformed, noSuchMethod } from './validation.js';

type Request = IncomingMessage | Http2ServerRequest;
type Response = ServerResponse | Http2ServerResponse;

interface Exchange {
  readonly request: Request;
  readonly response: Response;
  readonly origin: Call['origin'];
}

/** What the door needs of the settings. */
export type ConnectDoorSettings = Pick<
  ServerSettings,
  'httpAddress' | 'allowedHosts' | 'allowedOrigins'
>;

/** Bidi RPCs need HTTP/2; over HTTP/1.1 these do the same by one call a message. */
const unaryTwins: Readonly<Record<string, string>> = {
  '/stowage.v1.StorageService/IngestObjects': 'stowage.v1.StorageService/BatchRecordObjects',
};

/** How long a reader may take to read a page. */
const pageTimeoutMs = 10_000;

/** A door that listens. */
export interface ConnectDoor extends ClosableDoor {
  readonly address: Address;
}

/** Opens the door. @throws Error with the system's code when the address cannot be had */
export async function openConnectDoor(
  settings: ConnectDoorSettings,
  services: readonly ServiceDefinition[],
  pipeline: Pipeline,
  pages: PageServer,
  limits?: HttpLimits,
): Promise<ConnectDoor> {
  const door = new Door(settings, services, pipeline, pages, limits?.requestTimeoutMs);
  const handler = (request: Request, response: Response) => {
    void door.serve(request, response);
  };
  const listener: HttpListener = await listenHttp(settings.httpAddress, handler, limits);
  return {
    address: listener.address,
    stop: () => {
      door.isStopped = true;
      listener.stop();
    },
    close: (flushMs) => listener.close(flushMs),
  };
}

class Door {
  isStopped = false;
  readonly #settings: ConnectDoorSettings;
  readonly #pipeline: Pipeline;
  readonly #pages: PageServer;
  readonly #routes: ReadonlyMap<string, ConnectRoute>;
  readonly #bodyTimeoutMs: number;

  constructor(
    settings: ConnectDoorSettings,
    services: readonly ServiceDefinition[],
    pipeline: Pipeline,
    pages: PageServer,
    bodyTimeoutMs = 60_000,
  ) {
    this.#bodyTimeoutMs = bodyTimeoutMs;
    this.#settings = settings;
    this.#pipeline = pipeline;
    this.#pages = pages;
    this.#routes = connectRoutes(
      services.flatMap(({ methods }) => methods),
      pipeline,
    );
  }

  /** Answers one request. Never rejects: what goes wrong behind the headers ends the transport. */
  async serve(request: Request, response: Response): Promise<void> {
    let exchange: Exchange | undefined;
    try {
      // Taken at once: a request that is destroyed has forgotten its socket.
      const origin = originOf(request.socket.remoteAddress, headerOf(request, 'user-agent'));
      exchange = { request, response, origin };
      // What a refused caller still sends is read and dropped, or its connection would stand still.
      response.once('finish', () => request.resume());
      await this.#serve(exchange);
    } catch (thrown) {
      if (exchange === undefined || response.headersSent) {
        response.destroy();
      } else {
        this.#refuse(exchange, requestFault(thrown));
      }
    }
  }

  async #serve(exchange: Exchange): Promise<void> {
    const { request, response } = exchange;
    if (this.isStopped && request.httpVersionMajor === 1) {
      response.setHeader('connection', 'close');
    }
    const verdict = judge(this.#settings, {
      host: hostOf(request),
      origin: headerOf(request, 'origin'),
      localAddress: request.socket.localAddress,
    });
    if (verdict.kind !== 'allowed') {
      const error = new StowageError('PERMISSION_DENIED', { message: verdict.message });
      this.#refuse(exchange, error, verdict.kind === 'foreign_host' ? 421 : 403);
      return;
    }
    for (const [name, value] of Object.entries(verdict.corsHeaders)) {
      response.setHeader(name, value);
    }
    if (request.method === 'OPTIONS') {
      response.writeHead(204, { ...preflightHeaders }).end();
      return;
    }
    const page = this.#pages({
      path: pathOf(request),
      method: request.method ?? '',
      authorization: headerOf(request, 'authorization'),
      onGone: (listener) => onGone(exchange, listener),
    });
    if (page === undefined) {
      await this.#call(exchange);
    } else {
      await this.#show(exchange, page);
    }
  }

  /** A page that cannot be made is a defect, and told as one. */
  async #show(exchange: Exchange, page: PageAnswer | Promise<PageAnswer>): Promise<void> {
    try {
      writePage(exchange, await page);
    } catch (thrown) {
      this.#refuse(exchange, toStowageError(thrown));
    }
  }

  async #call(exchange: Exchange): Promise<void> {
    const { request, response, origin } = exchange;
    const path = pathOf(request);
    const route = this.#routes.get(path);
    if (route === undefined) {
      this.#refuse(exchange, noSuchMethod(methodIn(path)), 404);
      return;
    }
    if (route.definition.kind === 'bidi_streaming' && request.httpVersionMajor === 1) {
      const message = `${path.slice(1)} streams both ways and needs HTTP/2${twinAdvice(path)}`;
      this.#refuse(exchange, new StowageError('UNIMPLEMENTED', { message }));
      return;
    }
    const handler = pickHandler(route, request);
    if (typeof handler === 'number') {
      if (handler === 405) {
        response.setHeader('allow', allowedMethods(route).join(', '));
      }
      this.#refuse(exchange, malformed(adviceOf(route, request, handler)), handler);
      return;
    }
    if (route.definition.kind !== 'bidi_streaming') {
      limitBody(exchange, this.#bodyTimeoutMs);
    }
    shortenTimeouts(request.headers);
    const state: RequestState = { origin, isOpen: false };
    const answer = await handler({
      ...universalRequestFromNodeRequest(request, response, undefined, contextValuesOf(state)),
      body: bodyOf(request),
    });
    if (state.isOpen || answer.status === 200) {
      await universalResponseToNodeResponse(answer, response);
    } else {
      this.#refuse(exchange, await connectFault(answer));
    }
  }

  /** Answers with an error that arose before a handler; the pipeline counts it and names it. */
  #refuse(exchange: Exchange, error: StowageError, httpStatus?: number): void {
    const { request, response } = exchange;
    const call = this.#pipeline.open(refusedInbound(exchange));
    call.isKnown = this.#routes.has(pathOf(request));
    const refusal = this.#pipeline.refuse(call, error);
    const status = refusal === error ? httpStatus : undefined;
    writeError(request, response, toConnectError(refusal, call), status);
  }
}

function pickHandler(route: ConnectRoute, request: Request): UniversalHandler | 405 | 415 {
  const { method = '' } = request;
  const contentType = headerOf(request, 'content-type') ?? '';
  const handlers = route[codecOf(request, contentType)];
  const byMethod = handlers.filter((each) => each.allowedMethods.includes(method));
  const [only] = byMethod;
  if (only === undefined || !allowedMethods(route).includes(method)) {
    return 405;
  }
  if (method === 'GET') {
    // It has no content type; its query says the same.
    return ['json', 'proto'].includes(encodingOf(request) ?? '') ? only : 415;
  }
  return byMethod.find((each) => each.supportedContentType(contentType)) ?? 415;
}

/** Connect names GET for a stream that reads, too, but refuses it then. */
function allowedMethods({ definition, json }: ConnectRoute): string[] {
  return definition.kind === 'unary'
    ? [...new Set(json.flatMap((handler) => handler.allowedMethods))]
    : ['POST'];
}

/** What to do instead of a request that no handler takes. */
function adviceOf({ definition }: ConnectRoute, request: Request, status: 405 | 415): string {
  const isUnary = definition.kind === 'unary';
  const json = isUnary ? 'application/json' : 'application/connect+json';
  if (status === 405) {
    return `${request.method} is not how this method is called; POST ${json}`;
  }
  if (request.method === 'GET') {
    return 'POST application/json, or GET with the request in ?encoding=json&message=';
  }
  const proto = isUnary ? 'application/proto' : 'application/connect+proto';
  return `${isUnary ? 'this method' : 'a stream'} takes ${json}, ${proto}, gRPC or gRPC-Web`;
}

/** Of what is neither, either set of handlers says so. */
function codecOf(request: Request, contentType: string): Codec {
  const isJson =
    request.method === 'GET' ? encodingOf(request) === 'json' : /[/+]json\b/i.test(contentType);
  return isJson ? 'json' : 'binary';
}

/** How a Connect GET says that its message is written. */
function encodingOf(request: Request): string | null {
  return new URLSearchParams(request.url?.replace(/^[^?]*/, '')).get('encoding');
}

/** HTTP/2 has no timeout of its own for a request that is never sent to its end. */
function limitBody({ request, response }: Exchange, timeoutMs: number): void {
  const timer = setTimeout(() => {
    request.destroy(new ConnectError('the request was not sent in time', Code.DeadlineExceeded));
  }, timeoutMs);
  const clear = () => clearTimeout(timer);
  request.once('end', clear);
  request.once('close', clear);
  // Of a body that was refused unread HTTP/1.1 tells no end: the timer would hold up a shutdown.
  response.once('close', clear);
}

/** The bytes of a request; where they end early, a ConnectError, which Connect passes on. */
async function* bodyOf(request: Request): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    // The standard iterator would destroy the connection when a message too large is left unread.
    yield* request.iterator({ destroyOnReturn: false });
  } catch (thrown) {
    throw thrown instanceof ConnectError
      ? thrown
      : new ConnectError('the request ended early', Code.Canceled, undefined, undefined, thrown);
  }
}

/** What Connect found wrong with a unary request before our code was reached. */
async function connectFault(answer: UniversalServerResponse): Promise<StowageError> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of answer.body ?? []) {
    chunks.push(chunk);
  }
  const fallback = new ConnectError(`HTTP ${answer.status}`);
  try {
    return requestFault(errorFromJsonBytes(Buffer.concat(chunks), undefined, fallback));
  } catch {
    return malformed(fallback.rawMessage);
  }
}

function twinAdvice(path: string): string {
  const twin = unaryTwins[path];
  return twin === undefined ? '' : `; over HTTP/1.1 call ${twin}`;
}

function refusedInbound({ request, response, origin }: Exchange): InboundCall {
  return {
    door: 'connect',
    method: methodIn(pathOf(request)),
    kind: 'unary',
    origin,
    headers: (name) => {
      const value = headerOf(request, name);
      return value === undefined ? [] : [value];
    },
    timeoutMs: undefined,
    setHeader: (name, value) => {
      response.setHeader(name, value);
    },
  };
}

/**
 * Once, by whichever end is told of: of a connection that breaks, answers which stand in line
 * behind another one's in HTTP/1.1 tell no end, and only their requests do.
 */
function onGone({ request, response }: Exchange, listener: () => void): void {
  const gone = () => {
    request.off('close', gone);
    response.off('close', gone);
    listener();
  };
  request.once('close', gone);
  response.once('close', gone);
}

function hostOf(request: Request): string | undefined {
  return 'authority' in request ? request.authority : request.headers.host;
}

function headerOf(request: Request, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value.join(', ') : value;
}

function pathOf(request: Request): string {
  return request.url?.split('?', 1)[0] ?? '';
}

function writePage(exchange: Exchange, { status, contentType, text, headers }: PageAnswer): void {
  const { response } = exchange;
  const timer = setTimeout(() => response.destroy(), pageTimeoutMs);
  onGone(exchange, () => clearTimeout(timer));
  const standard = { 'content-type': contentType, 'cache-control': 'no-store' };
  response.writeHead(status, { ...standard, ...headers });
  response.end(text);
}
