/**
 * One encoder for each pair of a PostgreSQL type in binary format and the protobuf field it
 * becomes. Each writes tag and value from the column's bytes; no JavaScript value is made of them.
 */

import { type DescField, ScalarType } from '@bufbuild/protobuf';
import { assertNever } from '../lib/assert.js';
import type { ColumnEncoder, ColumnType } from './column.js';
import { JSON_GROWTH_MAX, JsonStructEncoder } from './json-struct.js';
import {
  boolEncoder,
  float8Encoder,
  int4Encoder,
  int8Encoder,
  textEncoder,
  uuidEncoder,
} from './scalar-encoders.js';
import { timestampEncoder } from './timestamp-encoder.js';
import { WireError } from './wire-error.js';

/**
 * The field a column type becomes: a scalar, or a message by its full name. A jsonb of texts may
 * also become a map of strings.
 */
const fieldTypes: Readonly<Record<ColumnType, ScalarType | string>> = {
  text: ScalarType.STRING,
  uuid: ScalarType.STRING,
  int8: ScalarType.INT64,
  int4: ScalarType.INT32,
  bool: ScalarType.BOOL,
  float8: ScalarType.DOUBLE,
  timestamptz: 'google.protobuf.Timestamp',
  jsonb: 'google.protobuf.Struct',
};

/** FieldPresence.IMPLICIT of the descriptors: the field's zero value is not written. */
const PRESENCE_IMPLICIT = 2;

const WIRE_VARINT = 0;
const WIRE_FIXED64 = 1;
const WIRE_LENGTH_DELIMITED = 2;

/** Bytes of tag, length and padding that any column adds to its own; a uuid's text adds most. */
export const COLUMN_GROWTH_BYTES_MAX = 32;

/** How many times its own size a column of the type can come to. */
export function growthFactor(type: ColumnType): number {
  return type === 'jsonb' ? JSON_GROWTH_MAX : 1;
}

/** A field's tag. */
function tagOf(field: DescField, wireType: number): number {
  return ((field.number << 3) | wireType) >>> 0;
}

/** The tag of a length-delimited field: a string or a message. */
export function messageTag(field: DescField): number {
  return tagOf(field, WIRE_LENGTH_DELIMITED);
}

/** What a field is, in the words of {@link fieldTypes}; undefined for lists, maps and groups. */
function typeOf(field: DescField): ScalarType | string | undefined {
  if (field.fieldKind === 'scalar') return field.scalar;
  if (field.fieldKind !== 'message' || field.delimitedEncoding) return undefined;
  return field.message.typeName;
}

function isTextMap(field: DescField): boolean {
  return (
    field.fieldKind === 'map' &&
    field.mapKey === ScalarType.STRING &&
    field.mapKind === 'scalar' &&
    field.scalar === ScalarType.STRING
  );
}

/**
 * Makes the encoder of a column for its field.
 * @throws {Error} if the type does not become such a field
 */
export function columnEncoder(field: DescField, type: ColumnType): ColumnEncoder {
  const isMap = type === 'jsonb' && isTextMap(field);
  if (!isMap && typeOf(field) !== fieldTypes[type])
    throw new Error(`a ${type} column does not become ${field.toString()}`);
  // Which of its columns wins is not for an encoder to say.
  if (field.oneof !== undefined) throw new Error(`${field.toString()} is part of a oneof`);
  const keepsZero = field.presence !== PRESENCE_IMPLICIT;
  switch (type) {
    case 'text':
      return textEncoder(messageTag(field), keepsZero);
    case 'uuid':
      return uuidEncoder(messageTag(field));
    case 'int8':
      return int8Encoder(tagOf(field, WIRE_VARINT), keepsZero);
    case 'int4':
      return int4Encoder(tagOf(field, WIRE_VARINT), keepsZero);
    case 'bool':
      return boolEncoder(tagOf(field, WIRE_VARINT), keepsZero);
    case 'float8':
      return float8Encoder(tagOf(field, WIRE_FIXED64), keepsZero);
    case 'timestamptz':
      return timestampEncoder(messageTag(field));
    case 'jsonb':
      return jsonbEncoder(messageTag(field), isMap);
    default:
      return assertNever(type);
  }
}

const JSONB_VERSION = 1;

function jsonbEncoder(tag: number, isMap: boolean): ColumnEncoder {
  const json = new JsonStructEncoder();
  return (bytes, position, source, at, length) => {
    const version = length === 0 ? undefined : source[at];
    if (version !== JSONB_VERSION) throw new WireError(`a jsonb of version ${version}`);
    return isMap
      ? json.putEntries(bytes, position, tag, source, at + 1, at + length)
      : json.putField(bytes, position, tag, source, at + 1, at + length);
  };
}
