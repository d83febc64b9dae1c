/**
 * What a failed call says, taken out of the status details that the service sends. It decides
 * nothing: `retry` is the error table's word on what the caller may do, but for reads, which do
 * nothing that a request id could keep from being done twice.
 */

import type { DescMethod } from '@bufbuild/protobuf';
import { MethodOptions_IdempotencyLevel as Level } from '@bufbuild/protobuf/wkt';
import { Code, ConnectError } from '@connectrpc/connect';
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RetryInfoSchema,
} from '../../gen/google/rpc/error_details_pb.js';
import { errorTable, type FieldViolation, type Reason, type RetryClass } from '../errors.js';

const domain = 'stowage.dev';

/** What a {@link CallError} is made of. */
interface CallErrorFacts {
  readonly code: Code;
  readonly reason: Reason | undefined;
  readonly retry: RetryClass;
  readonly violations: readonly FieldViolation[];
  readonly metadata: Readonly<Record<string, string>>;
  readonly retryDelayMs: number | undefined;
}

/** A call that failed, in the service's own words where they arrived. */
export class CallError extends Error {
  override readonly name = 'CallError';
  /** The gRPC status code. */
  readonly code: Code;
  /** Undefined where no answer of the service arrived, or its reason is not known here. */
  readonly reason: Reason | undefined;
  /**
   * What the caller may do. For a mutation whose connection was lost `same_request_id`; a read has
   * done nothing, so that it is `after_delay`, or `resume` for a stream.
   */
  readonly retry: RetryClass;
  /** Fields at fault. */
  readonly violations: readonly FieldViolation[];
  /** `ErrorInfo.metadata`: facts for programs. */
  readonly metadata: Readonly<Record<string, string>>;
  /** When to repeat, in milliseconds, where the service said so. */
  readonly retryDelayMs: number | undefined;
  /** Under which the server's log has the call; undefined where no answer arrived. */
  readonly requestId: string | undefined;

  constructor(message: string, facts: CallErrorFacts, cause: unknown) {
    super(message, { cause });
    this.code = facts.code;
    this.reason = facts.reason;
    this.retry = facts.retry;
    this.violations = facts.violations;
    this.metadata = facts.metadata;
    this.retryDelayMs = facts.retryDelayMs;
    this.requestId = facts.metadata['request_id'];
  }

  /** What the client itself says of a call: no answer of the service is behind it. */
  static local(message: string, code: Code, retry: RetryClass, cause?: unknown): CallError {
    const facts = { code, retry, reason: undefined, violations: [], metadata: {} };
    return new CallError(message, { ...facts, retryDelayMs: undefined }, cause);
  }
}

/** As Connect's transports and interceptors throw it; {@link toStowageError} takes it out again. */
export function asConnectError(error: CallError): ConnectError {
  return new ConnectError(error.message, error.code, undefined, undefined, error);
}

function isReason(text: string | undefined): text is Reason {
  return text !== undefined && Object.hasOwn(errorTable, text);
}

/**
 * Without a reason the connection or something between answered, not the service, which always
 * names one. With these codes Connect reports connections that were refused, reset, closed or
 * silent: the call may have been done.
 */
const codesOfLostConnections: ReadonlySet<Code> = new Set([
  Code.Unavailable,
  Code.Aborted,
  Code.Canceled,
  Code.Internal,
  Code.DeadlineExceeded,
]);

function retryWithoutReason(code: Code): RetryClass {
  return codesOfLostConnections.has(code) ? 'same_request_id' : 'never';
}

function retryDelayMsOf(error: ConnectError): number | undefined {
  const delay = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
  return delay === undefined ? undefined : Number(delay.seconds) * 1000 + delay.nanos / 1e6;
}

/** Reads what a failed call of a client says. Whatever is thrown has an answer. */
export function toStowageError(thrown: unknown): CallError {
  if (thrown instanceof CallError) return thrown;
  const error = ConnectError.from(thrown);
  if (error.cause instanceof CallError) return error.cause;
  const info = error.findDetails(ErrorInfoSchema).find((detail) => detail.domain === domain);
  const reason = isReason(info?.reason) ? info.reason : undefined;
  const facts: CallErrorFacts = {
    code: error.code,
    reason,
    retry: reason === undefined ? retryWithoutReason(error.code) : errorTable[reason].retry,
    violations: error
      .findDetails(BadRequestSchema)
      .flatMap((detail) => detail.fieldViolations)
      .map(({ field, description }) => ({ field, description })),
    metadata: info?.metadata ?? {},
    retryDelayMs: retryDelayMsOf(error),
  };
  return new CallError(error.rawMessage, facts, thrown);
}

/** What is known of a call that failed beside its error. */
interface CallFacts {
  readonly method: DescMethod;
  /** Whether the caller's own signal has ended it. */
  readonly isAborted: boolean;
}

/**
 * Reads what a failed call of a method says. A read that may have been done has done nothing, and
 * has no request id to be repeated with: it gets a class of its own.
 */
export function toCallError(thrown: unknown, { method, isAborted }: CallFacts): CallError {
  const error = toStowageError(thrown);
  const isRead = method.idempotency === Level.NO_SIDE_EFFECTS;
  if (error.retry !== 'same_request_id' || !isRead) return error;
  const retry = isAborted ? 'never' : retryOfRead(method);
  return new CallError(error.message, { ...error, retry }, error.cause);
}

/** Not `elsewhere`: without a server the next attempt would fail at once, and the one after it. */
function retryOfRead({ methodKind, input }: DescMethod): RetryClass {
  const canResume = methodKind === 'server_streaming' && input.field['resumeToken'] !== undefined;
  return canResume ? 'resume' : 'after_delay';
}

/** The error of a call whose connection ended without the service's last word. */
export function lostConnection(message: string): CallError {
  return toStowageError(new ConnectError(message, Code.Unavailable));
}
