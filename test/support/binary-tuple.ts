/** Makes DataRow bodies in PostgreSQL's binary format, as the server would send them. */

import type { ColumnType } from '../../src/wire/column.js';

/** A column's value: what a test would write; jsonb is the text itself. */
export type ColumnValue = string | bigint | number | boolean | null;

/** Microseconds from 1970-01-01, PostgreSQL's epoch. */
const EPOCH_2000_MICROS = 946_684_800_000_000n;

/** One column's bytes. `timestamptz` is microseconds since 1970-01-01. */
function columnBytes(type: ColumnType, value: Exclude<ColumnValue, null>): Buffer {
  const fixed = Buffer.alloc(type === 'int4' ? 4 : 8);
  switch (type) {
    case 'text':
      return Buffer.from(String(value));
    case 'uuid':
      return Buffer.from(String(value).replaceAll('-', ''), 'hex');
    case 'int8':
      fixed.writeBigInt64BE(BigInt(value));
      return fixed;
    case 'int4':
      fixed.writeInt32BE(Number(value));
      return fixed;
    case 'bool':
      return Buffer.from([value === true ? 1 : 0]);
    case 'float8':
      fixed.writeDoubleBE(Number(value));
      return fixed;
    case 'timestamptz':
      fixed.writeBigInt64BE(BigInt(value) - EPOCH_2000_MICROS);
      return fixed;
    case 'jsonb':
      return Buffer.concat([Buffer.from([1]), Buffer.from(String(value))]);
  }
}

/** A whole tuple of columns whose bytes are given; null is null. */
export function tupleOfBytes(columns: readonly (Buffer | null)[]): Buffer {
  const count = Buffer.alloc(2);
  count.writeInt16BE(columns.length);
  const parts: Buffer[] = [count];
  for (const column of columns) {
    const length = Buffer.alloc(4);
    length.writeInt32BE(column === null ? -1 : column.length);
    parts.push(length, ...(column === null ? [] : [column]));
  }
  return Buffer.concat(parts);
}

/** A whole tuple. */
export function tuple(
  types: readonly ColumnType[],
  values: readonly (ColumnValue | undefined)[],
): Buffer {
  const columns = types.map((type, i) => {
    const value = values[i] ?? null;
    return value === null ? null : columnBytes(type, value);
  });
  return tupleOfBytes(columns);
}
