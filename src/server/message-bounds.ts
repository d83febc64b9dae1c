/**
 * What a request's well-known values must hold to beside the rules of the protos: Structs that JSON
 * and PostgreSQL can keep, times that exist. Compiled once per message type.
 */

import type { DescField, DescMessage, JsonObject, JsonValue } from '@bufbuild/protobuf';
import type { Duration, Timestamp } from '@bufbuild/protobuf/wkt';
import type { FieldViolation } from '../errors.js';
import { structBytesMax, structDepthMax } from '../lib/struct-bounds.js';
import { protoKeyRule } from './proto-key.js';

/** No more are looked for: each costs more memory than the few bytes that it takes to make one. */
export const violationsMax = 50;

/** Adds what a value breaks; `path` is the field's. */
type Check = (value: unknown, path: string, violations: FieldViolation[]) => void;
/** Checks a message; `prefix` is empty or the message's path with its dot. */
type MessageCheck = (
  message: Readonly<Record<string, unknown>>,
  prefix: string,
  violations: FieldViolation[],
) => void;

const checks = new Map<string, MessageCheck | undefined>();

/** The first violations of a message, some {@link violationsMax}; empty where it keeps bounds. */
export function boundViolations(descriptor: DescMessage, message: unknown): FieldViolation[] {
  const violations: FieldViolation[] = [];
  // A message is a plain object keyed by local names, whatever its type.
  checkFor(descriptor)?.(message as Readonly<Record<string, unknown>>, '', violations);
  return violations;
}

/** Undefined where no field of the type, however deep, has anything to check. */
function checkFor(descriptor: DescMessage): MessageCheck | undefined {
  if (checks.has(descriptor.typeName)) {
    return checks.get(descriptor.typeName);
  }
  // Stands in while the type is compiled, for types that contain themselves.
  checks.set(descriptor.typeName, (message, prefix, violations) => {
    checkFor(descriptor)?.(message, prefix, violations);
  });
  const fields = descriptor.fields.flatMap((field) => fieldCheck(field) ?? []);
  const check: MessageCheck | undefined =
    fields.length === 0
      ? undefined
      : (message, prefix, violations) => {
          for (const field of fields) {
            field(message, prefix, violations);
          }
        };
  checks.set(descriptor.typeName, check);
  return check;
}

function fieldCheck(field: DescField): MessageCheck | undefined {
  const check = field.message === undefined ? undefined : valueCheck(field.message);
  if (check === undefined) {
    return undefined;
  }
  const { localName, name } = field;
  const oneof = field.oneof?.localName;
  return (message, prefix, violations) => {
    const value = oneof === undefined ? message[localName] : chosen(message[oneof], localName);
    if (value === undefined) {
      return;
    }
    if (field.fieldKind === 'list') {
      for (const [index, item] of (value as unknown[]).entries()) {
        if (violations.length >= violationsMax) {
          break;
        }
        check(item, `${prefix}${name}[${index}]`, violations);
      }
    } else if (field.fieldKind === 'map') {
      for (const [key, item] of Object.entries(value as object)) {
        check(item, `${prefix}${name}[${JSON.stringify(key)}]`, violations);
      }
    } else {
      check(value, prefix + name, violations);
    }
  };
}

function chosen(oneof: unknown, localName: string): unknown {
  const selected = oneof as { readonly case?: string; readonly value?: unknown };
  return selected.case === localName ? selected.value : undefined;
}

function valueCheck(descriptor: DescMessage): Check | undefined {
  switch (descriptor.typeName) {
    case 'google.protobuf.Struct':
      return (value, path, violations) => {
        checkStruct(value as JsonObject, path, violations);
      };
    case 'google.protobuf.Timestamp':
      return (value, path, violations) => {
        checkTimestamp(value as Timestamp, path, violations);
      };
    case 'google.protobuf.Duration':
      return (value, path, violations) => {
        checkDuration(value as Duration, path, violations);
      };
    default: {
      const check = checkFor(descriptor);
      return (
        check &&
        ((value, path, violations) => {
          check(value as Readonly<Record<string, unknown>>, `${path}.`, violations);
        })
      );
    }
  }
}

