/** A Connect call as the pipeline sees it, and errors in both directions. */

import { Code, ConnectError, type HandlerContext } from '@connectrpc/connect';
import { BadRequestSchema } from '../../gen/google/rpc/error_details_pb.js';
import { StowageError } from '../errors.js';
import type { Call } from '../postgres/call.js';
import type { MethodDefinition } from '../services/handler.js';
import type { InboundCall } from './server-call.js';
import { type CallIds, statusDetails, statusMessage } from './status.js';
import { malformed, messageTooLarge } from './validation.js';

/** Wraps a call that Connect has read the headers of. */
export function connectInbound(
  context: HandlerContext,
  method: string,
  kind: MethodDefinition['kind'],
  origin: Call['origin'],
): InboundCall {
  return {
    door: 'connect',
    method,
    kind,
    origin,
    headers: (name) => {
      const value = context.requestHeader.get(name);
      return value === null ? [] : [value];
    },
    timeoutMs: context.timeoutMs(),
    setHeader: (name, value) => {
      context.responseHeader.set(name, value);
    },
  };
}

/** An error as Connect sends it, in whichever of its protocols. */
export function toConnectError(error: StowageError, ids: CallIds): ConnectError {
  // Connect's codes are gRPC's under other names.
  const code: number = error.code;
  return new ConnectError(
    statusMessage(error),
    code as Code,
    undefined,
    statusDetails(error, ids),
    error,
  );
}

/**
 * What went wrong while a request was read, as one of our errors: what Connect found, or the end of
 * the transport.
 */
export function requestFault(thrown: unknown): StowageError {
  if (!(thrown instanceof ConnectError)) {
    return new StowageError('CANCELLED', { cause: thrown });
  }
  switch (thrown.code) {
    case Code.ResourceExhausted:
      return messageTooLarge();
    case Code.InvalidArgument:
    case Code.Unimplemented:
    case Code.Internal:
      return unreadable(thrown);
    case Code.DeadlineExceeded:
      return new StowageError('DEADLINE_EXCEEDED', { message: thrown.rawMessage, cause: thrown });
    default:
      return new StowageError('CANCELLED', { cause: thrown });
  }
}

const jsonField = /^cannot decode field (\S+) from JSON: (.*)$/s;
const jsonUnknownKey = /from JSON: key "(.*)" is unknown$/s;

/** Takes the field from where our own reader left it, or out of the words of protobuf-es. */
function unreadable(error: ConnectError): StowageError {
  const [violation] = error.findDetails(BadRequestSchema)[0]?.fieldViolations ?? [];
  if (violation !== undefined) {
    return malformed(violation.description, undefined, violation.field);
  }
  const { rawMessage } = error;
  const unknownKey = jsonUnknownKey.exec(rawMessage)?.[1];
  if (unknownKey !== undefined) {
    return malformed('is not a field of the message', undefined, unknownKey);
  }
  const [, field, description] = jsonField.exec(rawMessage) ?? [];
  return field === undefined || description === undefined
    ? malformed(rawMessage)
    : malformed(description, undefined, field.slice(field.lastIndexOf('.') + 1));
}
