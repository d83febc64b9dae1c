/**
 * Compiles a row's columns and a message's fields into one function that turns the row's bytes, as
 * PostgreSQL sends them in binary format, into the message's bytes, and makes no JavaScript value
 * on the way. Closures, no generated source: `new Function` is no quicker here and is refused
 * wherever code generation is.
 */

import type { DescField, DescMessage } from '@bufbuild/protobuf';
import { type ColumnEncoder, type ColumnType, readInt32 } from './column.js';
import {
  COLUMN_GROWTH_BYTES_MAX,
  columnEncoder,
  growthFactor,
  messageTag,
} from './column-encoders.js';
import { WireError } from './wire-error.js';
import { putLength, putVarint32, type WireWriter } from './writer.js';

/** One column of the row and the field it becomes. */
export interface TupleColumn {
  /** The field, as the proto file names it. */
  readonly name: string;
  /** The column's type in PostgreSQL. */
  readonly type: ColumnType;
}

/** Turns tuples of the columns it was compiled for into messages. */
export interface TupleEncoder {
  /** The number of each column's field, in the order of the columns. */
  readonly fieldNumbers: readonly number[];
  /**
   * Writes one DataRow body in binary format (int16 count, then int32 length and bytes a column; -1
   * is null) as one message. A tuple that fails leaves nothing in the writer.
   * @throws {WireError} if the tuple is malformed, is not of these columns, holds a value that its
   *   field cannot, or does not fit into the writer
   */
  encode(writer: WireWriter, source: Buffer, start: number, end: number): void;
}

/** Tag and length around an item: 5 bytes each at most. */
const ITEM_GROWTH_BYTES_MAX = 10;

/**
 * Compiles an encoder. Columns are written in their order; null is left out, as is the zero value
 * of a field without `optional`, and a jsonb `{}`. With the columns in the order of their field
 * numbers the bytes are those of protobuf-es.
 *
 * @param desc the message
 * @param columns the row's columns, all of them, each a field of its own
 * @param entry the repeated field that each message is an item of; left out: it stands bare.
 *   `unsent`: further columns at the row's end, of which the message has nothing
 * @throws {Error} if a column has no field or one of another type, or `entry` has other items
 */
export function compileTupleEncoder(
  desc: DescMessage,
  columns: readonly TupleColumn[],
  entry?: { readonly field: DescField; readonly unsent?: number },
): TupleEncoder {
  const fields = fieldsOf(desc, columns);
  const encoders = [
    ...columns.map(({ type }, i) => columnEncoder(fields[i] as DescField, type)),
    ...Array<ColumnEncoder>(entry?.unsent ?? 0).fill((_, position) => position),
  ];
  const growth = Math.max(1, ...columns.map((column) => growthFactor(column.type)));
  const growthBytes = columns.length * COLUMN_GROWTH_BYTES_MAX + ITEM_GROWTH_BYTES_MAX;
  const itemTag = entry === undefined ? undefined : itemTagOf(desc, entry.field);
  // Rows of one table are of a size: the last one's tells how many bytes the next length will take.
  let lengthBytes = 2;
  const encode: TupleEncoder['encode'] = (writer, source, start, end) => {
    if (start < 0 || end > source.length) throw new WireError('a tuple outside its chunk');
    const size = end - start;
    if (size > writer.bytesMax) throw new WireError(`a tuple of ${size} bytes`);
    writer.reserve(size * growth + growthBytes);
    const { bytes, position } = writer;
    if (itemTag === undefined) {
      writer.commit(putColumns(encoders, bytes, position, source, start, end));
      return;
    }
    const lengthAt = putVarint32(bytes, position, itemTag);
    const itemEnd = putColumns(encoders, bytes, lengthAt + lengthBytes, source, start, end);
    const put = putLength(bytes, lengthAt, lengthBytes, itemEnd);
    lengthBytes += put - itemEnd;
    writer.commit(put);
  };
  return { fieldNumbers: fields.map((field) => field.number), encode };
}

function fieldsOf(desc: DescMessage, columns: readonly TupleColumn[]): DescField[] {
  const seen = new Set<string>();
  return columns.map(({ name }) => {
    const field = desc.fields.find((candidate) => candidate.name === name);
    if (field === undefined) throw new Error(`${desc.toString()} has no field ${name}`);
    if (seen.has(name)) throw new Error(`two columns for ${field.toString()}`);
    seen.add(name);
    return field;
  });
}

function itemTagOf(desc: DescMessage, field: DescField): number {
  const isListOfIt =
    field.fieldKind === 'list' &&
    field.listKind === 'message' &&
    field.message.typeName === desc.typeName &&
    !field.delimitedEncoding;
  if (!isListOfIt) throw new Error(`${field.toString()} is no list of ${desc.toString()}`);
  return messageTag(field);
}

function putColumns(
  encoders: readonly ColumnEncoder[],
  bytes: Buffer,
  position: number,
  source: Buffer,
  start: number,
  end: number,
): number {
  const count = encoders.length;
  let at = start + 2;
  if (at > end || (((source[start] as number) << 8) | (source[start + 1] as number)) !== count) {
    throw new WireError(`a tuple that does not have ${count} columns`);
  }
  let to = position;
  for (let i = 0; i < count; i++) {
    if (at + 4 > end) throw new WireError(`a tuple that ends before column ${i}`);
    const length = readInt32(source, at);
    at += 4;
    if (length === -1) continue;
    if (length < 0 || length > end - at) throw new WireError(`a tuple that ends in column ${i}`);
    to = (encoders[i] as ColumnEncoder)(bytes, to, source, at, length);
    at += length;
  }
  if (at !== end) throw new WireError('a tuple that goes on behind its last column');
  return to;
}