/** Year 1 to 9999, as google.protobuf.Timestamp has it. */
function checkTimestamp(time: Timestamp, path: string, violations: FieldViolation[]): void {
  if (time.seconds < -62_135_596_800n || time.seconds > 253_402_300_799n) {
    violations.push({ field: path, description: 'must lie in the years 1 to 9999' });
  }
  if (time.nanos < 0 || time.nanos > 999_999_999) {
    violations.push({ field: `${path}.nanos`, description: 'must be 0 to 999999999' });
  }
}

function checkDuration(duration: Duration, path: string, violations: FieldViolation[]): void {
  const { seconds, nanos } = duration;
  if (seconds < -315_576_000_000n || seconds > 315_576_000_000n) {
    violations.push({ field: path, description: 'must lie within 10000 years' });
  }
  const opposed = (seconds > 0n && nanos < 0) || (seconds < 0n && nanos > 0);
  if (opposed || Math.abs(nanos) > 999_999_999) {
    violations.push({
      field: `${path}.nanos`,
      description: 'must be within 999999999 and of the sign of the seconds',
    });
  }
}

function checkStruct(struct: JsonObject, path: string, violations: FieldViolation[]): void {
  const before = violations.length;
  const bytesAtMost = checkJson(struct, path, 1, violations);
  // The estimate is never too low, so most Structs need not be written out to be measured.
  if (violations.length === before && bytesAtMost > structBytesMax) {
    if (Buffer.byteLength(JSON.stringify(struct)) > structBytesMax) {
      violations.push({ field: path, description: 'must be at most 65536 bytes as JSON' });
    }
  }
}

/** Checks a value and what is in it. Returns a bound of its bytes as JSON. */
function checkJson(
  value: JsonValue,
  path: string,
  depth: number,
  violations: FieldViolation[],
): number {
  switch (typeof value) {
    case 'string':
      return checkText(value, path, violations);
    case 'number':
      checkNumber(value, path, violations);
      return 25;
    case 'object':
      return value === null ? 4 : checkContainer(value, path, depth, violations);
    default:
      return 5;
  }
}

function checkContainer(
  value: JsonObject | JsonValue[],
  path: string,
  depth: number,
  violations: FieldViolation[],
): number {
  if (depth > structDepthMax) {
    violations.push({ field: path, description: `must be at most ${structDepthMax} levels deep` });
    return 2;
  }
  let bytes = 2;
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) {
      if (violations.length >= violationsMax) {
        break;
      }
      bytes += 1 + checkJson(item, `${path}[${index}]`, depth + 1, violations);
    }
    return bytes;
  }
  if (Object.getPrototypeOf(value) !== Object.prototype) {
    violations.push({ field: path, description: protoKeyRule });
    return bytes;
  }
  for (const [key, item] of Object.entries(value)) {
    if (violations.length >= violationsMax) {
      break;
    }
    bytes += 2 + checkText(key, path, violations);
    bytes += checkJson(item, `${path}.${key}`, depth + 1, violations);
  }
  return bytes;
}

const textRefused = /\0|\p{Surrogate}/u;

function checkText(text: string, path: string, violations: FieldViolation[]): number {
  if (textRefused.test(text)) {
    violations.push({ field: path, description: 'must be Unicode text without NUL' });
  }
  return 6 * text.length + 2;
}

function checkNumber(value: number, path: string, violations: FieldViolation[]): void {
  if (!Number.isFinite(value)) {
    violations.push({ field: path, description: 'must be a finite number' });
  } else if (Number.isInteger(value) && !Number.isSafeInteger(value)) {
    violations.push({
      field: path,
      description: 'must be an integer within 2^53 - 1; send a larger one as a string',
    });
  }
}
