/**
 * Door 1: the services over @grpc/grpc-js. Bytes in, bytes out: messages are made in the pipeline,
 * so that malformed ones are typed errors and encoded answers pass untouched.
 */

import type { EventEmitter } from 'node:events';
import {
  type MethodDefinition as GrpcMethod,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
  type UntypedHandleCall,
} from '@grpc/grpc-js';
import type { Address, ServerSettings } from '../config.js';
import type { StowageError } from '../errors.js';
import { assertNever } from '../lib/assert.js';
import { settlesWithin } from '../lib/interruption.js';
import type { MethodDefinition, ServiceDefinition } from '../services/handler.js';
import { encodeAnswer } from './answers.js';
import { asBuffer, type GrpcCall, type GrpcInbound, grpcInbound, grpcStatus } from './grpc-call.js';
import { boundedWriter, readRequests } from './grpc-streams.js';
import { shortenGrpcTimeouts } from './grpc-timeouts.js';
import { answerUnknownMethods } from './grpc-unknown.js';
import type { Pipeline } from './pipeline.js';
import type { ServerCall } from './server-call.js';
import type { ClosableDoor } from './shutdown.js';
import { toStowageError } from './status.js';
import { messageBytesMax } from './validation.js';

/**
 * What grpc-js itself takes: more than the limit, so that a message somewhat over it is refused by
 * the pipeline with details; past this the transport refuses it, without. Also bounds the memory of
 * one message on its way in.
 */
const transportBytesMax = 2 * messageBytesMax;

/** Streams at once a connection, as many as at door 2. */
const streamsMax = 1000;

const keepaliveTimeMs = 30_000;
const keepaliveTimeoutMs = 10_000;

/** How long the last statuses may take to leave before connections are cut. */
const flushDefaultMs = 1000;

/** A door that listens. */
export interface GrpcDoor extends ClosableDoor {
  readonly address: Address;
}

/** What the door needs of the settings. */
export type GrpcDoorSettings = Pick<ServerSettings, 'grpcAddress' | 'connectionAgeMaxMs'>;

/** Opens the door. @throws Error when the address cannot be had, with the system's code in it */
export async function openGrpcDoor(
  settings: GrpcDoorSettings,
  services: readonly ServiceDefinition[],
  pipeline: Pipeline,
): Promise<GrpcDoor> {
  const server = new Server({
    'grpc.max_receive_message_length': transportBytesMax,
    // Ours are bounded by who makes them; a limit here would end a stream without details.
    'grpc.max_send_message_length': -1,
    'grpc.max_connection_age_ms': settings.connectionAgeMaxMs,
    'grpc.keepalive_time_ms': keepaliveTimeMs,
    'grpc.keepalive_timeout_ms': keepaliveTimeoutMs,
    // Past it a client waits by itself; without it one connection may hold any number half-sent.
    'grpc.max_concurrent_streams': streamsMax,
    'grpc.enable_channelz': 0,
  });
  for (const { methods } of services) {
    server.addService(
      Object.fromEntries(methods.map((each) => [each.method.localName, wireDefinition(each)])),
      Object.fromEntries(methods.map((each) => [each.method.localName, handle(each, pipeline)])),
    );
  }
  answerUnknownMethods(server, pipeline);
  const { host } = settings.grpcAddress;
  const port = await bind(server, settings.grpcAddress);
  shortenGrpcTimeouts(server);
  let closed: Promise<void> | undefined;
  return {
    address: { host, port },
    stop: () => {
      closed ??= shutdown(server);
    },
    close: async (flushMs = flushDefaultMs) => {
      closed ??= shutdown(server);
      // Not awaited further: grpc-js never calls back when a session is destroyed by its client in
      // the moment in which it is asked to close.
      if (!(await settlesWithin(closed, flushMs))) server.forceShutdown();
    },
  };
}

/** Resolves when the last connection has ended. */
function shutdown(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.tryShutdown(() => resolve());
  });
}

function bind(server: Server, { host, port }: Address): Promise<number> {
  const target = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  return new Promise((resolve, reject) => {
    server.bindAsync(target, ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) {
        resolve(bound);
      } else {
        reject(error);
      }
    });
  });
}

function wireDefinition({ kind, method }: MethodDefinition): GrpcMethod<Buffer, Buffer> {
  const same = (bytes: Buffer) => bytes;
  return {
    path: `/${method.parent.typeName}/${method.name}`,
    requestStream: kind === 'bidi_streaming',
    responseStream: kind !== 'unary',
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  };
}

function handle(definition: MethodDefinition, pipeline: Pipeline): UntypedHandleCall {
  const { kind, method } = definition;
  const name = `${method.parent.typeName}/${method.name}`;
  const open = (call: GrpcCall): [GrpcInbound, ServerCall] => {
    const inbound = grpcInbound(call, name, kind);
    const serverCall = pipeline.open(inbound);
    // Fires for every call that ends, also well; an ended one takes no notice.
    const emitter: EventEmitter = call;
    emitter.on('cancelled', () => {
      serverCall.cancel();
    });
    return [inbound, serverCall];
  };
  switch (kind) {
    case 'unary':
      return (call: ServerUnaryCall<Buffer, Buffer>, callback: sendUnaryData<Buffer>) => {
        const [inbound, serverCall] = open(call);
        pipeline.unary(serverCall, definition, call.request, encodeAnswer).then(
          (bytes) => {
            call.sendMetadata(inbound.responseMetadata);
            callback(null, asBuffer(bytes));
          },
          (error: StowageError) => {
            callback(grpcStatus(error, serverCall));
          },
        );
      };
    case 'server_streaming':
      return (call: ServerWritableStream<Buffer, Buffer>) => {
        const [inbound, serverCall] = open(call);
        const answers = pipeline.stream(serverCall, definition, call.request, encodeAnswer);
        void respond(call, inbound, serverCall, answers);
      };
    case 'bidi_streaming':
      return (call: ServerDuplexStream<Buffer, Buffer>) => {
        const [inbound, serverCall] = open(call);
        const requests = readRequests(call, serverCall.signal);
        const answers = pipeline.bidi(serverCall, definition, requests, encodeAnswer);
        void respond(call, inbound, serverCall, answers);
      };
    default:
      return assertNever(kind);
  }
}

/** Sends a stream of answers and its status. Never rejects: every end is a status. */
async function respond(
  call: ServerWritableStream<Buffer, Buffer> | ServerDuplexStream<Buffer, Buffer>,
  inbound: GrpcInbound,
  serverCall: ServerCall,
  answers: AsyncIterableIterator<Uint8Array>,
): Promise<void> {
  const writer = boundedWriter(call, serverCall.signal);
  try {
    for (;;) {
      const { done, value } = await answers.next();
      call.sendMetadata(inbound.responseMetadata);
      if (done === true) {
        call.end();
        return;
      }
      await writer.write(asBuffer(value));
    }
  } catch (thrown) {
    call.emit('error', grpcStatus(toStowageError(thrown), serverCall));
  }
}
