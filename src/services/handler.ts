/**
 * What a service is, whatever transport it is reached by: typed handlers for each RPC of a protobuf
 * service, and the context they are called with. Knows no transport and no database.
 */

import type {
  DescMessage,
  DescMethod,
  DescMethodBiDiStreaming,
  DescMethodServerStreaming,
  DescMethodUnary,
  DescService,
  MessageInitShape,
  MessageShape,
} from '@bufbuild/protobuf';
import type { Freshness as ProtoFreshness } from '../../gen/stowage/v1/freshness_pb.js';
import { assertNever } from '../lib/assert.js';
import type { Call, Freshness, ServedBy } from '../postgres/call.js';

/** What the pipeline knows of one call. */
export interface CallContext {
  /** A UUIDv7 of the server's, or the caller's `x-request-id` where that is a UUID. */
  readonly requestId: string;
  /** The call's span, or what its caller sent; undefined: it is in no trace. */
  readonly trace: Call['trace'];
  /** The RPC as `stowage.v1.StorageService/GetObject`. */
  readonly method: string;
  /** Who calls; never empty. */
  readonly principal: string;
  /** When the call must be done, on the clock of `performance.now()`; Infinity for streams. */
  readonly deadlineMs: number;
  /**
   * Aborted when the caller is gone, the deadline has passed or the server drains: its reason is a
   * StowageError CANCELLED, DEADLINE_EXCEEDED or DRAINING. Never aborted by a call's own end.
   */
  readonly signal: AbortSignal;
  /** Where the call came from. */
  readonly origin: Call['origin'];
  /** Every `stowage-token` of the request's metadata, unverified. */
  readonly tokens: readonly string[];
  /** Metadata sent before the first message; setting one later has no effect. */
  readonly responseHeaders: { set(name: string, value: string): void };
}

/** A response that stands as protobuf bytes already; the doors send it as it is. */
export class EncodedMessage {
  readonly bytes: Uint8Array;

  /** Takes bytes over: they must not be changed afterwards. */
  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }
}

/** What a handler may answer: a message, its init shape, or its bytes. */
export type Answer<O extends DescMessage> = MessageInitShape<O> | EncodedMessage;

/** One message in, one out. */
export type UnaryHandler<I extends DescMessage, O extends DescMessage> = (
  request: MessageShape<I>,
  context: CallContext,
) => Promise<Answer<O>> | Answer<O>;

/** One message in, any number out; `return()` of the iterator is called when the caller leaves. */
export type ServerStreamHandler<I extends DescMessage, O extends DescMessage> = (
  request: MessageShape<I>,
  context: CallContext,
) => AsyncIterable<Answer<O>>;

/** Messages both ways; each request has passed validation when it is given. */
export type BidiHandler<I extends DescMessage, O extends DescMessage> = (
  requests: AsyncIterable<MessageShape<I>>,
  context: CallContext,
) => AsyncIterable<Answer<O>>;

/** The handler that a method needs. No service has client streams: such a method cannot be had. */
export type Handler<Method extends DescMethod> =
  Method extends DescMethodUnary<infer I, infer O>
    ? UnaryHandler<I, O>
    : Method extends DescMethodServerStreaming<infer I, infer O>
      ? ServerStreamHandler<I, O>
      : Method extends DescMethodBiDiStreaming<infer I, infer O>
        ? BidiHandler<I, O>
        : never;

/** A handler for each RPC; write `{ ... } satisfies Handlers<typeof XService>`. */
export type Handlers<Service extends DescService> = {
  readonly [Name in keyof Service['method']]: Handler<Service['method'][Name]>;
};

/** One RPC with its handler, told apart by kind; what the pipeline runs. */
export type MethodDefinition =
  | {
      readonly kind: 'unary';
      readonly method: DescMethodUnary;
      readonly handler: UnaryHandler<DescMessage, DescMessage>;
    }
  | {
      readonly kind: 'server_streaming';
      readonly method: DescMethodServerStreaming;
      readonly handler: ServerStreamHandler<DescMessage, DescMessage>;
    }
  | {
      readonly kind: 'bidi_streaming';
      readonly method: DescMethodBiDiStreaming;
      readonly handler: BidiHandler<DescMessage, DescMessage>;
    };

/** A service as both doors take it. */
export interface ServiceDefinition {
  readonly descriptor: DescService;
  readonly methods: readonly MethodDefinition[];
}

/**
 * Binds handlers to their service.
 * @throws Error when the service has a client stream, which no door serves.
 */
export function defineService<Service extends DescService>(
  descriptor: Service,
  handlers: Handlers<Service>,
): ServiceDefinition {
  // The mapped type has proven each handler against its method; what is left here is per kind.
  const byName = handlers as unknown as Readonly<Record<string, never>>;
  return {
    descriptor,
    methods: descriptor.methods.map((method) => bind(method, byName[method.localName])),
  };
}

function bind(method: DescMethod, handler: unknown): MethodDefinition {
  if (typeof handler !== 'function') {
    throw new Error(`${method.parent.typeName}/${method.name} has no handler`);
  }
  if (method.methodKind === 'client_streaming') {
    throw new Error(`${method.parent.typeName}/${method.name} is a client stream`);
  }
  return { kind: method.methodKind, method, handler } as MethodDefinition;
}

/** What a request says of its scope; reads have `freshness`. */
export interface RequestScope {
  readonly project?: string | undefined;
  readonly freshness?: ProtoFreshness | undefined;
}

/**
 * The core's call for a request. An empty project is `default`. The node that served and the token
 * of what it served become the response metadata `stowage-served-by` and `stowage-token`.
 */
export function scopedCall(context: CallContext, scope: RequestScope): Call {
  return {
    requestId: context.requestId,
    trace: context.trace,
    method: context.method,
    project: scope.project || 'default',
    principal: context.principal,
    origin: context.origin,
    deadlineMs: context.deadlineMs,
    signal: context.signal,
    freshness: freshnessOf(scope.freshness),
    tokens: context.tokens,
    onServed(servedBy, token) {
      context.responseHeaders.set('stowage-served-by', formatServedBy(servedBy));
      if (token !== undefined) {
        context.responseHeaders.set('stowage-token', token);
      }
    },
  };
}

/** The freshness that a request asks for; none is the default. */
export function freshnessOf(freshness: ProtoFreshness | undefined): Freshness {
  const demand = freshness?.demand;
  if (demand === undefined) {
    return { kind: 'default' };
  }
  switch (demand.case) {
    case undefined:
      return { kind: 'default' };
    case 'strong':
      return { kind: 'strong' };
    case 'eventual':
      return { kind: 'eventual' };
    case 'atLeast':
      return { kind: 'at_least', token: demand.value };
    case 'maxStaleness':
      return {
        kind: 'max_staleness',
        stalenessMs: Number(demand.value.seconds) * 1000 + demand.value.nanos / 1e6,
      };
    default:
      return assertNever(demand);
  }
}

/** `stowage-served-by`: `node=127.0.0.1:5433; role=standby; lag-ms=12`, or `lag-ms=unknown`. */
export function formatServedBy(servedBy: ServedBy): string {
  const lag = servedBy.lagMs === undefined ? 'unknown' : String(Math.ceil(servedBy.lagMs));
  return `node=${servedBy.node}; role=${servedBy.role}; lag-ms=${lag}`;
}
