/**
 * Finds the one map key that cannot be kept: protobuf-es assigns it to an object's prototype, and
 * with it the entry would be lost without a word. Looked for in the bytes, for in the message it is
 * gone already.
 */

import type { DescField, DescMessage } from '@bufbuild/protobuf';
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';

const protoKey = '__proto__';

/** What is wrong with a map that has the key. */
export const protoKeyRule = `must not have the key ${protoKey}`;

/**
 * The path of the first map with the key, or undefined. Costs a search for nine bytes where they do
 * not occur. Takes only bytes that were decoded once without an error, which bounds their depth.
 */
export function protoKeyPath(descriptor: DescMessage, bytes: Uint8Array): string | undefined {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return text.includes(protoKey)
    ? pathIn(descriptor, new BinaryReader(bytes), bytes.length, '')
    : undefined;
}

function pathIn(
  descriptor: DescMessage,
  reader: BinaryReader,
  end: number,
  path: string,
): string | undefined {
  const counts = new Map<number, number>();
  while (reader.pos < end) {
    const [no, wireType] = reader.tag();
    const field = descriptor.fields.find(({ number }) => number === no);
    const isNested = field?.fieldKind === 'map' || field?.message !== undefined;
    if (field === undefined || !isNested || wireType !== WireType.LengthDelimited) {
      reader.skip(wireType, no);
      continue;
    }
    const fieldEnd = reader.uint32() + reader.pos;
    const index = counts.get(no) ?? 0;
    counts.set(no, index + 1);
    const place = placeOf(field, path, index);
    const found =
      field.fieldKind === 'map'
        ? pathInEntry(field, reader, fieldEnd, place)
        : field.message && pathIn(field.message, reader, fieldEnd, place);
    if (found !== undefined) {
      return found;
    }
  }
  return undefined;
}

/** As protobuf-es reads an entry: of several keys or values the last counts. */
function pathInEntry(
  field: DescField & { readonly fieldKind: 'map' },
  reader: BinaryReader,
  end: number,
  path: string,
): string | undefined {
  let key = '';
  let value: { readonly start: number; readonly end: number } | undefined;
  while (reader.pos < end) {
    const [no, wireType] = reader.tag();
    if (no === 1 && wireType === WireType.LengthDelimited) {
      key = reader.string();
    } else if (no === 2 && wireType === WireType.LengthDelimited) {
      const length = reader.uint32();
      value = { start: reader.pos, end: reader.pos + length };
      reader.pos = value.end;
    } else {
      reader.skip(wireType, no);
    }
  }
  if (key === protoKey) {
    return path;
  }
  if (value === undefined || field.message === undefined) {
    return undefined;
  }
  const place = isStruct(field) ? `${path}.${key}` : `${path}[${JSON.stringify(key)}]`;
  reader.pos = value.start;
  const found = pathIn(field.message, reader, value.end, place);
  reader.pos = end;
  return found;
}

/** JSON in protobuf has layers of its own, which no path names. */
function placeOf(field: DescField, path: string, index: number): string {
  switch (field.parent.typeName) {
    case 'google.protobuf.Struct':
    case 'google.protobuf.Value':
      return path;
    case 'google.protobuf.ListValue':
      return `${path}[${index}]`;
    default: {
      const name = field.fieldKind === 'list' ? `${field.name}[${index}]` : field.name;
      return path === '' ? name : `${path}.${name}`;
    }
  }
}

function isStruct(field: DescField): boolean {
  return field.parent.typeName === 'google.protobuf.Struct';
}
