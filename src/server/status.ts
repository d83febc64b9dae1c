/**
 * Errors as they leave the service: any thrown value becomes a StowageError, and that becomes
 * google.rpc details. Bounded, for clients refuse trailers past some 8 KiB.
 */

import { create, toBinary } from '@bufbuild/protobuf';
import { anyPack } from '@bufbuild/protobuf/wkt';
import {
  BadRequestSchema,
  ErrorInfoSchema,
  PreconditionFailureSchema,
  RetryInfoSchema,
} from '../../gen/google/rpc/error_details_pb.js';
import { StatusSchema } from '../../gen/google/rpc/status_pb.js';
import { type FieldViolation, StowageError } from '../errors.js';
import type { CallContext } from '../services/handler.js';

const domain = 'stowage.dev';
const messageCharactersMax = 512;
const violationCharactersMax = 256;
const violationsBytesMax = 2048;
/** The delay told where an error says `after_delay` and nobody knows better. */
const retryDelayDefaultMs = 1000;

/** A detail as its descriptor and its fields; both doors pack it their own way. */
export type Detail =
  | ReturnType<typeof errorInfo>
  | ReturnType<typeof badRequest>
  | ReturnType<typeof retryInfo>
  | ReturnType<typeof preconditionFailure>;

/** By what an answer is found again, in the log and in traces. */
export type CallIds = Pick<CallContext, 'requestId' | 'trace'>;

/** The error as it is thrown on; whatever is none of ours is INTERNAL with its cause kept. */
export function toStowageError(thrown: unknown): StowageError {
  return thrown instanceof StowageError ? thrown : new StowageError('INTERNAL', { cause: thrown });
}

/** The message for people: bounded, and without the lone surrogates that no header can carry. */
export function statusMessage(error: StowageError): string {
  return clip(error.message, messageCharactersMax);
}

/** ErrorInfo always; BadRequest, RetryInfo and PreconditionFailure where they say more. */
export function statusDetails(error: StowageError, ids: CallIds): Detail[] {
  const details: Detail[] = [errorInfo(error, ids)];
  if (error.violations.length > 0) {
    details.push(badRequest(error.violations));
  }
  if (error.retryDelayMs !== undefined || error.retry === 'after_delay') {
    details.push(retryInfo(error.retryDelayMs ?? retryDelayDefaultMs));
  }
  if (error.reason === 'ETAG_MISMATCH' || error.reason === 'REVISION_MISMATCH') {
    details.push(preconditionFailure(error));
  }
  return details;
}

/** The bytes of google.rpc.Status, for `grpc-status-details-bin`. */
export function encodeStatus(error: StowageError, ids: CallIds): Uint8Array {
  return toBinary(
    StatusSchema,
    create(StatusSchema, {
      code: error.code,
      message: statusMessage(error),
      details: statusDetails(error, ids).map((detail) => pack(detail)),
    }),
  );
}

function pack(detail: Detail) {
  return anyPack(detail.desc, create(detail.desc, detail.value));
}

function errorInfo(error: StowageError, { requestId, trace }: CallIds) {
  const metadata: Record<string, string> = {};
  for (const [key, value] of Object.entries(error.metadata)) {
    metadata[key] = clip(value, violationCharactersMax);
  }
  metadata['request_id'] = requestId;
  if (trace !== undefined) {
    metadata['trace_id'] = trace.traceId;
  }
  return { desc: ErrorInfoSchema, value: { reason: error.reason, domain, metadata } };
}

function badRequest(violations: readonly FieldViolation[]) {
  const fieldViolations: FieldViolation[] = [];
  let bytes = 0;
  for (const violation of violations) {
    const field = clip(violation.field, violationCharactersMax);
    const description = clip(violation.description, violationCharactersMax);
    bytes += Buffer.byteLength(field) + Buffer.byteLength(description);
    if (fieldViolations.length > 0 && bytes > violationsBytesMax) {
      break;
    }
    fieldViolations.push({ field, description });
  }
  return { desc: BadRequestSchema, value: { fieldViolations } };
}

function retryInfo(delayMs: number) {
  const seconds = Math.floor(delayMs / 1000);
  const nanos = Math.round((delayMs - seconds * 1000) * 1e6);
  return {
    desc: RetryInfoSchema,
    value: { retryDelay: { seconds: BigInt(seconds), nanos } },
  };
}

function preconditionFailure(error: StowageError) {
  const subject = error.metadata['object_key'] ?? error.metadata['project'] ?? '';
  return {
    desc: PreconditionFailureSchema,
    value: {
      violations: [
        {
          type: error.reason,
          subject: clip(subject, violationCharactersMax),
          description: statusMessage(error),
        },
      ],
    },
  };
}

function clip(text: string, charactersMax: number): string {
  const clipped = text.length > charactersMax ? `${text.slice(0, charactersMax - 1)}…` : text;
  return Buffer.from(clipped).toString();
}
