/**
 * Turns what arrives into messages that keep their rules: protobuf bytes become messages, messages
 * are held to the rules of the protos and the bounds of their values. What does not pass is a typed
 * INVALID_REQUEST with every field at fault.
 */

import {
  create,
  type DescMessage,
  type DescMethod,
  fromBinary,
  type Message,
} from '@bufbuild/protobuf';
import { pathToString } from '@bufbuild/protobuf/reflect';
import { createValidator, type Violation } from '@bufbuild/protovalidate';
import { type FieldViolation, StowageError } from '../errors.js';
import { keepEveryCharacter } from '../wire/utf8.js';
import { boundViolations, violationsMax } from './message-bounds.js';
import { protoKeyPath, protoKeyRule } from './proto-key.js';

/** The largest message either door takes, in bytes as it stands on the wire. */
export const messageBytesMax = 4 * 1024 * 1024;

/** Above what a Struct of 32 levels needs: each is a Struct, its entry and a Value. */
const recursionLimit = 200;

keepEveryCharacter();

const validator = createValidator();

/** Compiles the rules of methods' requests, so that no first call pays for it. */
export function warmValidation(methods: Iterable<DescMethod>): void {
  for (const method of methods) {
    validator.validate(method.input, create(method.input));
    boundViolations(method.input, create(method.input));
  }
}

/**
 * Decodes a request.
 * @throws StowageError MESSAGE_TOO_LARGE; INVALID_REQUEST for bytes that are no such message, text
 *   that is not UTF-8 among them, and for the one map key that would be lost
 */
export function decodeRequest(descriptor: DescMessage, bytes: Uint8Array): Message {
  if (bytes.length > messageBytesMax) {
    throw messageTooLarge();
  }
  let message: Message;
  try {
    message = fromBinary(descriptor, bytes, { recursionLimit });
  } catch (error) {
    throw malformed(`not a valid ${descriptor.typeName}: ${(error as Error).message}`, error);
  }
  const path = protoKeyPath(descriptor, bytes);
  if (path !== undefined) {
    throw malformed(protoKeyRule, undefined, path);
  }
  return message;
}

/** @throws StowageError INVALID_REQUEST when a rule or bound is broken */
export function validateRequest(descriptor: DescMessage, message: Message): void {
  const result = validator.validate(descriptor, message);
  if (result.kind === 'error') {
    throw result.error;
  }
  const violations = [
    ...(result.kind === 'invalid' ? result.violations.map(fieldViolation) : []),
    ...boundViolations(descriptor, message),
  ];
  const [first] = violations;
  if (first !== undefined) {
    throw new StowageError('INVALID_REQUEST', {
      message: first.field === '' ? first.description : `${first.field}: ${first.description}`,
      violations: violations.slice(0, violationsMax),
    });
  }
}

/** The error for a message over {@link messageBytesMax}. */
export function messageTooLarge(): StowageError {
  return new StowageError('MESSAGE_TOO_LARGE', {
    metadata: { bytes_max: String(messageBytesMax) },
  });
}

/** The error for a method that no service has. */
export function noSuchMethod(method: string): StowageError {
  return new StowageError('UNIMPLEMENTED', { message: `there is no method ${method}` });
}

/** The error for input that cannot even be read; `field` where it is known. */
export function malformed(description: string, cause?: unknown, field = ''): StowageError {
  return new StowageError('INVALID_REQUEST', {
    message: field === '' ? description : `${field}: ${description}`,
    violations: [{ field, description }],
    cause,
  });
}

function fieldViolation(violation: Violation): FieldViolation {
  return { field: pathToString(violation.field), description: violation.message };
}
