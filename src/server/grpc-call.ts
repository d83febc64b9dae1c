/** A grpc-js call as the pipeline sees it, and errors as grpc-js sends them. */

import {
  Metadata,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type StatusObject,
} from '@grpc/grpc-js';
import type { StowageError } from '../errors.js';
import type { MethodDefinition } from '../services/handler.js';
import { type InboundCall, originOf } from './server-call.js';
import { type CallIds, encodeStatus, statusMessage } from './status.js';
import { grpcTimeoutSlackMs } from './timeouts.js';

/** Any call of grpc-js whose messages are bytes. */
export type GrpcCall =
  | ServerUnaryCall<Buffer, Buffer>
  | ServerWritableStream<Buffer, Buffer>
  | ServerDuplexStream<Buffer, Buffer>;

/** A call on its way in, and the metadata that goes out before its first message. */
export interface GrpcInbound extends InboundCall {
  readonly responseMetadata: Metadata;
}

/** Wraps a call of grpc-js. */
export function grpcInbound(
  call: GrpcCall,
  method: string,
  kind: MethodDefinition['kind'],
): GrpcInbound {
  const responseMetadata = new Metadata();
  const userAgent = call.metadata.get('user-agent')[0]?.toString();
  return {
    door: 'grpc',
    method,
    kind,
    origin: originOf(call.getPeer().replace(/:\d+$/, ''), userAgent),
    responseMetadata,
    headers: (name) => call.metadata.get(name).map(String),
    timeoutMs: timeoutOf(call),
    setHeader: (name, value) => {
      responseMetadata.set(name, value);
    },
  };
}

/** Undefined where the caller set no deadline; never below zero. */
function timeoutOf(call: GrpcCall): number | undefined {
  const deadline = Number(call.getDeadline()) - grpcTimeoutSlackMs;
  return Number.isFinite(deadline) ? Math.max(0, deadline - Date.now()) : undefined;
}

/** The status of an error with its details in the trailers, as grpc-js takes it. */
export function grpcStatus(error: StowageError, ids: CallIds): StatusObject {
  const metadata = new Metadata();
  metadata.set('grpc-status-details-bin', Buffer.from(encodeStatus(error, ids)));
  metadata.set('x-request-id', ids.requestId);
  const code: number = error.code;
  return { code, details: statusMessage(error), metadata };
}

/** Bytes as the Buffer that grpc-js insists on, without copying them. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
