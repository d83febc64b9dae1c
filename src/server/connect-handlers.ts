/**
 * The RPCs of door 2: each method in Connect, gRPC-Web and gRPC, all of them through the pipeline.
 */

import { type Message, toBinary } from '@bufbuild/protobuf';
import { type Empty, EmptySchema } from '@bufbuild/protobuf/wkt';
import {
  type ContextValues,
  createContextKey,
  createContextValues,
  type HandlerContext,
} from '@connectrpc/connect';
import type { UniversalHandler } from '@connectrpc/connect/protocol';
import { createHandlerFactory as connectFactory } from '@connectrpc/connect/protocol-connect';
import { createHandlerFactory as grpcFactory } from '@connectrpc/connect/protocol-grpc';
import { createHandlerFactory as grpcWebFactory } from '@connectrpc/connect/protocol-grpc-web';
import { compressionBrotli, compressionGzip } from '@connectrpc/connect-node';
import type { Call } from '../postgres/call.js';
import type { MethodDefinition } from '../services/handler.js';
import { decodeAnswer } from './answers.js';
import { connectInbound, requestFault, toConnectError } from './connect-call.js';
import { StrictJsonDecoder } from './connect-json.js';
import type { Input, Pipeline } from './pipeline.js';
import type { ServerCall } from './server-call.js';
import { toStowageError } from './status.js';
import { malformed, messageBytesMax } from './validation.js';

type MethodSpec = Parameters<ReturnType<typeof grpcFactory>>[0];

/** What a request brings along for its handler. */
export interface RequestState {
  readonly origin: Call['origin'];
  /** Whether the call has reached the pipeline, which then answers for its errors. */
  isOpen: boolean;
}

const requestState = createContextKey<RequestState | undefined>(undefined);

/** The values with which a request is handed to its handler. */
export function contextValuesOf(state: RequestState): ContextValues {
  return createContextValues().set(requestState, state);
}

/** How messages are written. */
export type Codec = 'json' | 'binary';

/** One RPC as door 2 serves it: by codec, a handler for each protocol, which knows its types. */
export interface ConnectRoute extends Readonly<Record<Codec, readonly UniversalHandler[]>> {
  readonly definition: MethodDefinition;
}

/**
 * Routes by path. Streams, and unary calls of the gRPC protocols, are given to Connect as bidi
 * streams, which look the same on the wire: their requests are then parsed while our code reads
 * them, and what is malformed becomes our error and not Connect's own.
 */
export function connectRoutes(
  definitions: Iterable<MethodDefinition>,
  pipeline: Pipeline,
): ReadonlyMap<string, ConnectRoute> {
  const options = {
    acceptCompression: [compressionGzip, compressionBrotli],
    readMaxBytes: messageBytesMax,
    jsonOptions: { ignoreUnknownFields: false, textDecoder: new StrictJsonDecoder() },
    binaryOptions: { recursionLimit: 200 },
  };
  const connect = connectFactory(options);
  const grpc = grpcFactory(options);
  const grpcWeb = grpcWebFactory(options);
  const routes = new Map<string, ConnectRoute>();
  const handlers = (definition: MethodDefinition, codec: Codec) => {
    const stream = streamSpec(definition, codec, pipeline);
    const unary = definition.kind === 'unary' ? unarySpec(definition, codec, pipeline) : stream;
    return [connect(unary), grpcWeb(stream), grpc(stream)];
  };
  for (const definition of definitions) {
    routes.set(`/${nameOf(definition)}`, {
      definition,
      json: handlers(definition, 'json'),
      binary: handlers(definition, 'binary'),
    });
  }
  return routes;
}

/**
 * The method as Connect is to read its requests. Bytes it takes for a message without fields, which
 * keeps them as they came: they are decoded in the pipeline, as those of door 1 are.
 */
function methodFor({ method }: MethodDefinition, codec: Codec): MethodDefinition['method'] {
  return codec === 'json' ? method : { ...method, input: EmptySchema };
}

/** What the pipeline takes of a message that Connect has read. */
function inputOf(message: Message, codec: Codec): Input {
  return codec === 'json' ? message : toBinary(EmptySchema, message as Empty);
}

function nameOf({ method }: MethodDefinition): string {
  return `${method.parent.typeName}/${method.name}`;
}

function open(
  definition: MethodDefinition,
  pipeline: Pipeline,
  context: HandlerContext,
): ServerCall {
  const state = context.values.get(requestState);
  if (state !== undefined) {
    state.isOpen = true;
  }
  const origin = state?.origin ?? { address: undefined, userAgent: undefined };
  const call = pipeline.open(connectInbound(context, nameOf(definition), definition.kind, origin));
  // From here on, for one without a request never gets as far as its handler.
  call.isKnown = true;
  // Also aborted at the end of every call; an ended one takes no notice.
  context.signal.addEventListener('abort', () => {
    call.cancel();
  });
  if (context.signal.aborted) {
    call.cancel();
  }
  return call;
}

function unarySpec(
  definition: Extract<MethodDefinition, { kind: 'unary' }>,
  codec: Codec,
  pipeline: Pipeline,
): MethodSpec {
  const spec = {
    kind: 'unary',
    method: methodFor(definition, codec),
    impl: async (request: Message, context: HandlerContext) => {
      const call = open(definition, pipeline, context);
      try {
        return await pipeline.unary(call, definition, inputOf(request, codec), decodeAnswer);
      } catch (error) {
        throw toConnectError(toStowageError(error), call);
      }
    },
  };
  // Connect asks no more of a method than its name and its types.
  return spec as MethodSpec;
}

function streamSpec(definition: MethodDefinition, codec: Codec, pipeline: Pipeline): MethodSpec {
  const spec = {
    kind: 'bidi_streaming',
    method: methodFor(definition, codec),
    async *impl(requests: AsyncIterable<Message>, context: HandlerContext) {
      const call = open(definition, pipeline, context);
      try {
        yield* answers(definition, pipeline, call, typed(requests, codec));
      } catch (error) {
        throw toConnectError(toStowageError(error), call);
      }
    },
  };
  // Connect takes the wire's form from `kind`, and path and types from `method`.
  return spec as MethodSpec;
}

async function* answers(
  definition: MethodDefinition,
  pipeline: Pipeline,
  call: ServerCall,
  requests: AsyncIterable<Input>,
): AsyncGenerator<Message, void, undefined> {
  if (definition.kind === 'bidi_streaming') {
    yield* pipeline.bidi(call, definition, requests, decodeAnswer);
    return;
  }
  const request = await single(requests, pipeline, call);
  if (definition.kind === 'unary') {
    yield await pipeline.unary(call, definition, request, decodeAnswer);
  } else {
    yield* pipeline.stream(call, definition, request, decodeAnswer);
  }
}

/** The one request of a call. @throws StowageError INVALID_REQUEST, for none or a second too */
async function single(
  requests: AsyncIterable<Input>,
  pipeline: Pipeline,
  call: ServerCall,
): Promise<Input> {
  try {
    let request: Input | undefined;
    for await (const each of requests) {
      if (request !== undefined) {
        throw malformed('there must be one request only');
      }
      request = each;
    }
    if (request === undefined) {
      throw malformed('there is no request');
    }
    return request;
  } catch (thrown) {
    throw pipeline.refuse(call, thrown);
  }
}

/** Requests whose faults are our errors. */
async function* typed(
  requests: AsyncIterable<Message>,
  codec: Codec,
): AsyncGenerator<Input, void, undefined> {
  try {
    for await (const request of requests) {
      yield inputOf(request, codec);
    }
  } catch (thrown) {
    throw requestFault(thrown);
  }
}
