/** A message with a field of every kind, for what the product's own messages do not have. */

import { create, createFileRegistry, type DescField, type DescMessage } from '@bufbuild/protobuf';
import {
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
  file_google_protobuf_struct,
  file_google_protobuf_timestamp,
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
} from '@bufbuild/protobuf/wkt';

const { OPTIONAL, REPEATED } = Label;

interface Field {
  readonly name: string;
  readonly number: number;
  readonly type: Type;
  readonly typeName?: string;
  readonly label?: Label;
  /** `optional` in the proto file. */
  readonly isOptional?: boolean;
  readonly isInOneof?: boolean;
}

const fields: readonly Field[] = [
  { name: 'text', number: 1, type: Type.STRING },
  { name: 'uuid', number: 15, type: Type.STRING },
  { name: 'int8', number: 16, type: Type.INT64 },
  { name: 'int4', number: 2047, type: Type.INT32 },
  { name: 'bool', number: 2048, type: Type.BOOL },
  { name: 'float8', number: 262_143, type: Type.DOUBLE },
  { name: 'timestamptz', number: 262_144, type: Type.MESSAGE, typeName: 'Timestamp' },
  { name: 'jsonb', number: 536_870_911, type: Type.MESSAGE, typeName: 'Struct' },
  { name: 'optional_text', number: 2, type: Type.STRING, isOptional: true },
  { name: 'optional_int8', number: 3, type: Type.INT64, isOptional: true },
  { name: 'optional_int4', number: 4, type: Type.INT32, isOptional: true },
  { name: 'optional_bool', number: 5, type: Type.BOOL, isOptional: true },
  { name: 'optional_float8', number: 6, type: Type.DOUBLE, isOptional: true },
  { name: 'one_text', number: 7, type: Type.STRING, isInOneof: true },
  { name: 'texts', number: 8, type: Type.STRING, label: REPEATED },
  { name: 'zigzag', number: 9, type: Type.SINT64 },
  { name: 'fixed', number: 10, type: Type.SFIXED64 },
  { name: 'raw', number: 11, type: Type.BYTES },
  { name: 'value', number: 12, type: Type.MESSAGE, typeName: 'Value' },
];

const optionals = fields.filter((field) => field.isOptional === true).map((field) => field.name);

const file = create(FileDescriptorProtoSchema, {
  name: 'sample.proto',
  package: 'sample',
  syntax: 'proto3',
  dependency: ['google/protobuf/timestamp.proto', 'google/protobuf/struct.proto'],
  messageType: [
    {
      name: 'Sample',
      oneofDecl: ['one', ...optionals.map((name) => `_${name}`)].map((name) => ({ name })),
      field: fields.map(({ name, number, type, typeName, label, isOptional, isInOneof }) => ({
        ...{ name, number, type, label: label ?? OPTIONAL, jsonName: name },
        ...(typeName === undefined ? {} : { typeName: `.google.protobuf.${typeName}` }),
        ...(isInOneof === true ? { oneofIndex: 0 } : {}),
        ...(isOptional === true
          ? { proto3Optional: true, oneofIndex: 1 + optionals.indexOf(name) }
          : {}),
      })),
    },
    {
      name: 'Samples',
      field: ['items', 'bare'].map((name, i) => ({
        ...{ name, number: i === 0 ? 3000 : 2, type: Type.MESSAGE, typeName: '.sample.Sample' },
        ...{ label: i === 0 ? REPEATED : OPTIONAL, jsonName: name },
      })),
    },
  ],
});

const registry = createFileRegistry(
  create(FileDescriptorSetSchema, {
    file: [file_google_protobuf_timestamp.proto, file_google_protobuf_struct.proto, file],
  }),
);

function messageOf(name: string): DescMessage {
  const message = registry.getMessage(name);
  if (message === undefined) throw new Error(`no message ${name}`);
  return message;
}

/** A field by its name in the proto file. */
export function fieldOf(message: DescMessage, name: string): DescField {
  const field = message.fields.find((candidate) => candidate.name === name);
  if (field === undefined) throw new Error(`no field ${name}`);
  return field;
}

/** Fields are named for the column type they take; their numbers take tags of 1 to 5 bytes. */
export const sample = messageOf('sample.Sample');
/** `items`, many of them, is field 3000; `bare` is one. */
export const samples = messageOf('sample.Samples');
