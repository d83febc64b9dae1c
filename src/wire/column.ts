/** What a column is, the function that writes one, and what all of these functions need. */

import { WireError } from './wire-error.js';

/** PostgreSQL types that have a field to become. */
export type ColumnType =
  | 'text'
  | 'uuid'
  | 'int8'
  | 'int4'
  | 'bool'
  | 'float8'
  | 'timestamptz'
  | 'jsonb';

/**
 * Writes a column that is not null, `length` bytes of `source` at `at`, as a field at `position` of
 * `bytes`; gives the position behind it. The caller has reserved the room and checked the bounds.
 */
export type ColumnEncoder = (
  bytes: Buffer,
  position: number,
  source: Buffer,
  at: number,
  length: number,
) => number;

/** Reads a big-endian signed 32-bit number; the bounds are the caller's. */
export function readInt32(source: Buffer, at: number): number {
  return (
    ((source[at] as number) << 24) |
    ((source[at + 1] as number) << 16) |
    ((source[at + 2] as number) << 8) |
    (source[at + 3] as number)
  );
}

/**
 * Checks the size of a column whose type has a fixed one.
 * @throws {WireError} if it is another
 */
export function requireLength(length: number, expected: number, type: ColumnType): void {
  if (length !== expected) throw new WireError(`a ${type} of ${length} bytes`);
}
